"""Ctrl-C and SIGTERM end a command in the same way: everything it started is stopped first."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# Where Popen has taken its lock and not yet begun to see to its release: after an exception there, every later wait for
# that child would never end.
LOCKED = frozenset({"_internal_poll", "_wait"})


class Stopped(KeyboardInterrupt):
    """The command was told to stop, by this signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stopping:
    """Whether the command was told to stop. An exception that a handler raises can be lost, in a destructor say, and
    where it would do harm none is raised; loops ask here as well."""

    def __init__(self) -> None:
        self.number = 0
        self.raised = False

    def check(self) -> None:
        """Raise Stopped if it was told to stop."""
        if self.number:
            self.raised = True
            raise Stopped(self.number)


@contextmanager
def stop_on_signals() -> Iterator[Stopping]:
    """Raise Stopped, once, when one of STOPPING comes; further ones do not disturb the stopping."""
    stopping = Stopping()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.number = stopping.number or number
        if not stopping.raised and not _in_popens_lock(frame):
            stopping.check()

    def lost(unraisable: sys.UnraisableHookArgs) -> None:
        if isinstance(unraisable.exc_value, Stopped):
            # In a destructor, from which nothing comes up: the next loop to ask, or the next signal, raises.
            stopping.raised = False
        else:
            before(unraisable)

    before, sys.unraisablehook = sys.unraisablehook, lost
    previous = {number: signal.getsignal(number) for number in STOPPING}
    for number in previous:
        signal.signal(number, stop)
    try:
        yield stopping
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        sys.unraisablehook = before


def _in_popens_lock(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename == subprocess.__file__ and frame.f_code.co_name in LOCKED
