"""Keeping processes in the family: whatever a program leaves behind is reparented to us, and ended by us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

# prctl(2)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the one to whom orphaned descendants are reparented, as PID 1 is anyway."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def dies_with(parent: int, number: int = signal.SIGTERM) -> Callable[[], None]:
    """For a child between fork and exec: be sent `number` when the process `parent` has gone."""

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def children() -> set[int]:
    """The processes whose parent we are, adopted ones included."""
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found.update(map(int, (thread / "children").read_text().split()))
    return found


def end_children(spare: Collection[int] = ()) -> None:
    """Kill every child but `spare`. Each death can bring its own children to us, so until there is none."""
    while doomed := children() - set(spare):
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


@contextlib.contextmanager
def no_child_left() -> Iterator[None]:
    """However the block ends, no process that was started in it outlives it."""
    adopt_orphans()
    before = children()
    try:
        yield
    finally:
        end_children(spare=before)
