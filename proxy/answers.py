"""Answers of our own, when there is none from the backend to pass on."""

from __future__ import annotations

import json
from email.utils import formatdate
from http import HTTPStatus

from pillion.proxy.errors import ExchangeError
from pillion.proxy.fields import PSEUDONYM
from pillion.proxy.head import Field, serialise


def own_answer(error: ExchangeError, *, method: bytes, minor: int, close: bool, retry_after: int) -> bytes:
    """A whole response that says what went wrong: JSON for programs, Proxy-Status (RFC 9209) for intermediaries.

    `minor` is the client's version, HTTP/1.`minor`; `retry_after` in seconds, for 503 only.
    """
    status = HTTPStatus(error.status)
    body = json.dumps({"error": status.phrase.lower(), "reason": str(error)}).encode("ascii") + b"\n"
    fields: list[Field] = [
        (b"Date", formatdate(usegmt=True).encode("ascii")),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
        (b"Proxy-Status", b"%b; error=%b; details=%b" % (PSEUDONYM, error.error.encode("ascii"), _quoted(str(error)))),
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        fields.append((b"Retry-After", b"%d" % retry_after))
    if close:
        fields.append((b"Connection", b"close"))
    elif minor == 0:
        fields.append((b"Connection", b"keep-alive"))
    head = serialise(b"HTTP/1.1 %d %b" % (status, status.phrase.encode("ascii")), fields)
    return head if method == b"HEAD" else head + body


def _quoted(text: str) -> bytes:
    """A string of structured fields (RFC 8941 section 3.3.3)."""
    printable = "".join(char if " " <= char <= "~" else "?" for char in text)
    return b'"' + printable.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'
