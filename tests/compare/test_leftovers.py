"""Whose containers may be removed: of a run of ours that has ended, and of nobody else."""

from __future__ import annotations

import os
import subprocess
import sys

from pillion.compare.engines.leftovers import has_ended, owner

SAY = "from pillion.compare.engines.leftovers import owner; print(owner())"


def test_a_run_that_lives_keeps_what_is_its() -> None:
    """Ours is alive."""
    assert not has_ended(owner())


def test_a_run_that_has_ended_left_what_there_is() -> None:
    """Killed or not."""
    said = subprocess.run([sys.executable, "-c", SAY], capture_output=True, text=True, check=True).stdout.strip()
    assert has_ended(said)


def test_another_process_of_the_same_pid_is_another() -> None:
    """It began at another time."""
    namespace, pid, started = owner().split("-")
    assert has_ended(f"{namespace}-{pid}-{int(started) + 1}")


def test_what_cannot_be_told_is_left_alone() -> None:
    """A run in another pid namespace may live; other people's labels are theirs."""
    _, _, started = owner().split("-")
    for text in (f"1-{os.getpid()}-{int(started) + 1}", "", "nonsense", owner().rpartition("-")[0]):
        assert not has_ended(text)
