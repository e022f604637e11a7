"""Request and response heads: from bytes to values and back.

llhttp (through httptools) does the parsing; what it lets pass and an intermediary must not is checked here. Names keep
their case, fields their order, targets their bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from httptools import (
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
    HttpResponseParser,
)

from pillion.proxy.errors import BadRequest, UpstreamMalformed

Field = tuple[bytes, bytes]
Fields = list[tuple[bytes, bytes, bytes]]  # name as received, name in lower case, value
Control = dict[bytes, list[bytes]]

# The fields that decide about framing and connection, collected while parsing.
CONTROL = frozenset((b"connection", b"content-length", b"expect", b"host", b"transfer-encoding", b"upgrade"))

# What llhttp knows and treats as plain; any other token takes its place in front of the parser (RFC 9110 section 9.1).
_PLAIN_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"))
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)([^#]*)", re.IGNORECASE)


@dataclass
class RequestHead:
    """A request's head. `minor` is the client's version: HTTP/1.`minor`."""

    method: bytes
    target: bytes
    minor: int
    fields: Fields
    control: Control
    host: bytes | None = None

    @property
    def persistent(self) -> bool:
        """Whether the client wants the connection kept (RFC 9112 section 9.3)."""
        return _persistent(self.minor, self.control)


@dataclass
class ResponseHead:
    """A response's head. `minor` is the backend's version: HTTP/1.`minor`."""

    status: int
    reason: bytes
    minor: int
    fields: Fields
    control: Control

    @property
    def persistent(self) -> bool:
        """Whether the backend keeps the connection (RFC 9112 section 9.3)."""
        return _persistent(self.minor, self.control)


class _Collector:
    """What the parser calls back."""

    __slots__ = ("complete", "control", "fields", "text")

    def __init__(self) -> None:
        self.fields: Fields = []
        self.control: Control = {}
        self.text = b""
        self.complete = False

    def on_url(self, data: bytes) -> None:
        self.text += data

    def on_status(self, data: bytes) -> None:
        self.text += data

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        value = value.rstrip(b" \t")
        self.fields.append((name, lower, value))
        if lower in CONTROL:
            self.control.setdefault(lower, []).append(value)

    def on_headers_complete(self) -> None:
        self.complete = True


def parse_request_head(data: bytes) -> RequestHead:
    """The head that `data`, up to and including its empty line, is.

    Raises BadRequest: 400 for what is malformed or ambiguous (RFC 9112 sections 2.2, 3 and 5), 501 for CONNECT,
    505 for another major version.
    """
    line = data[: data.find(b"\r\n")]
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadRequest("malformed request line")
    method, _, version = parts
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        known = re.fullmatch(rb"HTTP/[0-9]\.[0-9]", version) is not None
        raise BadRequest("HTTP version not supported", 505) if known else BadRequest("malformed request line")
    if method not in _PLAIN_METHODS:
        if method == b"CONNECT":
            raise BadRequest("CONNECT is not supported", 501)
        if _TOKEN.fullmatch(method) is None:
            raise BadRequest("malformed method")
        data = b"POST" + data[len(method) :]
    collector = _Collector()
    try:
        HttpRequestParser(collector).feed_data(data)
    except HttpParserUpgrade:
        pass  # llhttp's way of saying that an Upgrade field is there
    except HttpParserError as error:
        raise BadRequest(f"malformed request: {error}") from None
    if not collector.complete:
        raise BadRequest("malformed request")
    if collector.text != parts[1]:
        # llhttp ends an HTTP/0.9 line at a bare LF, and would take what follows for a field.
        raise BadRequest("malformed request target")
    head = RequestHead(method, collector.text, 1 if version[-1] == 49 else 0, collector.fields, collector.control)
    _resolve_target(head)
    return head


def parse_response_head(data: bytes) -> ResponseHead:
    """The head that `data`, up to and including its empty line, is. Raises UpstreamMalformed (RFC 9112 section 4)."""
    if not data.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) or b"\0" in data:
        raise UpstreamMalformed("the backend's answer is not HTTP/1")
    collector = _Collector()
    parser = HttpResponseParser(collector)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        # llhttp stops at every 101, with or without an Upgrade field.
        if not (collector.complete and parser.get_status_code() == 101):
            raise UpstreamMalformed(f"the backend's answer is malformed: {error}") from None
    status = parser.get_status_code()
    if not collector.complete or not 100 <= status <= 999:
        raise UpstreamMalformed("the backend's answer is malformed")
    return ResponseHead(status, collector.text, 1 if data[7] == 49 else 0, collector.fields, collector.control)


def serialise(start_line: bytes, fields: Iterable[Field]) -> bytes:
    """A head on the wire."""
    return b"".join([start_line, b"\r\n", *[b"%b: %b\r\n" % pair for pair in fields], b"\r\n"])


def list_members(values: Iterable[bytes]) -> list[bytes]:
    """The members of a comma-separated field, in lower case, empty ones left out (RFC 9110 section 5.6.1)."""
    return [member for value in values for member in _members(value)]


@lru_cache(maxsize=256)  # `keep-alive` and `close`, again and again
def _members(value: bytes) -> tuple[bytes, ...]:
    return tuple(member for part in value.split(b",") if (member := part.strip(b" \t").lower()))


def _persistent(minor: int, control: Control) -> bool:
    if b"connection" not in control:
        return minor == 1
    options = list_members(control[b"connection"])
    return b"close" not in options and (minor == 1 or b"keep-alive" in options)


def _resolve_target(head: RequestHead) -> None:
    """Check target and Host against each other; an absolute-form target replaces Host (RFC 9112 section 3.2)."""
    hosts = head.control.get(b"host", [])
    if len(hosts) > 1 or (not hosts and head.minor == 1):
        raise BadRequest("a request needs exactly one Host")
    if hosts:
        head.host = hosts[0]
    target = head.target
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is not None:
            head.host, rest = absolute[1], absolute[2]
            if not rest.startswith(b"/"):
                rest = b"*" if head.method == b"OPTIONS" and not rest else b"/" + rest
            head.target = rest
        elif not (target == b"*" and head.method == b"OPTIONS"):
            raise BadRequest("malformed request target")
    if head.host and _HOST.fullmatch(head.host) is None:
        raise BadRequest("malformed Host")
