"""A worker's half of the world: what all its connections share, and the life of one client's connection."""

from __future__ import annotations

from functools import partial
from logging import Logger

import gevent.socket as gsocket

from pillion.proxy.access import AccessLog
from pillion.proxy.answers import own_answer
from pillion.proxy.errors import BadRequest, ClientLost, ClientTimeout, ExchangeError
from pillion.proxy.exchange import LINGER, Exchange
from pillion.proxy.fields import Origin
from pillion.proxy.head import RequestHead, parse_request_head
from pillion.proxy.readiness import Gate, probe
from pillion.proxy.settings import Settings
from pillion.proxy.stream import ClientStream
from pillion.proxy.upstream import Pool


class Gateway:
    """The proxy of one worker (RFC 9110 section 3.7 calls a reverse proxy a gateway)."""

    def __init__(self, settings: Settings, log: Logger) -> None:
        self.settings = settings
        self.log = log
        self.pool = Pool(
            settings.upstream,
            size=settings.pool_size,
            wait=settings.pool_wait,
            idle_timeout=settings.pool_idle_timeout,
            connect_timeout=settings.connect_timeout,
        )
        self.gate = Gate(partial(probe, settings.upstream, settings.ready_path, settings.connect_timeout), log)
        self.authority = settings.upstream.authority
        self.draining = False
        self._idle: set[ClientStream] = set()

    def serve(self, sock: gsocket.socket, address: object) -> None:
        """Serve a client's connection until it ends, and close it."""
        client = ClientStream(sock)
        try:
            self._serve(client, self._origin(sock, address))
        except (ClientLost, ClientTimeout):
            pass
        except Exception:
            self.log.exception("a connection was dropped after an internal error")
        finally:
            self._idle.discard(client)
            client.close()

    def close_idle(self) -> None:
        """End the client connections on which no request has begun."""
        for client in [client for client in self._idle if client.quiet()]:
            client.shutdown()

    def _serve(self, client: ClientStream, origin: Origin) -> None:
        settings = self.settings
        access = AccessLog(client, origin.address) if settings.access_log == "json" else None
        idle = settings.head_timeout
        keep = True
        while keep:
            try:
                head = self._next_request(client, idle)
                if head is None:
                    return
                if access is not None:
                    access.begin()
                exchange = Exchange(self, client, head, origin)
            except (BadRequest, ClientTimeout) as error:
                self._reject(client, error, origin)
                return
            keep = exchange.run()
            if access is not None:
                access.end(head, exchange)
            if exchange.failure is not None:
                self._report(exchange.failure, head, origin)
            idle = settings.keepalive_timeout

    def _next_request(self, client: ClientStream, idle: float) -> RequestHead | None:
        """The next request's head; None if there will be none."""
        settings = self.settings
        if self.draining and not client.pending and client.received:
            return None
        self._idle.add(client)
        try:
            data = client.read_head(settings.max_head_bytes, idle, settings.head_timeout)
        except ClientTimeout:
            if client.pending:
                raise
            return None
        finally:
            self._idle.discard(client)
        return None if data is None else parse_request_head(data)

    def _reject(self, client: ClientStream, error: ExchangeError, origin: Origin) -> None:
        """Refuse what is no request; where it ends is unknown, so the connection ends with it."""
        self.log.info("refused %s from %s: %s", error.status, origin.address.decode("ascii"), error)
        client.socket.settimeout(self.settings.body_idle_timeout)
        client.send(own_answer(error, method=b"", minor=1, close=True, retry_after=self.settings.retry_after))
        client.linger(LINGER)

    def _report(self, error: ExchangeError, head: RequestHead, origin: Origin) -> None:
        level = self.log.debug if error.status == 500 or error.status == 503 else self.log.warning
        level("%s %s: %s", head.method.decode("latin-1"), head.target.decode("latin-1"), error)

    def _origin(self, sock: gsocket.socket, address: object) -> Origin:
        """Where a connection comes from, and whether it may speak for others."""
        if not isinstance(address, tuple):
            return Origin(b"unknown", trusted=True, port=b"")
        host = str(address[0]).partition("%")[0].removeprefix("::ffff:")
        port = sock.getsockname()[1]
        return Origin(host.encode("ascii"), host in self.settings.forwarded_allow_ips, b"%d" % port)
