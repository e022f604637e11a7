"""Request and response heads: from bytes to values.

Two regular expressions read a head: one says whether it is one at all, by the grammar of RFC 9112 and nothing looser,
the other takes its fields apart. (llhttp does the same in three times the time, as each field is a call back into
Python, and has to be watched for what it lets pass.) Names keep their case, fields their order, targets their bytes.

Clients repeat their fields from request to request, and so do backends, for a second at a time. What the same bytes
mean is remembered, in a bounded number of heads of a bounded size: values made here are shared and never changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from pillion.proxy.errors import BadRequest, UpstreamMalformed

if TYPE_CHECKING:
    from pillion.proxy.framing import Framing

Field = tuple[bytes, bytes]
Fields = list[tuple[bytes, bytes, bytes]]  # name as received, name in lower case, value
Control = dict[bytes, list[bytes]]

# The fields that decide about framing and connection, collected while parsing.
CONTROL = frozenset(
    (b"connection", b"content-length", b"expect", b"host", b"max-forwards", b"transfer-encoding", b"upgrade")
)
REMEMBERED = 1024  # heads
_MEMORABLE = 2048  # bytes

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TEXT = rb"[\t -~\x80-\xff]*"
_REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([!\x22$-~]+) HTTP/1\.([01])\r\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: (" + _TEXT + rb"))?\r\n")
_BLOCK = re.compile(rb"(?:" + TOKEN + rb":" + _TEXT + rb"\r\n)*\r\n")
_FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*(" + _TEXT + rb")\r\n")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)([^#]*)", re.IGNORECASE)


class Block:
    """The fields of a head. Shared: never changed."""

    __slots__ = ("control", "fields", "host", "kept_by_1_0", "kept_by_1_1", "memorable")

    def __init__(self, data: bytes) -> None:
        """Raises ValueError if `data`, up to and including the empty line, is not a block of fields."""
        if _BLOCK.fullmatch(data) is None:
            raise ValueError
        self.memorable = len(data) <= _MEMORABLE
        self.fields: Fields = [(name, name.lower(), value.rstrip(b" \t")) for name, value in _FIELD.findall(data)]
        self.control = control = {}  # type: Control
        for _, lower, value in self.fields:
            if lower in CONTROL:
                control.setdefault(lower, []).append(value)
        hosts = control.get(b"host", [])
        self.host: bytes | None = hosts[0] if len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None else None
        options = list_members(control.get(b"connection", []))
        self.kept_by_1_1 = b"close" not in options
        self.kept_by_1_0 = self.kept_by_1_1 and b"keep-alive" in options


_remembered_block = lru_cache(maxsize=REMEMBERED)(Block)


def parse_block(data: bytes) -> Block:
    """Fields, with the empty line behind them. Raises ValueError."""
    return _remembered_block(data) if len(data) <= _MEMORABLE else Block(data)


class RequestHead:
    """A request's head. `minor` is the client's version: HTTP/1.`minor`; `host` is where the request goes."""

    __slots__ = ("block", "host", "method", "minor", "target")

    def __init__(self, method: bytes, target: bytes, minor: int, block: Block, host: bytes | None) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.block = block
        self.host = host

    @property
    def fields(self) -> Fields:
        return self.block.fields

    @property
    def control(self) -> Control:
        return self.block.control

    @property
    def persistent(self) -> bool:
        """Whether the client wants the connection kept (RFC 9112 section 9.3)."""
        return self.block.kept_by_1_1 if self.minor else self.block.kept_by_1_0


class ResponseHead:
    """A response's head. `minor` is the backend's version: HTTP/1.`minor`. Shared: never changed."""

    __slots__ = ("block", "framing", "minor", "reason", "status")

    def __init__(self, status: int, reason: bytes, minor: int, block: Block) -> None:
        self.status = status
        self.reason = reason
        self.minor = minor
        self.block = block
        self.framing: Framing | None = None  # as an answer to anything but HEAD, once it has been asked for

    @property
    def fields(self) -> Fields:
        return self.block.fields

    @property
    def control(self) -> Control:
        return self.block.control

    @property
    def persistent(self) -> bool:
        """Whether the backend keeps the connection (RFC 9112 section 9.3)."""
        return self.block.kept_by_1_1 if self.minor else self.block.kept_by_1_0


def parse_request_head(data: bytes) -> RequestHead:
    """The head that `data`, up to and including its empty line, is.

    Raises BadRequest: 400 for what is malformed or ambiguous (RFC 9112 sections 2.2, 3 and 5), 501 for CONNECT,
    505 for another major version.
    """
    line = _REQUEST_LINE.match(data)
    if line is None:
        raise _bad_request_line(data)
    method, target, minor = line.groups()
    try:
        block = parse_block(data[line.end() :])
    except ValueError:
        raise BadRequest("malformed request: a line that is no field") from None
    if method == b"CONNECT":
        raise BadRequest("CONNECT is not supported", 501)
    head = RequestHead(method, target, 1 if minor == b"1" else 0, block, block.host)
    if block.host is None or target[0] != 47:  # "/"
        _resolve_target(head)
    return head


def first_line(data: bytes) -> RequestHead | None:
    """What a head that cannot be read says first, if that much of it can be: a head without fields."""
    line = _REQUEST_LINE.match(data)
    if line is None:
        return None
    method, target, minor = line.groups()
    return RequestHead(method, target, 1 if minor == b"1" else 0, parse_block(b"\r\n"), None)


def _bad_request_line(data: bytes) -> BadRequest:
    parts = data[: data.find(b"\r\n")].split(b" ")
    if len(parts) != 3:
        return BadRequest("malformed request line")
    method, _, version = parts
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        if re.fullmatch(rb"HTTP/[0-9]\.[0-9]", version) is not None:
            return BadRequest("HTTP version not supported", 505)
        return BadRequest("malformed request line")
    if re.fullmatch(TOKEN, method) is None:
        return BadRequest("malformed method")
    return BadRequest("malformed request target")


def parse_response_head(data: bytes) -> ResponseHead:
    """The head that `data`, up to and including its empty line, is. Raises UpstreamMalformed (RFC 9112 section 4)."""
    return _remembered_response(data) if len(data) <= _MEMORABLE else _response(data)


def _response(data: bytes) -> ResponseHead:
    line = _STATUS_LINE.match(data)
    if line is None:
        raise UpstreamMalformed("the backend's answer is not HTTP/1")
    minor, status, reason = line.groups(b"")
    try:
        block = Block(data[line.end() :])
    except ValueError:
        raise UpstreamMalformed("the backend's answer is malformed: a line that is no field") from None
    block.memorable = len(data) <= _MEMORABLE
    return ResponseHead(int(status), reason, 1 if minor == b"1" else 0, block)


_remembered_response = lru_cache(maxsize=REMEMBERED)(_response)


def serialise(start_line: bytes, fields: Iterable[Field]) -> bytes:
    """A head on the wire."""
    return start_line + b"\r\n" + serialise_fields(fields)


def serialise_fields(fields: Iterable[Field]) -> bytes:
    """Fields on the wire, with the empty line behind them."""
    return b"".join([*[b"%b: %b\r\n" % pair for pair in fields], b"\r\n"])


def list_members(values: Iterable[bytes]) -> list[bytes]:
    """The members of a comma-separated field, in lower case, empty ones left out (RFC 9110 section 5.6.1)."""
    return [
        member for value in values for part in value.split(b",") if (member := part.strip(b" \t").lower())
    ]  # fmt: skip


def _resolve_target(head: RequestHead) -> None:
    """Check target and Host against each other; an absolute-form target replaces Host (RFC 9112 section 3.2)."""
    hosts = head.control.get(b"host", [])
    if len(hosts) > 1 or (not hosts and head.minor == 1):
        raise BadRequest("a request needs exactly one Host")
    if hosts and head.host is None:
        raise BadRequest("malformed Host")
    target = head.target
    if target.startswith(b"/"):
        return
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        head.host, rest = absolute[1], absolute[2]
        if not rest.startswith(b"/"):
            rest = b"*" if head.method == b"OPTIONS" and not rest else b"/" + rest
        head.target = rest
        if _HOST.fullmatch(absolute[1]) is None or absolute[1].startswith(b":"):
            raise BadRequest("malformed Host")
    elif not (target == b"*" and head.method == b"OPTIONS"):
        raise BadRequest("malformed request target")
