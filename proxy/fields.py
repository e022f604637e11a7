"""What an intermediary does to fields: hop-by-hop ones end here, Via and X-Forwarded-* begin here.

RFC 9110 section 7.6; everything else goes through untouched and in its order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from pillion.proxy.concerns.edits import Edits, canonical
from pillion.proxy.errors import BadRequest
from pillion.proxy.framing import Framing, Kind
from pillion.proxy.head import (
    REMEMBERED,
    Block,
    Control,
    Field,
    RequestHead,
    ResponseHead,
    list_members,
    serialise,
    serialise_fields,
)

PSEUDONYM = b"pillion"

_HOP_BY_HOP = frozenset(
    (b"connection", b"http2-settings", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade")
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


# What of a request, apart from its fields, decides what the backend gets to see, and what that is remembered by: the
# minor version of the client; where the request goes (None for a client that sent no Host); whether it is chunked; the
# protocols to offer; Max-Forwards, where it means something; the origin; the authority for a client that sent no Host;
# the canonical names of fields that must not go further. A plain tuple: to make a named one takes seven times as long.
Request = tuple[int, bytes | None, bool, bytes | None, int | None, Origin, bytes, frozenset[bytes]]


def request_block(block: Block, request: Request) -> bytes:
    """The fields of the request that goes to the backend, on the wire."""
    return _remembered_request(block, request) if block.memorable else _request_block(block, request)


def with_fields(block: bytes, added: Sequence[Field]) -> bytes:
    """The same with more behind them, which are not worth remembering."""
    return block[:-2] + serialise_fields(added) if added else block


def _request_block(block: Block, request: Request) -> bytes:
    minor, host, chunked, upgrade, hops, origin, authority, unwanted = request
    dropped = _dropped(block.control)
    kept: list[Field] = [] if block.control.get(b"host") else [(b"Host", host or authority)]
    forwarded: dict[bytes, list[bytes]] = {}
    for name, lower, value in block.fields:
        if lower in dropped:
            continue
        if lower in _FORWARDED:
            forwarded.setdefault(lower, []).append(value)
        elif lower == b"host":
            kept.append((name, host or value))  # absolute-form may have replaced it
        elif _misleads(lower, origin):
            continue
        elif lower == b"max-forwards" and hops is not None:
            kept.append((name, b"%d" % hops))
        elif lower == b"expect" and minor == 0:
            continue  # a 1.0 client cannot be sent the 100 (RFC 9110 section 10.1.1)
        else:
            kept.append((name, value))
    kept.append(_VIA[minor])
    kept += _forwarded(forwarded if origin.trusted else {}, host, origin)
    if chunked:
        kept.append(_CHUNKED)
    if upgrade is not None:
        kept += [(b"Connection", b"Upgrade"), (b"Upgrade", upgrade)]
    if unwanted:
        kept = [field for field in kept if canonical(field[0]) not in unwanted]
    return serialise_fields(kept)


_remembered_request = lru_cache(maxsize=REMEMBERED)(_request_block)


def hops_left(head: RequestHead) -> int | None:
    """How often the request may be forwarded, ours included; None for any number (RFC 9110 section 7.6.2)."""
    if head.method not in (b"TRACE", b"OPTIONS") or b"max-forwards" not in head.control:
        return None
    values = head.control[b"max-forwards"]
    if len(values) != 1 or re.fullmatch(rb"[0-9]{1,9}", values[0]) is None:
        raise BadRequest("malformed Max-Forwards")
    return int(values[0])


def wanted_upgrade(head: RequestHead, framing: Framing) -> bytes | None:
    """The protocols that a client offers and that may be tunnelled (RFC 9110 section 7.8); None if there are none.

    Not HTTP/2, which would carry further requests past everything that is done to requests here; and not with a body,
    which would have to end before the tunnel begins.
    """
    control = head.control
    if b"upgrade" not in control or head.minor == 0 or framing.kind is not Kind.NONE:
        return None
    if b"upgrade" not in list_members(control.get(b"connection", [])):
        return None
    offered = [part.strip(b" \t") for value in control[b"upgrade"] for part in value.split(b",")]
    return b", ".join(part for part in offered if part and not part.lower().startswith((b"h2c", b"http/"))) or None


def _misleads(lower: bytes, origin: Origin) -> bool:
    """Whether a backend would take the field for one that only a proxy may set."""
    hyphened = lower.replace(b"_", b"-")
    if hyphened != lower and hyphened in _CONFUSABLE:
        return True
    return not origin.trusted and hyphened.startswith(_BELIEVED)


def response_head(head: ResponseHead, kind: Kind, minor: int, *, close: bool, edits: Edits | None = None) -> bytes:
    """The response's head, for a client of HTTP/1.`minor` whose connection is to be closed or not, on the wire. The
    fields that `edits` add are not remembered."""
    build = _remembered_head if head.block.memorable else _response_head
    if edits is None:
        return build(head, kind, minor, close)
    made = build(head, kind, minor, close, edits.drop)
    return with_fields(made, edits.add)


def _response_head(
    head: ResponseHead, kind: Kind, minor: int, close: bool, unwanted: frozenset[bytes] = frozenset()
) -> bytes:
    dropped = _dropped(head.control)
    if head.status == 204 or head.status < 200:
        dropped = dropped | {b"content-length"}  # RFC 9110 section 8.6
    kept = [(name, value) for name, lower, value in head.fields if lower not in dropped]
    kept.append(_VIA[head.minor])
    if kind in (Kind.CHUNKED, Kind.UNTIL_CLOSE) and minor == 1:
        kept.append(_CHUNKED)
    if head.status == 101:
        kept += [(b"Connection", b"Upgrade"), (b"Upgrade", b", ".join(head.control.get(b"upgrade", [])))]
    elif head.status >= 200:
        if close:
            kept.append(_CLOSE)
        elif minor == 0:
            kept.append(_KEEP_ALIVE)
    if unwanted:
        kept = [field for field in kept if canonical(field[0]) not in unwanted]
    return serialise(b"HTTP/1.1 %d %b" % (head.status, head.reason), kept)


_remembered_head = lru_cache(maxsize=REMEMBERED)(_response_head)


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
