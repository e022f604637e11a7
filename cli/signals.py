"""Ctrl-C and SIGTERM end a command in the same way: everything it started is stopped first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Stopped(KeyboardInterrupt):
    """The command was told to stop, by this signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Stopping:
    """Whether the command was told to stop. An exception that a handler raises can be lost, in a destructor say; loops
    ask here as well."""

    def __init__(self) -> None:
        self.number = 0

    def check(self) -> None:
        """Raise Stopped if it was told to stop."""
        if self.number:
            raise Stopped(self.number)


@contextmanager
def stop_on_signals() -> Iterator[Stopping]:
    """Raise Stopped, once, when one of STOPPING comes; further ones do not disturb the stopping."""
    stopping = Stopping()

    def stop(number: int, _: FrameType | None) -> None:
        if not stopping.number:
            stopping.number = number
            raise Stopped(number)

    previous = {number: signal.getsignal(number) for number in STOPPING}
    for number in previous:
        signal.signal(number, stop)
    try:
        yield stopping
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
