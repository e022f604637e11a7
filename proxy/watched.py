"""A connection that is waited on: watched from the first wait to its end, with one timer for all its time limits.

gevent's own sockets ask the event loop anew for each wait and start a timer for each time limit. Here a connection
costs the loop no system call for a request, and its timer is moved only when a time limit would come before it.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Any

from gevent import get_hub
from greenlet import getcurrent, greenlet

from pillion.proxy.errors import ExchangeError

_READ, _WRITE = 1, 2  # of the event loop


class Watched:
    """A descriptor on which one greenlet may wait to read and another to write. Times in seconds."""

    peer = "peer"
    timed_out: type[ExchangeError] = ExchangeError

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_descriptor",
        "_hub",
        "_read_by",
        "_read_watch",
        "_reader",
        "_watching",
        "_write_by",
        "_write_watch",
        "_writer",
        "read_patience",
        "write_patience",
    )

    def __init__(self, descriptor: int, patience: float) -> None:
        self.read_patience = patience
        self.write_patience = patience
        self._descriptor = descriptor
        self._hub = get_hub()
        self._read_watch: Any = self._hub.loop.io(descriptor, _READ)
        self._write_watch: Any = None
        self._watching = False
        self._reader: greenlet | None = None
        self._writer: greenlet | None = None
        self._read_by = self._write_by = inf  # monotonic
        self._alarm: Any = None
        self._alarm_at = inf  # monotonic

    def wait_to_read(self) -> None:
        if not self._watching:
            self._watch()
        by = self._read_by = monotonic() + self.read_patience
        if by < self._alarm_at:
            self._set_alarm(by)
        self._reader = getcurrent()
        try:
            late = self._hub.switch()
        finally:
            self._reader = None
        if late:
            raise self.timed_out(f"the {self.peer} paused for too long")

    def wait_to_write(self) -> None:
        if self._write_watch is None:
            self._write_watch = self._hub.loop.io(self._descriptor, _WRITE)
        self._writer = getcurrent()
        self._write_watch.start(self._writer.switch, False)
        by = self._write_by = monotonic() + self.write_patience
        if by < self._alarm_at:
            self._set_alarm(by)
        try:
            late = self._hub.switch()
        finally:
            self._writer = None
            self._write_watch.stop()
        if late:
            raise self.timed_out(f"the {self.peer} took nothing for too long")

    def hurry(self, seconds: float) -> None:
        """Whoever waits to read gets no longer than this."""
        by = monotonic() + seconds
        if self._reader is not None and by < self._read_by:
            self._read_by = by
            if by < self._alarm_at:
                self._set_alarm(by)

    def _watch(self) -> None:
        self._watching = True
        self._read_watch.start(self._on_readable)

    def _unwatch(self) -> None:
        self._watching = False
        self._read_watch.stop()

    def _on_readable(self) -> None:
        """Runs in the hub."""
        if self._reader is not None:
            self._reader.switch(False)
        else:
            self._unwatch()
            self.on_unasked()

    def on_unasked(self) -> None:
        """Something came while nobody read. Runs in the hub: must not wait."""

    def next_deadline(self, now: float) -> float:
        """The next moment for which the alarm must be set, apart from reading and writing. Runs in the hub."""
        return inf

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.close()
        self._alarm_at = at
        self._alarm = self._hub.loop.timer(max(0.0, at - monotonic()))
        self._alarm.start(self._on_alarm)

    def _on_alarm(self) -> None:
        """Wake who has waited too long; the alarm may also come early, as deadlines move on. Runs in the hub."""
        self._alarm_at = inf
        now = monotonic()
        late = []
        following = self.next_deadline(now)
        for waiter, by in ((self._reader, self._read_by), (self._writer, self._write_by)):
            if waiter is None:
                continue
            if by <= now:
                late.append(waiter)
            else:
                following = min(following, by)
        if following < inf:
            self._set_alarm(following)
        for waiter in late:
            waiter.switch(True)

    def _stop_watching(self) -> None:
        """For good."""
        self._read_watch.close()
        if self._write_watch is not None:
            self._write_watch.close()
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None
