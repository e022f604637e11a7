"""Whole lines out of chunks, and what a wait status means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillion.image.supervise.lines import LONGEST_LINE, Lines
from pillion.image.supervise.verdict import Verdict, exit_code, how_it_ended


@given(st.lists(st.binary(max_size=20)))
def test_lines_do_not_depend_on_the_chunks(chunks: list[bytes]) -> None:
    """However the writes were cut, the same lines come out, the last one without its newline."""
    lines = Lines()
    found = [line for chunk in chunks for line in lines.feed(chunk)] + list(lines.last())
    whole = b"".join(chunks).split(b"\n")
    assert found == whole[:-1] + [whole[-1]] * bool(whole[-1])


def test_a_line_without_end_takes_bounded_memory() -> None:
    """It is passed on in pieces; nothing is lost."""
    lines = Lines()
    pieces = [piece for _ in range(10) for piece in lines.feed(b"x" * LONGEST_LINE)]
    assert b"".join([*pieces, *lines.last()]) == b"x" * LONGEST_LINE * 10
    assert max(map(len, pieces)) <= LONGEST_LINE


@pytest.mark.parametrize("code", range(256))
def test_an_exit_code_is_the_programs_own(code: int) -> None:
    """All 256 of them."""
    assert exit_code(code << 8) == code and how_it_ended(code << 8) == f"it exited with {code}"


@pytest.mark.parametrize(("number", "says"), [(9, "SIGKILL ended it"), (35, "signal 35 ended it")])
def test_a_signal_is_128_and_its_number(number: int, says: str) -> None:
    """As a shell has it."""
    assert exit_code(number) == 128 + number and how_it_ended(number) == says


def test_the_first_loss_decides() -> None:
    """The other program's end is a consequence."""
    verdict = Verdict()
    verdict.ended("backend", 3 << 8)
    assert verdict.lost("backend") and not verdict.lost("proxy")
    assert verdict.exit_code == 3 and "backend" in verdict.describe()


def test_a_crash_now_and_then_is_no_loss() -> None:
    """The fifth within a minute is; each program has its own count."""
    verdict = Verdict()
    assert not any(verdict.crashed("backend", now) for now in (0, 20, 40, 61, 81, 101))
    assert not verdict.crashed("proxy", 102) and not verdict.crashed("backend", 102)
    assert verdict.crashed("backend", 103)


def test_a_program_that_never_ran_is_told_so() -> None:
    """With a shell's code for what cannot be started."""
    verdict = Verdict()
    assert verdict.lost("proxy") and verdict.exit_code == 127 and "could not be started" in verdict.describe()
