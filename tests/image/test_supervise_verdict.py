"""What is said of a program's end, and which control groups' figures are believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillion.image.supervise.memory import own_memory
from pillion.image.supervise.verdict import End, Verdict


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (End(3 << 8), "it exited with 3"),
        (End(9), "SIGKILL ended it"),
        (End(35), "signal 35 ended it"),
        (End(9, oom=True), "SIGKILL ended it, the kernel's for want of memory"),
    ],
)
def test_an_end_is_told_in_words(end: End, says: str) -> None:
    """Signals by name where they have one."""
    assert str(end) == says


def test_the_first_loss_decides() -> None:
    """The other program's end is a consequence."""
    verdict = Verdict()
    verdict.ended("backend", End(3 << 8, cpu_s=1.26, memory_kib=300 * 1024))
    assert verdict.lost("backend") and not verdict.lost("proxy")
    assert verdict.exit_code == 3
    assert verdict.describe("no database") == (
        "the backend is lost: it exited with 3; the container ends with 3; it used 1.3 s of CPU and 300 MiB; "
        "its last line: no database"
    )


def test_a_program_that_never_ran_is_told_so() -> None:
    """With a shell's code for what cannot be started, also if an earlier start of it ended otherwise."""
    verdict = Verdict()
    verdict.ended("proxy", End(0))
    verdict.started("proxy")
    assert verdict.lost("proxy") and verdict.exit_code == 127 and "could not be started" in verdict.describe()


@pytest.mark.parametrize(
    ("cgroup", "file", "text"),
    [
        ("0::/a/b\n", "a/b/memory.events", "low 0\noom 3\noom_kill 2\n"),
        ("0::/\n", "memory.events", "oom_kill 2\noom_group_kill 0\n"),
        ("0::/not/seen/here\n", "memory.events", "oom_kill 2\n"),
        ("4:cpu,cpuacct:/x\n3:memory:/y\n", "memory/y/memory.oom_control", "under_oom 0\noom_kill 2\n"),
        ("3:memory:/of/the/host\n0::/\n", "memory/memory.oom_control", "oom_kill_disable 0\noom_kill 2\n"),
    ],
)
def test_the_kernels_count_is_read_from_either_version(tmp_path: Path, cgroup: str, file: str, text: str) -> None:
    """Whether or not the container has a namespace of its own for control groups."""
    own = tmp_path / "own"
    own.write_text(cgroup)
    (tmp_path / "fs" / file).parent.mkdir(parents=True)
    (tmp_path / "fs" / file).write_text(text)
    assert own_memory(tmp_path / "fs", own).oom_kills == 2


@pytest.mark.parametrize("cgroup", ["", "0::/\n", "3:memory:/\n", "nonsense\n"])
def test_where_the_kernel_does_not_say_nothing_is_claimed(tmp_path: Path, cgroup: str) -> None:
    """No control groups, or none that count."""
    own = tmp_path / "own"
    own.write_text(cgroup)
    assert {own_memory(tmp_path, file).oom_kills for file in (own, tmp_path / "absent")} == {None}
