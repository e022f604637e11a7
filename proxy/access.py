"""The access log: one line a request, on standard output.

Lines are gathered and written a few times a second. A reader who is slow costs lines, which are counted, and never a
request: nothing here waits for a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger
from time import monotonic_ns, time

import gevent

from pillion.proxy.access_format import Entry
from pillion.proxy.errors import ExchangeError
from pillion.proxy.exchange import Exchange
from pillion.proxy.head import RequestHead
from pillion.proxy.outlet import Outlet
from pillion.proxy.sides import ClientStream

_EVERY = 0.1  # seconds
_AGAIN = 0.005  # seconds, when a pipe was full
_KEPT = 4 * 1024**2  # bytes that wait for a slow reader


class AccessLog:
    """Standard output, without ever waiting for it."""

    def __init__(self, log: Logger, write: Callable[[Entry], bytes], descriptor: int = 1) -> None:
        """`write` makes a line of an entry."""
        self._make = write
        self._log = log
        self._outlet = Outlet(descriptor)
        self._begun = b""  # the rest of what has gone in part
        self._lines: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self._due = False

    def write(self, entry: Entry) -> None:
        """Add a line, or count it as dropped."""
        line = self._make(entry)
        if self._size + len(line) > _KEPT:
            self._dropped += 1
            return
        self._lines.append(line)
        self._size += len(line)
        if not self._due:
            self._due = True
            gevent.spawn_later(_EVERY, self._write_on)

    def flush(self) -> None:
        """Write what goes without waiting."""
        lines = self._lines
        written = 0
        try:
            while self._begun or written < len(lines):
                batch, end = (self._begun, written) if self._begun else self._batch(written)
                gone = self._outlet.write(batch)
                if not gone:
                    break
                self._begun, written = batch[gone:], end
        except OSError:
            self._dropped += len(lines) - written
            written = len(lines)
            self._begun = b""
        del lines[:written]
        self._size = sum(map(len, lines))
        if self._dropped and not lines:
            self._log.warning("access log: %d lines dropped, nobody read fast enough", self._dropped)
            self._dropped = 0

    def finish(self) -> None:
        """Write what goes, and say what does not."""
        self.flush()
        if lost := len(self._lines) + self._dropped:
            self._log.warning("access log: %d lines dropped at the end, nobody read fast enough", lost)

    def _batch(self, first: int) -> tuple[bytes, int]:
        """Lines from `first` that go at once, at least one, and which line is next."""
        lines, most = self._lines, self._outlet.at_once
        end, size = first + 1, len(lines[first])
        while end < len(lines) and (size := size + len(lines[end])) <= most:
            end += 1
        return b"".join(lines[first:end]), end

    def _write_on(self) -> None:
        self.flush()
        self._due = bool(self._lines or self._begun)
        if self._due:
            gevent.spawn_later(_AGAIN, self._write_on)


class Access:
    """Times one exchange after another on a client's connection."""

    def __init__(self, log: AccessLog, client: ClientStream, address: bytes) -> None:
        self._log = log
        self._client = client
        self._address = address
        self._start = 0  # nanoseconds
        self._received = self._sent = 0  # bytes, when the exchange before this one had ended

    def begin(self) -> None:
        self._start = monotonic_ns()

    def end(self, head: RequestHead, exchange: Exchange) -> None:
        received = self._client.received - len(self._client.pending)
        self._write(head, exchange.status, received, exchange.failure, exchange)

    def refuse(self, head: RequestHead | None, status: int, why: ExchangeError) -> None:
        """What was no request, with what is known of it: `head` may be no more than a line. Its time cannot be
        told from waiting, and its end is that of all that came."""
        self.begin()
        self._write(head, status, self._client.received, why)

    def _write(
        self,
        head: RequestHead | None,
        status: int,
        received: int,
        failure: ExchangeError | None,
        exchange: Exchange | None = None,
    ) -> None:
        sent = self._client.sent
        answered = exchange.answered_at if exchange is not None else 0
        self._log.write(
            Entry(
                time(),
                self._address,
                head,
                status,
                (monotonic_ns() - self._start) // 1000,
                (answered - self._start) // 1000 if answered else None,
                received - self._received,
                sent - self._sent,
                exchange is not None and exchange.retried,
                failure,
                b"" if exchange is None else exchange.request_id,
            )
        )
        self._received, self._sent = received, sent
