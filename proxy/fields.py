"""What an intermediary does to fields: hop-by-hop ones end here, Via and X-Forwarded-* begin here.

RFC 9110 section 7.6; everything else goes through untouched and in its order.
"""

from __future__ import annotations

from typing import NamedTuple

from pillion.proxy.framing import Framing, Kind
from pillion.proxy.head import Control, Field, Fields, RequestHead, ResponseHead, list_members

PSEUDONYM = b"pillion"

_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade")
)  # fmt: skip
_X_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port")
_FORWARDED = frozenset((*_X_FORWARDED, b"forwarded"))
# Connection may name fields to drop, but not those that say who asks, what for and how long the message is.
_UNDROPPABLE = frozenset((b"content-length", b"host", *_FORWARDED))
# With underscores these reach a CGI-like backend (WSGI, PHP, Rack) under the name of the real one.
_CONFUSABLE = _HOP_BY_HOP | _FORWARDED | frozenset((b"content-length", b"host", b"via"))
# What a backend believes of a trusted peer, which we are to it: any X-Forwarded-*, and the two by which gunicorn lets a
# proxy move the application.
_BELIEVED = (b"x-forwarded-", b"script-name", b"path-info")

_VIA = {1: (b"Via", b"1.1 " + PSEUDONYM), 0: (b"Via", b"1.0 " + PSEUDONYM)}
_CHUNKED = (b"Transfer-Encoding", b"chunked")
_CLOSE = (b"Connection", b"close")
_KEEP_ALIVE = (b"Connection", b"keep-alive")


class Origin(NamedTuple):
    """Who sent a request, as far as the connection tells. `port` is the one we were reached at."""

    address: bytes
    trusted: bool
    port: bytes
    scheme: bytes = b"http"


def request_fields(head: RequestHead, framing: Framing, origin: Origin, authority: bytes) -> list[Field]:
    """The fields of the request that goes to the backend; `authority` is for a client that sent no Host."""
    dropped = _dropped(head.control)
    kept: list[Field] = [] if head.control.get(b"host") else [(b"Host", head.host or authority)]
    forwarded: dict[bytes, list[bytes]] = {}
    for name, lower, value in head.fields:
        if lower in dropped:
            continue
        if lower in _FORWARDED:
            forwarded.setdefault(lower, []).append(value)
        elif lower == b"host":
            kept.append((name, head.host or value))  # absolute-form may have replaced it
        elif _misleads(lower, origin):
            continue
        elif lower == b"expect" and head.minor == 0:
            continue  # a 1.0 client cannot be sent the 100 (RFC 9110 section 10.1.1)
        else:
            kept.append((name, value))
    kept.append(_VIA[head.minor])
    kept += _forwarded(forwarded if origin.trusted else {}, head.host, origin)
    if framing.kind is Kind.CHUNKED:
        kept.append(_CHUNKED)
    return kept


def _misleads(lower: bytes, origin: Origin) -> bool:
    """Whether a backend would take the field for one that only a proxy may set."""
    hyphened = lower.replace(b"_", b"-")
    if hyphened != lower and hyphened in _CONFUSABLE:
        return True
    return not origin.trusted and hyphened.startswith(_BELIEVED)


def response_fields(head: ResponseHead, framing: Framing, minor: int, *, close: bool) -> list[Field]:
    """The fields of the response to a client of HTTP/1.`minor`, whose connection is to be closed or not."""
    dropped = _dropped(head.control)
    bare = head.status == 204 or head.status < 200  # no Content-Length there (RFC 9110 section 8.6)
    kept = _kept(head.fields, dropped, bare)
    kept.append(_VIA[head.minor])
    if framing.kind in (Kind.CHUNKED, Kind.UNTIL_CLOSE) and minor == 1:
        kept.append(_CHUNKED)
    if head.status >= 200:
        if close:
            kept.append(_CLOSE)
        elif minor == 0:
            kept.append(_KEEP_ALIVE)
    return kept


def _kept(fields: Fields, dropped: frozenset[bytes], bare: bool) -> list[Field]:
    if bare:
        dropped = dropped | {b"content-length"}
    return [(name, value) for name, lower, value in fields if lower not in dropped]


def _dropped(control: Control) -> frozenset[bytes]:
    if b"connection" not in control:
        return _HOP_BY_HOP
    options = list_members(control[b"connection"])
    if options in ([b"keep-alive"], [b"close"]):
        return _HOP_BY_HOP
    return _HOP_BY_HOP | (frozenset(options) - _UNDROPPABLE)


def _forwarded(received: dict[bytes, list[bytes]], host: bytes | None, origin: Origin) -> list[Field]:
    """X-Forwarded-* with our hop added; `received` holds only what a trusted peer said (RFC 7239 for Forwarded)."""
    ours = {
        b"x-forwarded-proto": origin.scheme,
        b"x-forwarded-host": host or b"",
        b"x-forwarded-port": origin.port,
    }
    chain = b", ".join([*received.get(b"x-forwarded-for", []), origin.address])
    result: list[Field] = [(b"X-Forwarded-For", chain)]
    for name, spelling in (
        (b"x-forwarded-proto", b"X-Forwarded-Proto"),
        (b"x-forwarded-host", b"X-Forwarded-Host"),
        (b"x-forwarded-port", b"X-Forwarded-Port"),
    ):
        value = b", ".join(received.get(name, [])) or ours[name]
        if value:
            result.append((spelling, value))
    if b"forwarded" in received:
        node = b'"[%b]"' % origin.address if b":" in origin.address else origin.address
        result.append((b"Forwarded", b", ".join([*received[b"forwarded"], b"for=" + node])))
    return result
