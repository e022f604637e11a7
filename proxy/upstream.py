"""Connections to the backend: made, kept alive in a pool, checked before they are used again."""

from __future__ import annotations

import socket
from collections import deque
from time import monotonic

import gevent.socket as gsocket
from gevent.lock import BoundedSemaphore

from pillion.proxy.errors import ConnectTimeout, PoolFull, UpstreamRefused, UpstreamUnreachable
from pillion.proxy.stream import UpstreamStream
from pillion.proxy.values import Upstream


def connect(upstream: Upstream, timeout: float) -> UpstreamStream:
    """A new connection; `timeout` in seconds for each address of the name.

    Raises UpstreamRefused if nobody listens there, ConnectTimeout, and UpstreamUnreachable for the rest.
    """
    try:
        if upstream.path:
            sock = gsocket.socket(gsocket.AF_UNIX, gsocket.SOCK_STREAM)
            _connect(sock, upstream.path, timeout)
        elif _is_literal(upstream.host):
            family = gsocket.AF_INET6 if ":" in upstream.host else gsocket.AF_INET
            sock = gsocket.socket(family, gsocket.SOCK_STREAM)
            _connect(sock, (upstream.host, upstream.port), timeout)
        else:
            sock = gsocket.create_connection((upstream.host, upstream.port), timeout)
    except (ConnectionRefusedError, FileNotFoundError):
        raise UpstreamRefused("the backend refused the connection") from None
    except TimeoutError:
        raise ConnectTimeout("the backend did not accept the connection in time") from None
    except socket.gaierror as error:
        raise UpstreamUnreachable(f"the backend's name cannot be resolved ({error.strerror})") from None
    except OSError as error:
        raise UpstreamUnreachable(f"the backend cannot be reached ({error.strerror})") from None
    if not upstream.path:
        sock.setsockopt(gsocket.IPPROTO_TCP, gsocket.TCP_NODELAY, 1)
    return UpstreamStream(sock)


def _connect(sock: gsocket.socket, address: tuple[str, int] | str, timeout: float) -> None:
    sock.settimeout(timeout)
    try:
        sock.connect(address)
    except BaseException:
        sock.close()
        raise


def _is_literal(host: str) -> bool:
    """Whether the host is an address: gevent's resolver would start a thread for it."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


class Pool:
    """At most `size` connections at work; the one used last is used next, so that the others can grow old and go."""

    def __init__(
        self, upstream: Upstream, *, size: int, wait: float, idle_timeout: float, connect_timeout: float
    ) -> None:
        self._upstream = upstream
        self._wait = wait
        self._idle_timeout = idle_timeout
        self._connect_timeout = connect_timeout
        self._idle: deque[UpstreamStream] = deque()
        self._permits = BoundedSemaphore(size)

    def acquire(self, *, fresh: bool = False) -> UpstreamStream:
        """A connection that was alive a moment ago; `fresh` asks for a new one.

        Raises PoolFull after POOL_WAIT, and what `connect` raises. Every connection must come back by `release`.
        """
        if not self._permits.acquire(timeout=self._wait):
            raise PoolFull("all connections to the backend are in use")
        try:
            if fresh:
                self.close_idle()  # one of them has just proved stale
            stale_before = monotonic() - self._idle_timeout
            while self._idle:
                stream = self._idle.pop()
                if stream.idle_since >= stale_before and stream.quiet():
                    stream.reused = True
                    return stream
                stream.close()
            return connect(self._upstream, self._connect_timeout)
        except BaseException:
            self._permits.release()
            raise

    def release(self, stream: UpstreamStream, *, reusable: bool) -> None:
        """Give a connection back, to be used again or not."""
        if reusable and not stream.pending:
            stream.idle_since = monotonic()
            self._idle.append(stream)
        else:
            stream.close()
        self._permits.release()

    def close_old(self) -> None:
        """Close the connections that have been idle for too long."""
        stale_before = monotonic() - self._idle_timeout
        while self._idle and self._idle[0].idle_since < stale_before:
            self._idle.popleft().close()

    def close_idle(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.popleft().close()
