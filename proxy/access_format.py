"""One request as a line of the access log: JSON, or the combined format of Apache with our fields after it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import NamedTuple

from pillion.proxy.errors import ExchangeError
from pillion.proxy.head import RequestHead

# Bytes of a target, of another field, and of a method or host: a line goes whole into a pipe (PIPE_BUF, 4096).
_SHOWN, _NAMED = 1024, 256


class Entry(NamedTuple):
    """What there is to say of a request. `at` is seconds since the epoch; sizes are of whole messages, heads included.
    What could not be read as a request has a head without fields, if its first line could be, or none.

    `upstream_us` runs until the backend's final head was there; None if there was none. `status` is 0 if the client got
    no answer.
    """

    at: float
    address: bytes
    head: RequestHead | None
    status: int
    duration_us: int
    upstream_us: int | None
    received: int
    sent: int
    retried: bool
    failure: ExchangeError | None
    request_id: bytes  # b"" if it has none


def json_line(entry: Entry) -> bytes:
    head = entry.head
    return (
        b'{"time": "%b.%03d+00:00", "client": %b, "method": %b, "target": %b, "host": %b, "status": %d, '
        b'"duration_us": %d, "upstream_us": %b, "received": %d, "sent": %d, "retried": %b, "outcome": "%b", '
        b'"request_id": %b}\n'
        % (
            _second(int(entry.at)),
            entry.at % 1 * 1000,
            _text(entry.address),
            b"null" if head is None else _text(head.method[:_NAMED]),
            b"null" if head is None else _text(head.target),
            b"null" if head is None or not head.fields else _text((head.host or b"")[:_NAMED]),
            entry.status,
            entry.duration_us,
            b"null" if entry.upstream_us is None else b"%d" % entry.upstream_us,
            entry.received,
            entry.sent,
            b"true" if entry.retried else b"false",
            _outcome(entry.failure),
            _text(entry.request_id) if entry.request_id else b"null",
        )
    )


def combined_line(entry: Entry) -> bytes:
    head = entry.head
    referer = agent = request = b"-"
    if head is not None:
        request = b"%b %b HTTP/1.%d" % (head.method[:_NAMED], _quotable(head.target), head.minor)
    for _, lower, value in head.fields if head is not None else ():
        if lower == b"referer":
            referer = _quotable(value)
        elif lower == b"user-agent":
            agent = _quotable(value)
    return (
        b'%b - - [%b] "%b" %d %d "%b" "%b" duration_us=%d upstream_us=%b received=%d retried=%d '
        b"outcome=%b request_id=%b\n"
        % (
            entry.address,
            _common_second(int(entry.at)),
            request,
            entry.status,
            entry.sent,
            referer,
            agent,
            entry.duration_us,
            b"-" if entry.upstream_us is None else b"%d" % entry.upstream_us,
            entry.received,
            entry.retried,
            _outcome(entry.failure),
            _quotable(entry.request_id) or b"-",
        )
    )


FORMATS: Mapping[str, Callable[[Entry], bytes]] = {"json": json_line, "combined": combined_line}


def _outcome(failure: ExchangeError | None) -> bytes:
    """`complete`, or the kind of error in words: `client-lost`, `upstream-timeout`, `not-ready`."""
    return b"complete" if failure is None else _in_words(type(failure).__name__)


@lru_cache(maxsize=64)
def _in_words(name: str) -> bytes:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower().encode("ascii")


def _text(text: bytes) -> bytes:
    """Visible ASCII as a JSON string, cut where it is longer than anybody reads."""
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + b"..."
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _quotable(text: bytes) -> bytes:
    """What can stand between quotes, in visible ASCII, cut in the same way."""
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + b"..."
    if text.isascii() and b'"' not in text and b"\\" not in text and b"\t" not in text:
        return text
    escaped = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\t", b"\\t")
    return b"".join(b"\\x%02x" % byte if byte > 126 else bytes((byte,)) for byte in escaped)[:_SHOWN]


@lru_cache(maxsize=1)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S").encode("ascii")


@lru_cache(maxsize=1)
def _common_second(seconds: int) -> bytes:
    # No %b: a locale has no say in this.
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    then = datetime.fromtimestamp(seconds, timezone.utc)
    return then.strftime(f"%d/{months[then.month - 1]}/%Y:%H:%M:%S +0000").encode("ascii")
