"""One side's connection: a non-blocking socket, and the bytes that were read from it and not used yet.

Foreign errors are mapped here, once, into the errors of the side.
"""

from __future__ import annotations

import re
import struct
from _socket import MSG_PEEK, SHUT_RDWR, SHUT_WR, SO_LINGER, SOL_SOCKET
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from pillion.proxy.errors import ExchangeError
from pillion.proxy.watched import Watched

RECEIVE_SIZE = 65536  # bytes; glibc serves it without a system call
READS_IN_A_ROW = 16  # then it is the others' turn

_BARE_LF = re.compile(rb"(?<!\r)\n")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class Socket(Protocol):
    """What a stream stands on: a socket of the kernel, or TLS over one. Never blocks: raises BlockingIOError."""

    def recv(self, size: int, flags: int = 0, /) -> bytes: ...

    def send(self, data: bytes | memoryview, /) -> int: ...

    def fileno(self) -> int: ...

    def getsockname(self) -> Any: ...

    def shutdown(self, how: int, /) -> None: ...

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None: ...

    def close(self) -> None: ...


class Stream(Watched):
    """A connection, buffered on its reading side. One greenlet may read and another write. Times in seconds."""

    lost: type[ExchangeError] = ExchangeError
    reset_by_peer: type[ExchangeError] = ExchangeError
    plain = True  # nothing between us and the kernel's socket
    head_size = RECEIVE_SIZE  # bytes that are read at first where a head is expected

    __slots__ = (
        "_more",
        "_receive",
        "_send",
        "pending",
        "received",
        "sent",
        "socket",
    )

    def __init__(self, socket: Socket, patience: float) -> None:
        super().__init__(socket.fileno(), patience)
        self.socket = socket
        self.pending = b""
        self.received = 0  # bytes
        self.sent = 0  # bytes
        self._receive: Callable[[int], bytes] = socket.recv
        self._send: Callable[[bytes], int] = socket.send
        self._more = 0  # reads in a row that filled their buffer: the next one need not wait

    def receive(self, most: int = RECEIVE_SIZE) -> bytes:
        """The next bytes, as soon as there are some; empty at the end of the stream."""
        if self.pending:
            data, self.pending = self.pending, b""
            return data
        wait = not self._more % READS_IN_A_ROW
        while True:
            if wait:
                self.wait_to_read()
            try:
                data = self._receive(most)
                break
            except BlockingIOError:
                wait = True
            except OSError:
                raise self.reset_by_peer(f"the {self.peer} reset the connection") from None
        self._more = self._more + 1 if len(data) == most else 0
        self.received += len(data)
        return data

    def at_once(self) -> bytes:
        """The rest of what did not fit into the last read, without waiting for it; empty if there is none."""
        if not self._more or not self.plain:
            return b""
        try:
            data = self._receive(RECEIVE_SIZE)
        except BlockingIOError:
            self._more = 0
            return b""
        except OSError:
            raise self.reset_by_peer(f"the {self.peer} reset the connection") from None
        self._more = self._more + 1 if len(data) == RECEIVE_SIZE else 0
        self.received += len(data)
        return data

    def let_others_go_first(self) -> None:
        """What was received took long to work on: the next read is not done at once, even if there is something."""
        self._more = 0

    def passed_by(self, count: int) -> None:
        """So many bytes were received without going through our hands."""
        self._more = 0
        self.received += count

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        size = len(data)
        try:
            done = self._send(data)
        except BlockingIOError:
            done = 0
        except OSError:
            raise self.reset_by_peer(f"the {self.peer} closed the connection") from None
        if done < size:
            self._send_rest(memoryview(data), done)
        self.sent += size

    def _send_rest(self, data: memoryview, done: int) -> None:
        while done < len(data):
            self.wait_to_write()
            try:
                done += self.socket.send(data[done:])
            except BlockingIOError:
                pass
            except OSError:
                raise self.reset_by_peer(f"the {self.peer} closed the connection") from None

    def read_head(self, limit: int, idle: float, whole: float) -> bytes | None:
        """A message's head with its empty line, or None if the peer closes before it.

        `idle` is the time to its first byte, `whole` from there to its last; after a timeout, what came is pending.
        """
        if not self.pending:
            self.read_patience = idle
            data = self.receive(self.head_size)
            if not data:
                return None
            self.pending = data
        data = self.pending
        deadline = 0.0
        seen = 0  # bytes that have been looked through: a head may come in very many pieces
        while True:
            while data.startswith(b"\r\n"):
                data = data[2:]  # an empty line before a request (RFC 9112 section 2.2)
                seen = 0
            end = data.find(b"\r\n\r\n", max(seen - 3, 0)) + 4
            if 4 <= end <= limit:
                if end == len(data):
                    self.pending = b""
                    return data
                self.pending = data[end:]
                return data[:end]
            self.pending = data
            if len(data) >= limit:
                raise self.too_long(b"\r\n" in data[:limit])
            if _BARE_LF.search(data, max(seen - 1, 0)):
                raise self.malformed("a line that does not end in CRLF")
            seen = len(data)
            now = monotonic()
            if not deadline:
                deadline = now + whole
            if now >= deadline:
                raise self.timed_out(f"the {self.peer} took too long for its head")
            self.read_patience = deadline - now
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
        try:
            self.socket.recv(1, MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def shutdown(self) -> None:
        """End both directions; who waits on the stream sees its end."""
        try:
            self.socket.shutdown(SHUT_RDWR)
        except OSError:
            pass

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        try:
            self.socket.shutdown(SHUT_WR)
        except OSError:
            pass

    def reset(self) -> None:
        """Close so that the peer sees an error and not an end."""
        self._reset_on_close()
        self.close()

    def _reset_on_close(self) -> None:
        try:
            self.socket.setsockopt(SOL_SOCKET, SO_LINGER, _RESET_ON_CLOSE)
        except OSError:
            pass

    def close(self) -> None:
        self.detach().close()

    def detach(self) -> Socket:
        """Let go of the socket, and give it away."""
        self._stop_watching()
        return self.socket
