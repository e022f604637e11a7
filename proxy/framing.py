"""Where a body ends, and its bytes on the way: Content-Length, chunked, until close (RFC 9112 sections 6 and 7).

Bodies are never collected. A reader is fed what arrives and gives back at once what goes out; chunk boundaries are
kept, chunk extensions are dropped, trailers are passed on. Anything ambiguous is an error.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from math import inf
from typing import NamedTuple, Protocol

from pillion.proxy.errors import BadRequest, ExchangeError, UpstreamMalformed
from pillion.proxy.head import TOKEN, Control, RequestHead, ResponseHead, list_members

LAST_CHUNK = b"0\r\n\r\n"

_MAX_CHUNK_LINE = 1024  # bytes; a size of 15 digits and whatever extensions someone may really send
_MAX_TRAILERS = 16384  # bytes
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + _QUOTED + rb"))?"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:" + _EXTENSION + rb")*")
_FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):[\t -~\x80-\xff]*")
# Must not be in trailers (RFC 9110 section 6.5.1): framing, routing, connection.
_NOT_IN_TRAILERS = frozenset(
    (b"connection", b"content-length", b"forwarded", b"host", b"keep-alive", b"proxy-connection", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port",
     b"x-forwarded-proto")
)  # fmt: skip


class Kind(Enum):
    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


class Framing(NamedTuple):
    """How a message's end is found. `length` in bytes, for LENGTH only."""

    kind: Kind
    length: int = 0


class MalformedBody(ExchangeError):
    """The body's framing is broken. The side that sent it decides what that means."""

    status = 400
    error = "http_request_error"


NO_BODY = Framing(Kind.NONE)
CHUNKED = Framing(Kind.CHUNKED)
UNTIL_CLOSE = Framing(Kind.UNTIL_CLOSE)


def request_framing(head: RequestHead) -> Framing:
    """The framing of a request's body (RFC 9112 section 6.3). Raises BadRequest for anything ambiguous."""
    control = head.control
    if b"transfer-encoding" in control:
        if b"content-length" in control or head.minor == 0:
            raise BadRequest("ambiguous framing: Transfer-Encoding with Content-Length, or in HTTP/1.0")
        codings = list_members(control[b"transfer-encoding"])
        if codings != [b"chunked"]:
            if codings[-1:] == [b"chunked"] and codings.count(b"chunked") == 1:
                raise BadRequest("transfer coding not supported", 501)
            raise BadRequest("ambiguous framing: Transfer-Encoding does not end in one chunked")
        return CHUNKED
    if b"content-length" in control:
        try:
            length = _content_length(control)
        except ValueError:
            raise BadRequest("ambiguous framing: bad Content-Length") from None
        return Framing(Kind.LENGTH, length) if length else NO_BODY
    return NO_BODY


def response_framing(head: ResponseHead, method: bytes) -> Framing:
    """The framing of a response's body (RFC 9112 section 6.3). Raises UpstreamMalformed for anything ambiguous."""
    if method == b"HEAD":
        return NO_BODY
    if head.framing is None:
        head.framing = _response_framing(head)
    return head.framing


def _response_framing(head: ResponseHead) -> Framing:
    if head.status in (204, 304) or head.status < 200:
        return NO_BODY
    control = head.control
    if b"transfer-encoding" in control:
        if b"content-length" in control or head.minor == 0:
            raise UpstreamMalformed("the backend's answer is framed ambiguously")
        if list_members(control[b"transfer-encoding"]) != [b"chunked"]:
            raise UpstreamMalformed("the backend's answer has a transfer coding nobody asked for")
        return CHUNKED
    if b"content-length" in control:
        try:
            length = _content_length(control)
        except ValueError:
            raise UpstreamMalformed("the backend's answer has a bad Content-Length") from None
        return Framing(Kind.LENGTH, length) if length else NO_BODY
    return UNTIL_CLOSE


def _content_length(control: Control) -> int:
    values = control[b"content-length"]
    if len(values) != 1 or not values[0].isdigit() or len(values[0]) > 18:
        raise ValueError
    return int(values[0])


LABORIOUS = 4096  # bytes; so many of a body in chunks can be a thousand chunks


class BodyReader(Protocol):
    """Bytes in, bytes for the next hop out."""

    complete: bool
    surplus: bytes  # what came behind the end of the body

    def feed(self, data: bytes) -> bytes:
        """What to send on for `data`. Raises MalformedBody."""

    def end(self) -> bytes:
        """What to send on when the sender closes. Raises MalformedBody if the body is incomplete."""


class LengthReader:
    """A body of a known number of bytes."""

    __slots__ = ("complete", "remaining", "surplus")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.complete = length == 0
        self.surplus = b""

    def feed(self, data: bytes) -> bytes:
        if len(data) < self.remaining:
            self.remaining -= len(data)
            return data
        self.complete = True
        if len(data) > self.remaining:
            data, self.surplus = data[: self.remaining], data[self.remaining :]
        self.remaining = 0
        return data

    def skip(self, size: int) -> None:
        """That many bytes went another way."""
        self.remaining -= size
        self.complete = not self.remaining

    def end(self) -> bytes:
        raise MalformedBody(f"the body ended {self.remaining} bytes early")


