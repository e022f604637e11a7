"""Answers of our own, when there is none from the backend to pass on."""

from __future__ import annotations

import json
from email.utils import formatdate
from http import HTTPStatus

from pillion.proxy.concerns.edits import NO_EDITS, Edits
from pillion.proxy.errors import ExchangeError
from pillion.proxy.fields import PSEUDONYM
from pillion.proxy.head import Field, RequestHead, serialise

_NOT_ECHOED = frozenset((b"authorization", b"cookie", b"proxy-authorization"))


def own_answer(
    error: ExchangeError, *, method: bytes, minor: int, close: bool, retry_after: int, edits: Edits = NO_EDITS
) -> bytes:
    """A whole response that says what went wrong: JSON for programs, Proxy-Status (RFC 9209) for intermediaries.

    `minor` is the client's version, HTTP/1.`minor`; `retry_after` in seconds, for 503 only.
    """
    status, fields, body = explanation(error, retry_after)
    fields = [
        (b"Date", formatdate(usegmt=True).encode("ascii")),
        *fields,
        (b"Proxy-Status", b"%b; error=%b; details=%b" % (PSEUDONYM, error.error.encode("ascii"), _quoted(str(error)))),
    ]
    fields = edits.apply(fields)
    if close:
        fields.append((b"Connection", b"close"))
    elif minor == 0:
        fields.append((b"Connection", b"keep-alive"))
    head = serialise(b"HTTP/1.1 %d %b" % (status, status.phrase.encode("ascii")), fields)
    return head if method == b"HEAD" else head + body


def explanation(error: ExchangeError, retry_after: int) -> tuple[HTTPStatus, list[Field], bytes]:
    """Status, fields and body that say what went wrong, whoever answers."""
    status = HTTPStatus(error.status)
    body = json.dumps({"error": status.phrase.lower(), "reason": str(error)}).encode("ascii") + b"\n"
    fields: list[Field] = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
    ]
    if error.retry_after is not None:
        fields.append((b"Retry-After", b"%d" % error.retry_after))
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        fields.append((b"Retry-After", b"%d" % retry_after))
    return status, fields, body


def final_recipient_answer(head: RequestHead, *, close: bool, edits: Edits = NO_EDITS) -> tuple[int, bytes]:
    """Status and response for a TRACE or OPTIONS that may be forwarded no further (RFC 9110 section 7.6.2)."""
    fields: list[Field] = [(b"Date", formatdate(usegmt=True).encode("ascii"))]
    body = b""
    if head.method == b"TRACE":
        # What came, but for what nobody should read (RFC 9110 section 9.3.8).
        kept = [(name, value) for name, lower, value in head.fields if lower not in _NOT_ECHOED]
        body = serialise(b"%b %b HTTP/1.%d" % (head.method, head.target, head.minor), kept)
        fields.append((b"Content-Type", b"message/http"))
    fields.append((b"Content-Length", b"%d" % len(body)))
    fields = edits.apply(fields)
    if close:
        fields.append((b"Connection", b"close"))
    elif head.minor == 0:
        fields.append((b"Connection", b"keep-alive"))
    return 200, serialise(b"HTTP/1.1 200 OK", fields) + body


def _quoted(text: str) -> bytes:
    """A string of structured fields (RFC 8941 section 3.3.3)."""
    printable = "".join(char if " " <= char <= "~" else "?" for char in text)
    return b'"' + printable.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'
