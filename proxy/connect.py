"""New connections to the backend: every address of its name in turn, plain, over a unix socket or with TLS."""

from __future__ import annotations

import errno
import os
from _socket import AF_INET, AF_INET6, AF_UNIX, IPPROTO_TCP, SO_ERROR, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, socket
from collections.abc import Iterator
from time import monotonic
from typing import Any

import gevent
import gevent.socket as gsocket
from gevent.lock import Semaphore

from pillion.proxy.descriptors import EXHAUSTED
from pillion.proxy.errors import (
    ConnectTimeout,
    ExchangeError,
    OutOfResources,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from pillion.proxy.settings import Settings
from pillion.proxy.sides import UpstreamStream
from pillion.proxy.values import Upstream

# Seconds between tries at a unix socket whose backlog is full: the kernel offers nothing to wait for.
_RETRY_FIRST, _RETRY_LAST = 0.002, 0.05


REFUSED = "the backend refused the connection"


class Connector:
    """Makes connections. `timeout` in seconds, for each address of the name, and for a TLS handshake."""

    def __init__(self, upstream: Upstream, timeout: float, tls: Any = None, name: str = "") -> None:
        """`tls` is an SSLContext for an upstream of https, `name` whom it must belong to, if not its host."""
        self.upstream = upstream
        self._timeout = timeout
        self._tls = tls
        self._name = name or upstream.host
        self._door = Semaphore(1)

    def connect(self) -> UpstreamStream:
        """A new connection.

        Raises UpstreamRefused if nobody listens there, ConnectTimeout, OutOfResources if it is us who cannot, and
        UpstreamUnreachable for the rest.
        """
        failure: Exception | None = None
        for family, where in self._addresses():
            try:
                stream = self._connect(family, where)
            except (UpstreamRefused, ConnectTimeout, UpstreamUnreachable) as error:
                failure = failure or error
            else:
                return stream if self._tls is None else self._secured(stream)
        raise failure or UpstreamUnreachable("the backend's name has no address")

    def _addresses(self) -> Iterator[tuple[int, Any]]:
        upstream = self.upstream
        if upstream.path:
            yield AF_UNIX, upstream.path
        elif upstream.literal:
            yield (AF_INET6 if ":" in upstream.host else AF_INET), (upstream.host, upstream.port)
        else:
            try:
                found = gsocket.getaddrinfo(upstream.host, upstream.port, type=SOCK_STREAM)
            except (gsocket.gaierror, UnicodeError) as error:
                why = getattr(error, "strerror", None) or str(error)
                raise UpstreamUnreachable(f"the backend's name cannot be resolved ({why})") from None
            for family, _, _, _, where in found:
                yield family, where

    def _connect(self, family: int, where: Any) -> UpstreamStream:
        try:
            sock = socket(family, SOCK_STREAM)
        except OSError as error:
            raise _failed(error.errno or 0) from None
        try:
            sock.setblocking(False)
            if family != AF_UNIX:
                sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            code = sock.connect_ex(where)
            if code == errno.EAGAIN:
                code = self._knock(sock, where)
            stream = UpstreamStream(sock, self._timeout)
        except BaseException:
            sock.close()
            raise
        try:
            if code == errno.EINPROGRESS:
                try:
                    stream.wait_to_write()
                except UpstreamTimeout:
                    raise ConnectTimeout("the backend did not accept the connection in time") from None
                code = sock.getsockopt(SOL_SOCKET, SO_ERROR)
            if code:
                raise _failed(code)
        except BaseException:
            stream.close()
            raise
        return stream

    def _knock(self, sock: socket, where: Any) -> int:
        """Until a unix socket whose backlog is full takes us, one after the other: how many wait costs nothing."""
        deadline = monotonic() + self._timeout
        late = ConnectTimeout("the backend did not accept the connection in time")
        if not self._door.acquire(timeout=self._timeout):
            raise late
        try:
            pause = _RETRY_FIRST
            while (code := sock.connect_ex(where)) == errno.EAGAIN:
                if monotonic() + pause > deadline:
                    raise late
                gevent.sleep(pause)
                pause = min(2 * pause, _RETRY_LAST)
            return code
        finally:
            self._door.release()

    def _secured(self, stream: UpstreamStream) -> UpstreamStream:
        from pillion.proxy.tls import secure  # not everybody pays for OpenSSL

        return secure(stream, self._tls, self._name, self._timeout)


def _failed(code: int) -> ExchangeError:
    if code in (errno.ECONNREFUSED, errno.ENOENT):
        return UpstreamRefused(REFUSED)
    if code == errno.ETIMEDOUT:
        return ConnectTimeout("the backend did not accept the connection in time")
    if code in EXHAUSTED:
        return OutOfResources(f"no connection to the backend can be made ({os.strerror(code).lower()})")
    return UpstreamUnreachable(f"the backend cannot be reached ({os.strerror(code).lower()})")


def connector_to(settings: Settings) -> Connector:
    """The connector that the settings describe. Raises SettingError for certificates that cannot be used."""
    upstream, timeout = settings.upstream, settings.connect_timeout
    if not upstream.tls:
        return Connector(upstream, timeout)
    from pillion.proxy.certificates import client_context

    context = client_context(settings.upstream_ca, settings.upstream_cert, settings.upstream_key)
    return Connector(upstream, timeout, context, settings.upstream_name)