BODYLESS = LengthReader(0)  # complete from the start, and never fed


class UntilCloseReader:
    """A body that ends with the connection; sent on in chunks if `chunk`."""

    __slots__ = ("_chunk", "complete", "surplus")

    def __init__(self, *, chunk: bool) -> None:
        self._chunk = chunk
        self.complete = False
        self.surplus = b""

    def feed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunk and data else data

    def end(self) -> bytes:
        self.complete = True
        return LAST_CHUNK if self._chunk else b""


class _State(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()


class ChunkedReader:
    """A chunked body, strictly read; sent on in the same chunks, or bare if `decode`."""

    __slots__ = (
        "_decode", "_held", "_left", "_remaining", "_state", "_trailers", "_trailers_size", "complete", "surplus",
    )  # fmt: skip

    def __init__(self, *, decode: bool = False, most: int = 0) -> None:
        """`most` bytes of content, unless that is 0."""
        self._decode = decode
        self._left = most or inf
        self._state = _State.SIZE
        self._held = b""  # an unfinished line
        self._remaining = 0
        self._trailers: list[bytes] = []
        self._trailers_size = 0
        self.complete = False
        self.surplus = b""

    def feed(self, data: bytes) -> bytes:
        if self._held:
            data, self._held = self._held + data, b""
        out: list[bytes] = []
        position, size = 0, len(data)
        while position < size and not self.complete:
            if self._state is _State.DATA:
                piece = data[position : position + self._remaining] if position or self._remaining < size else data
                out.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if not self._remaining:
                    self._state = _State.DATA_END
                continue
            end = data.find(b"\n", position)
            if end < 0:
                self._hold(data[position:])
                break
            if data[end - 1 : end] != b"\r" or end == position:
                raise MalformedBody("malformed chunk: a line that does not end in CRLF")
            self._line(data[position : end - 1], out)
            position = end + 1
        if self.complete:
            self.surplus = data[position:]
        return b"".join(out)

    def end(self) -> bytes:
        raise MalformedBody("the body ended before its last chunk")

    def _hold(self, part: bytes) -> None:
        """Keep the beginning of a line, unless it can no longer become a good one."""
        limit = {_State.SIZE: _MAX_CHUNK_LINE, _State.DATA_END: 1, _State.TRAILERS: _MAX_TRAILERS}[self._state]
        if len(part) > limit or b"\r" in part[:-1] or (self._state is _State.DATA_END and part != b"\r"):
            raise MalformedBody("malformed chunk")
        self._held = part

    def _line(self, line: bytes, out: list[bytes]) -> None:
        if self._state is _State.SIZE:
            match = _CHUNK_LINE.fullmatch(line) if len(line) <= _MAX_CHUNK_LINE else None
            if match is None:
                raise MalformedBody("malformed chunk size")
            self._remaining = int(match[1], 16)
            self._left -= self._remaining
            if self._left < 0:
                raise BadRequest("the request's body is too long", 413)
            if self._remaining:
                self._state = _State.DATA
                if not self._decode:
                    out.append(b"%x\r\n" % self._remaining)
            else:
                self._state = _State.TRAILERS
        elif self._state is _State.DATA_END:
            if line:
                raise MalformedBody("malformed chunk: longer than its size")
            self._state = _State.SIZE
            if not self._decode:
                out.append(b"\r\n")
        elif line:
            self._trailer(line)
        else:
            self.complete = True
            if not self._decode:
                # The last chunk goes out only now: until here the message can still turn out to be broken.
                out.append(b"0\r\n" + b"".join(self._trailers) + b"\r\n")

    def _trailer(self, line: bytes) -> None:
        match = _FIELD_LINE.fullmatch(line)
        self._trailers_size += len(line)
        if match is None or self._trailers_size > _MAX_TRAILERS:
            raise MalformedBody("malformed trailers")
        if match[1].lower().replace(b"_", b"-") not in _NOT_IN_TRAILERS:
            self._trailers.append(line + b"\r\n")


def request_reader(framing: Framing, most: int) -> BodyReader:
    """The reader of a request's body of at most `most` bytes, or any number if that is 0: the backend gets it framed as
    the client sent it."""
    return ChunkedReader(most=most) if framing.kind is Kind.CHUNKED else LengthReader(framing.length)


def response_reader(framing: Framing, minor: int) -> BodyReader:
    """The reader of a response's body, for a client of HTTP/1.`minor`: 1.0 knows no chunks (RFC 9112 section 7.1)."""
    if framing.kind is Kind.CHUNKED:
        return ChunkedReader(decode=minor == 0)
    if framing.kind is Kind.UNTIL_CLOSE:
        return UntilCloseReader(chunk=minor == 1)
    return LengthReader(framing.length) if framing.length else BODYLESS
