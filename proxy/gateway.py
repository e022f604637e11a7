"""A worker's half of the world: what all its connections share, and the life of one client's connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from logging import Logger
from typing import Any

from pillion.proxy.access import Access, AccessLog
from pillion.proxy.access_format import FORMATS
from pillion.proxy.answers import own_answer
from pillion.proxy.concerns.chain import chain_of
from pillion.proxy.connect import connector_to
from pillion.proxy.descriptors import Shortage
from pillion.proxy.errors import BadRequest, ClientLost, ClientTimeout, ExchangeError, OutOfResources
from pillion.proxy.exchange import LINGER, Exchange
from pillion.proxy.fields import Origin
from pillion.proxy.head import RequestHead, first_line, parse_request_head
from pillion.proxy.readiness import Gate, probe
from pillion.proxy.settings import Settings
from pillion.proxy.sides import ClientStream
from pillion.proxy.stream import Socket
from pillion.proxy.upstream import Pool

FAREWELL = 0.2  # seconds that a client's own end is awaited after we have said ours
_LAST_WORD = 0.2  # seconds that a connection is kept after an answer, once the last call is over


class Gateway:
    """The proxy of one worker (RFC 9110 section 3.7 calls a reverse proxy a gateway)."""

    def __init__(self, settings: Settings, log: Logger, tls: Any = None) -> None:
        """`tls` is an SSLContext for listeners of https."""
        self.settings = settings
        self.log = log
        connector = connector_to(settings)
        self.pool = Pool(
            connector, size=settings.pool_size, wait=settings.pool_wait, idle_timeout=settings.pool_idle_timeout
        )
        self.gate = Gate(partial(probe, connector, settings.ready_path, settings.connect_timeout), log)
        self.access = None if settings.access_log == "off" else AccessLog(log, FORMATS[settings.access_log])
        self.authority = settings.upstream.authority
        self.concerns = chain_of(settings)
        self.shortage = Shortage(log)
        self.draining = False
        self.requests = 0
        self.too_late = 0  # requests that came after their connection had been ended
        self.enough: int | None = None  # so many requests, and `on_enough` is called
        self.on_enough: Callable[[], object] = int
        self._tls = tls
        self._last_call_over = False
        # Connections on which no request has begun, with the bytes that had been received before.
        self._idle: dict[ClientStream, int] = {}

    @property
    def idle(self) -> int:
        """Client connections on which no request has begun."""
        return len(self._idle)

    def serve(self, sock: Socket, address: object, *, tls: bool = False) -> None:
        """Serve a client's connection until it ends, and close it. `sock` does not block."""
        client = self._client(sock, tls)
        try:
            origin = self._origin(sock, address, tls)
            access = Access(self.access, client, origin.address) if self.access is not None else None
            if tls:
                self._agree(client, origin, access)
            self._serve(client, origin, access)
        except (ClientLost, ClientTimeout):
            pass
        except Exception:
            self.log.exception("a connection was dropped after an internal error")
        finally:
            self._idle.pop(client, None)
            client.close()

    def end_idle(self, *, fresh: bool) -> None:
        """End the client connections on which no request has begun, now and soon after each answer.

        `fresh`: also those on which there has never been one.
        """
        self._last_call_over = True
        for client, before in list(self._idle.items()):
            if client.received == before and (before or fresh) and not client.dismissed and client.quiet():
                client.dismiss(FAREWELL)

    def _client(self, sock: Socket, tls: bool) -> ClientStream:
        settings = self.settings
        if not tls:
            return ClientStream(sock, settings.body_idle_timeout, settings.half_closed_timeout)
        from pillion.proxy.tls import TlsClient, TlsSocket  # not everybody pays for OpenSSL

        secured = TlsSocket(sock, self._tls, None)
        return TlsClient(secured, settings.body_idle_timeout, settings.half_closed_timeout)

    def _agree(self, client: Any, origin: Origin, access: Access | None) -> None:
        self._idle[client] = 0
        try:
            client.agree(self.settings.handshake_timeout)
        except ExchangeError as error:
            self.log.info("refused %s: %s", origin.address.decode("ascii"), error)
            if access is not None and client.socket.spoken_to:
                access.refuse(None, 0, error)
            raise
        finally:
            self._idle.pop(client, None)

    def _serve(self, client: ClientStream, origin: Origin, access: Access | None) -> None:
        settings = self.settings
        idle = settings.head_timeout
        keep = True
        while keep:
            data: bytes | None = b""
            head = None
            try:
                data = self._next_head(client, idle)
                if data is None:
                    return
                head = parse_request_head(data)
                self.requests += 1
                if self.requests == self.enough:
                    self.on_enough()
                if access is not None:
                    access.begin()
                exchange = Exchange(self, client, head, origin)
            except (BadRequest, ClientTimeout) as error:
                self._reject(client, error, origin, access, head or first_line(data or client.pending))
                return
            keep = exchange.run()
            if access is not None:
                access.end(head, exchange)
            if exchange.failure is not None:
                self._report(exchange.failure, head, origin)
            idle = settings.keepalive_timeout
        if exchange.failure is None and not client.quiet():
            # More came before the client read that nothing will follow: closing now could cost it the answer.
            client.linger(LINGER)

    def _next_head(self, client: ClientStream, idle: float) -> bytes | None:
        """The next request's head; None if there will be none."""
        settings = self.settings
        if self._last_call_over:
            idle = min(idle, _LAST_WORD) if client.received else idle
        if not client.pending:
            self._idle[client] = client.received
        try:
            data = client.read_head(settings.max_head_bytes, idle, settings.head_timeout)
        except ClientTimeout:
            if client.pending:
                raise
            if self._last_call_over and not client.dismissed:
                client.linger(FAREWELL)
            return None
        finally:
            self._idle.pop(client, None)
        if data is None:
            return None
        if client.dismissed:
            self.too_late += 1
            return None
        return data

    def _reject(
        self,
        client: ClientStream,
        error: ExchangeError,
        origin: Origin,
        access: Access | None,
        head: RequestHead | None,
    ) -> None:
        """Refuse what is no request; where it ends is unknown, so the connection ends with it. `head` is what could be
        read of it."""
        self.log.info("refused %s from %s: %s", error.status, origin.address.decode("ascii"), error)
        status = 0
        try:
            client.send(own_answer(error, method=b"", minor=1, close=True, retry_after=self.settings.retry_after))
            status = error.status
        finally:
            if access is not None:
                access.refuse(head, status, error)
        client.linger(LINGER)

    def _report(self, error: ExchangeError, head: RequestHead, origin: Origin) -> None:
        if isinstance(error, OutOfResources):
            self.shortage.tell(str(error))
        level = self.log.debug if error.status in (429, 500, 503) else self.log.warning
        level("%s %s: %s", head.method.decode("latin-1"), head.target.decode("latin-1"), error)

    def _origin(self, sock: Socket, address: object, tls: bool) -> Origin:
        """Where a connection comes from, and whether it may speak for others."""
        scheme = b"https" if tls else b"http"
        if not isinstance(address, tuple):
            return Origin(b"unknown", trusted=True, port=b"", scheme=scheme)
        host = str(address[0]).partition("%")[0].removeprefix("::ffff:")
        port = sock.getsockname()[1]
        return Origin(host.encode("ascii"), host in self.settings.forwarded_allow_ips, b"%d" % port, scheme)
