"""What the programs write, on our own stdout and stderr: whole lines, prefixed, never at the price of a signal.

The policy when nobody reads: nothing is dropped while we run. Up to `MOST_PENDING` bytes are kept, then the programs'
pipes are not read any more, so that they block as they would on a pipe of their own; signals are served all the same.
At the end what is left gets one last second.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable

MOST_PENDING = 1 << 20
LAST_WORDS_S = 1.0
# A pipe that polls as writable takes this much without blocking (pipe(7), PIPE_BUF).
_AT_ONCE = 4096


class LogStream:
    """One of our descriptors 1 and 2, as a dispatcher of supervisord's main loop, which asks when it is writable."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._pending = bytearray()

    def put(self, program: str, lines: Iterable[bytes]) -> None:
        """Write these lines, each with its program's name, as far as that does not block; keep the rest."""
        self._pending += b"".join(b"%-7s | %s\n" % (program.encode(), line) for line in lines)
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

    def finish(self) -> None:
        """Give a slow reader a last chance."""
        deadline = time.monotonic() + LAST_WORDS_S
        while self._pending and self._takes(deadline - time.monotonic()):
            self._write()

    def _takes(self, wait_s: float) -> bool:
        poll = select.poll()
        poll.register(self.descriptor, select.POLLOUT)
        return bool(poll.poll(max(wait_s, 0.0) * 1000))

    def _write(self) -> None:
        try:
            del self._pending[: os.write(self.descriptor, self._pending[:_AT_ONCE])]
        except BlockingIOError:
            return
        except OSError:
            # Its reader has gone for good: a log that cannot be written must not end the programs.
            self._pending.clear()
