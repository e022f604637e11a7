"""The gunicorn worker class: accepts, hands connections to the gateway, and drains at once when it is told to stop."""

from __future__ import annotations

import signal
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import gevent
import gevent.socket as gsocket
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

from pillion.proxy.gateway import Gateway
from pillion.proxy.server import STOP_SIGNALS

if TYPE_CHECKING:
    from pillion.proxy.master import ProxyApplication

_FIRST_PROBE = 0.5  # seconds that accepting waits for a backend that may be up already
_HEARTBEAT = 1.0  # seconds


class ProxyWorker(GeventWorker):
    """Forwards instead of running an application: WSGI has no words for most of what a proxy must pass on."""

    gateway: Gateway

    def load_wsgi(self) -> None:
        """There is no application."""

    def handle(self, listener: Any, client: gsocket.socket, addr: Any) -> None:
        self.gateway.serve(client, addr)

    def run(self) -> None:
        app = cast("ProxyApplication", self.app)
        self.gateway = gateway = Gateway(app.settings, app.log)
        stop = Event()
        # gunicorn's own handler only sets a flag that is looked at once a second.
        gevent.signal_handler(signal.SIGTERM, stop.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        gevent.spawn(gateway.gate.watch)
        gateway.gate.probed.wait(_FIRST_PROBE)
        connections = Pool(self.worker_connections)
        servers = [self._listen(sock, connections) for sock in self.sockets]
        try:
            while not stop.wait(_HEARTBEAT):
                self.notify()
                gateway.pool.close_old()
            self._drain(servers, connections)
        finally:
            # What is still here is cut off; its greenlets see to it that nothing incomplete looks complete.
            connections.kill(timeout=1)
            gateway.pool.close_idle()

    def _listen(self, sock: Any, connections: Pool) -> StreamServer:
        server = StreamServer(sock, handle=partial(self.handle, sock), spawn=connections)
        if self.cfg.workers > 1:
            server.max_accept = 1  # so that one worker does not take all that waits
        server.start()
        return server

    def _drain(self, servers: list[StreamServer], connections: Pool) -> None:
        """Finish what has begun, take nothing new."""
        settings = self.gateway.settings
        self.gateway.draining = True
        self._beat_until(monotonic() + settings.drain_delay, Event())
        for server in servers:
            server.stop_accepting()
            # Connections that the kernel has accepted for us would be reset by closing the listener.
            while not connections.full() and (accepted := server.do_read()):
                server.do_handle(*accepted)
            server.close()
        gevent.sleep(0)
        self.gateway.close_idle()
        finished = Event()
        gevent.spawn(connections.join).rawlink(lambda _: finished.set())
        self._beat_until(monotonic() + settings.drain_timeout, finished)
        if len(connections):
            self.gateway.log.warning(
                "drain: %d connections cut off after %g s", len(connections), settings.drain_timeout
            )

    def _beat_until(self, deadline: float, event: Event) -> None:
        while (left := deadline - monotonic()) > 0 and not event.wait(min(left, _HEARTBEAT)):
            self.notify()
