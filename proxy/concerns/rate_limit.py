"""A token bucket for each client, or one for all: who asks faster than the rate, past a burst, gets 429."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from threading import Lock
from time import monotonic_ns

from pillion.proxy.concerns.edits import NO_EDITS, Edits
from pillion.proxy.concerns.passage import Asked, Concern, Passage
from pillion.proxy.errors import Declined
from pillion.proxy.head import list_members
from pillion.proxy.values import Peers

_SECOND = 10**9  # nanoseconds
_SITE = 64  # bits of an IPv6 address: who has one has all that begin alike


class Buckets:
    """Token buckets by key. A bucket is kept as one number, the moment at which it will be full again; a full one need
    not be kept. Pure: the time is an argument, in nanoseconds that never go back."""

    def __init__(self, rate: float, burst: int, most: int) -> None:
        """`rate` tokens a second, `burst` in a full bucket; `most` buckets, then those used longest ago go."""
        self._interval = max(1, round(_SECOND / rate))
        self._depth = burst * self._interval
        self._most = most
        self._full_at: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: bytes, now: int) -> int:
        """Take a token; or, if there is none, how many nanoseconds it takes until there will be one."""
        full_at = max(self._full_at.get(key, 0), now) + self._interval
        missing = full_at - now - self._depth
        if missing <= 0:
            self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if missing > 0:
            return missing
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0


class RateLimit(Concern):
    """Declines what comes too fast."""

    def __init__(
        self,
        buckets: Buckets,
        trusted: Peers,
        *,
        by_client: bool,
        uncounted: bytes = b"",
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        """`trusted` peers are believed about whom they speak for. Whatever asks for the path `uncounted` passes: a
        health check must not fail because somebody asks too often. `clock` gives nanoseconds."""
        self._buckets = buckets
        self._trusted = trusted
        self._by_client = by_client
        self._uncounted = uncounted
        self._clock = clock
        self._lock = Lock()

    def request(self, passage: Passage) -> Edits:
        asked = passage.asked
        if self._uncounted and asked.target.partition(b"?")[0] == self._uncounted:
            return NO_EDITS
        key = client_of(asked, self._trusted) if self._by_client else b""
        with self._lock:
            missing = self._buckets.take(key, self._clock())
        if missing:
            raise Declined("too many requests", 429, retry_after=-(-missing // _SECOND))
        return NO_EDITS


def client_of(asked: Asked, trusted: Peers) -> bytes:
    """Whom a request is from: the peer, or, if that is trusted, the last one in X-Forwarded-For that is not. Of an IPv6
    address the first half."""
    found = asked.address
    if asked.trusted and (forwarded := asked.values(b"x-forwarded-for")):
        for said in reversed(list_members(forwarded)):
            address = _address(said)
            if not address:
                break  # from here on nobody can be believed
            found = said
            if address not in trusted:
                break
    return _site(_address(found)) or found


@lru_cache(maxsize=1024)
def _address(said: bytes) -> str:
    """The address in a member of X-Forwarded-For, some of which have a port; "" if there is none."""
    text = said.decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


@lru_cache(maxsize=1024)
def _site(address: str) -> bytes:
    if ":" in address:
        address = str(ip_network(f"{address}/{_SITE}", strict=False).network_address)
    return address.encode("ascii")
