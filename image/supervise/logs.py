"""Our own stdout and stderr, written to whenever they take something and never at the price of a signal.

The policy when nobody reads: nothing is dropped while we run. Up to `MOST_PENDING` bytes of each are kept, then the
programs' pipes are not read any more, so that they block as they would on a pipe of their own; signals are served all
the same. While all is being stopped they are read again, so that no program is killed over its last words; what does
not fit is dropped and counted. At the end what is left gets a last moment, within the deadline.
"""

from __future__ import annotations

import os
import select
import time

MOST_PENDING = 1 << 20
# A pipe that polls as writable takes this much without blocking (pipe(7), PIPE_BUF).
_AT_ONCE = 4096


class LogStream:
    """One of our descriptors 1 and 2, as a dispatcher of supervisord's main loop, which asks when it is writable."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._pending = bytearray()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def put(self, lines: bytes) -> None:
        """Write these as far as that does not block; keep the rest."""
        self._pending += lines
        self.handle_write_event()

    @property
    def congested(self) -> bool:
        """Whether so much is kept that no more should be taken in."""
        return len(self._pending) >= MOST_PENDING

    def readable(self) -> bool:
        """Never."""
        return False

    def writable(self) -> bool:
        """Only while something is kept."""
        return bool(self._pending)

    def handle_write_event(self) -> None:
        """Write what goes without blocking."""
        while self._pending and self._takes(0.0):
            self._write()

    def handle_error(self) -> None:
        """Nothing to close."""

    def finish(self, deadline: float) -> None:
        """Give a slow reader a last chance, until `deadline` (monotonic)."""
        while self._pending and self._takes(deadline - time.monotonic()):
            self._write()

    def _takes(self, wait_s: float) -> bool:
        return bool(self._poll.poll(max(wait_s, 0.0) * 1000))

    def _write(self) -> None:
        try:
            del self._pending[: os.write(self.descriptor, self._pending[:_AT_ONCE])]
        except BlockingIOError:
            return
        except OSError:
            # Its reader has gone for good: a log that cannot be written must not end the programs.
            self._pending.clear()
