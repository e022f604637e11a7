"""Keeping processes in the family: whatever a program leaves behind is reparented to us, and ended by us."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

# prctl(2)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36


def _prctl() -> Callable[[int, int, int, int, int], int]:
    """Loaded when it is needed: `enter` has no use for it and must start fast."""
    import ctypes

    return ctypes.CDLL(None, use_errno=True).prctl


def adopt_orphans() -> None:
    """Become the one to whom orphaned descendants are reparented, as PID 1 is anyway."""
    _prctl()(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def shut_out_peers() -> None:
    """Let no other process of our uid look into this one and its children: environment, descriptors and memory
    (prctl(2))."""
    _prctl()(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def dies_with(parent: int, number: int = signal.SIGTERM) -> Callable[[], None]:
    """For a child between fork and exec: be sent `number` when the process `parent` has gone."""

    prctl = _prctl()  # not between fork and exec

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
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
    _end(lambda: children() - set(spare))


def end_group(leader: int) -> None:
    """Kill what an earlier child of ours left in its process group; when this returns, it is gone. Only what has become
    our child: if nothing is left, the group's number may be somebody else's by now."""
    _end(lambda: {pid for pid in children() if _group(pid) == leader})


def _end(doomed: Callable[[], set[int]]) -> None:
    while pids := doomed():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


@contextlib.contextmanager
def no_child_left() -> Iterator[None]:
    """However the block ends, no process that was started in it outlives it."""
    adopt_orphans()
    before = children()
    try:
        yield
    finally:
        end_children(spare=before)
