"""One side's connection: a gevent socket, and the bytes that were read from it and not used yet.

Foreign errors are mapped here, once, into the errors of the side. A plain `send` in a loop is used where gevent's
`sendall` would ask the kernel for the buffer size each time.
"""

from __future__ import annotations

import re
import struct
from time import monotonic

import gevent.socket as gsocket

from pillion.proxy.errors import (
    BadRequest,
    ClientLost,
    ClientTimeout,
    ExchangeError,
    UpstreamLost,
    UpstreamMalformed,
    UpstreamTimeout,
)

RECEIVE_SIZE = 65536  # bytes; glibc serves it without a system call

_BARE_LF = re.compile(rb"(?<!\r)\n")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class Stream:
    """A connection, buffered on its reading side. Timeouts in seconds are set by whoever waits."""

    peer = "peer"
    lost: type[ExchangeError] = ExchangeError
    timed_out: type[ExchangeError] = ExchangeError

    __slots__ = ("pending", "received", "sent", "socket")

    def __init__(self, socket: gsocket.socket) -> None:
        self.socket = socket
        self.pending = b""
        self.received = 0  # bytes
        self.sent = 0  # bytes

    def receive(self) -> bytes:
        """The next bytes, as soon as there are some; empty at the end of the stream."""
        if self.pending:
            data, self.pending = self.pending, b""
            return data
        try:
            data = self.socket.recv(RECEIVE_SIZE)
        except TimeoutError:
            raise self.timed_out(f"the {self.peer} paused for too long") from None
        except OSError:
            raise self.lost(f"the {self.peer} reset the connection") from None
        self.received += len(data)
        return data

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            size = len(data)
            done = self.socket.send(data)
            if done < size:
                view = memoryview(data)
                while done < size:
                    done += self.socket.send(view[done:])
        except TimeoutError:
            raise self.timed_out(f"the {self.peer} took nothing for too long") from None
        except OSError:
            raise self.lost(f"the {self.peer} closed the connection") from None
        self.sent += size

    def read_head(self, limit: int, idle: float, whole: float) -> bytes | None:
        """A message's head with its empty line, or None if the peer closes before it.

        `idle` is the time to its first byte, `whole` from there to its last; after a timeout, what came is pending.
        """
        data = self.pending
        if not data:
            self.socket.settimeout(idle)
            data = self.receive()
            if not data:
                return None
        deadline = 0.0
        while True:
            if data.startswith(b"\r\n"):
                data = data.lstrip(b"\r\n")  # an empty line before a request (RFC 9112 section 2.2)
            end = data.find(b"\r\n\r\n")
            if end >= 0 and end + 4 <= limit:
                self.pending = data[end + 4 :]
                return data[: end + 4]
            self.pending = data
            if len(data) >= limit:
                raise self.too_long(b"\r\n" in data[:limit])
            if _BARE_LF.search(data):
                raise self.malformed("a line that does not end in CRLF")
            now = monotonic()
            if not deadline:
                deadline = now + whole
            if now >= deadline:
                raise self.timed_out(f"the {self.peer} took too long for its head")
            self.socket.settimeout(deadline - now)
            self.pending = b""
            try:
                more = self.receive()
            except ExchangeError:
                self.pending = data
                raise
            if not more:
                raise self.lost(f"the {self.peer} closed the connection inside a head")
            data += more

    def too_long(self, past_first_line: bool) -> ExchangeError:
        return self.malformed("its head is too long")

    def malformed(self, why: str) -> ExchangeError:
        return ExchangeError(why)

    def quiet(self) -> bool:
        """Whether the connection is open and nothing has come: no bytes, no end, no error."""
        if self.pending:
            return False
        self.socket.settimeout(0.0)
        try:
            self.socket.recv(1, gsocket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def shutdown(self) -> None:
        """End both directions; who waits on the stream sees its end."""
        try:
            self.socket.shutdown(gsocket.SHUT_RDWR)
        except OSError:
            pass

    def reset(self) -> None:
        """Close so that the peer sees an error and not an end."""
        try:
            self.socket.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_LINGER, _RESET_ON_CLOSE)
        except OSError:
            pass
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


class ClientStream(Stream):
    """The client's connection."""

    peer = "client"
    lost = ClientLost
    timed_out = ClientTimeout

    __slots__ = ()

    def too_long(self, past_first_line: bool) -> ExchangeError:
        if past_first_line:
            return BadRequest("the request's head is too long", 431)
        return BadRequest("the request line is too long", 414)

    def malformed(self, why: str) -> ExchangeError:
        return BadRequest(f"malformed request: {why}")

    def linger(self, seconds: float) -> None:
        """Say that nothing follows, then take in what the client still sends.

        Closing at once would reset the connection, and the client could lose the answer (RFC 9112 section 9.6).
        """
        deadline = monotonic() + seconds
        try:
            self.socket.shutdown(gsocket.SHUT_WR)
            while (left := deadline - monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.socket.recv(RECEIVE_SIZE):
                    return
        except OSError:
            pass


class UpstreamStream(Stream):
    """A connection to the backend."""

    peer = "backend"
    lost = UpstreamLost
    timed_out = UpstreamTimeout

    __slots__ = ("idle_since", "reused")

    def __init__(self, socket: gsocket.socket) -> None:
        super().__init__(socket)
        self.reused = False
        self.idle_since = 0.0  # monotonic

    def malformed(self, why: str) -> ExchangeError:
        return UpstreamMalformed(f"the backend's answer is malformed: {why}")
