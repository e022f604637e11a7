"""The gunicorn worker class: accepts, hands connections to the gateway, and ends at once, or in peace, when told to."""

from __future__ import annotations

import errno
import os
import random
import signal
from _socket import SOCK_STREAM, socket
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

from pillion.proxy.admin import Admin
from pillion.proxy.descriptors import EXHAUSTED, Shortage
from pillion.proxy.gateway import FAREWELL, Gateway
from pillion.proxy.listening import turn_away
from pillion.proxy.post import Order, Post, Word
from pillion.proxy.server import NEWS, STOP_SIGNALS

if TYPE_CHECKING:
    from pillion.proxy.master import ProxyApplication

_FIRST_PROBE = 0.5  # seconds that accepting waits for a backend that may be up already
_HEARTBEAT = 1.0  # seconds
# In a drain, seconds: for handshakes that have begun; until a client that has been answered, and one that has asked
# nothing yet, is not waited for any more.
_HANDSHAKES, _LAST_CALL, _FIRST_WORD = 0.02, 0.2, 1.0
_ADMIN_CONNECTIONS = 16
_REST = 0.1  # seconds until somebody is accepted again after there were no descriptors


class _Listener(StreamServer):
    """Hands out the kernel's sockets: a stream does its own waiting."""

    def __init__(self, sock: Any, shortage: Shortage, **options: Any) -> None:
        super().__init__(sock, **options)
        self._shortage = shortage

    def do_read(self) -> Any:
        kernel: Any = self.socket
        try:
            descriptor, address = kernel._accept()
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in EXHAUSTED:
                self._shortage.tell(f"no connection can be accepted ({os.strerror(error.errno).lower()})")
                self._rest()
                return None
            if error.errno in (errno.EBADF, errno.EINVAL, errno.ENOTSOCK):
                raise
            return None  # that connection's own, already gone: accept(2)
        client = socket(kernel.family, SOCK_STREAM, 0, descriptor)
        client.setblocking(False)
        return client, address

    def _rest(self) -> None:
        """The kernel keeps who waits, and goes on saying that somebody does: look again a moment later."""
        self.stop_accepting()
        gevent.spawn_later(_REST, self._resume)

    def _resume(self) -> None:
        if self.started:
            self.start_accepting()


class ProxyWorker(GeventWorker):
    """Forwards instead of running an application: WSGI has no words for most of what a proxy must pass on."""

    gateway: Gateway

    def __init__(self, *arguments: Any) -> None:
        """In the master, before the fork."""
        super().__init__(*arguments)
        self.post = Post()

    def load_wsgi(self) -> None:
        """There is no application."""

    def run(self) -> None:
        app = cast("ProxyApplication", self.app)
        self.gateway = gateway = Gateway(app.settings, app.log, app.tls)
        self._news = Event()
        self._told = False
        # gunicorn's own handler only sets a flag that is looked at once a second.
        gevent.signal_handler(signal.SIGTERM, self._on_term)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        connections, admins = Pool(self.worker_connections), Pool(_ADMIN_CONNECTIONS)
        admin = Admin(gateway, connections, self.cfg.workers)
        places = list(zip(app.listeners, self.sockets, strict=True))
        desks = [self._listen(sock, admin.serve, admins) for place, sock in places if place.admin]
        gevent.spawn(gateway.gate.watch)
        gateway.gate.probed.wait(_FIRST_PROBE)
        doors = [
            self._listen(sock, partial(gateway.serve, tls=place.address.tls), connections)
            for place, sock in places
            if not place.admin
        ]
        self._say(Word.SERVING)
        if app.settings.max_requests:
            gateway.enough = app.settings.max_requests + random.randint(0, app.settings.max_requests // 10)
            gateway.on_enough = self._tire
        try:
            self._serve()
            gateway.draining = True
            if self.post.order is Order.LEAVE:
                self._leave(doors + desks, connections)
            if self.post.order is Order.STOP:
                self._drain(doors, connections)
        finally:
            # What is still here is cut off; its greenlets see to it that nothing incomplete looks complete.
            connections.kill(timeout=1)
            gateway.pool.close_idle()
            if gateway.access is not None:
                gateway.access.finish()

    def _on_term(self) -> None:
        self._told = True
        self._news.set()

    def _say(self, word: Word) -> None:
        """To the master."""
        self.post.word = word
        if os.getppid() == self.ppid:
            os.kill(self.ppid, NEWS)

    def _tire(self) -> None:
        """Ask to be replaced; until somebody serves in our place, nothing changes."""
        if self.post.word is Word.SERVING:
            self._say(Word.TIRED)

    def _listen(self, sock: Any, handle: Callable[..., None], connections: Pool) -> StreamServer:
        server = _Listener(sock, self.gateway.shortage, handle=handle, spawn=connections)
        if self.cfg.workers > 1:
            server.max_accept = 1  # so that one worker does not take all that waits
        server.start()
        return server

    def _serve(self) -> None:
        while self.post.order < Order.LEAVE:
            self.notify()
            self.gateway.pool.close_old()
            self._news.wait(_HEARTBEAT)
            self._news.clear()
            if self._told and self.post.order < Order.LEAVE:
                self._tire()  # it was a stranger who told us to stop

    def _leave(self, servers: list[StreamServer], connections: Pool) -> None:
        """Others serve: accept nothing more and finish in peace.

        A client that is idle keeps its connection for as long as it would have, and is told with its next answer.
        """
        for server in servers:
            server.close()
        patience = self.gateway.settings.retire_timeout
        self._wait(monotonic() + patience, self._finish(connections), lambda: self.post.order is Order.STOP)
        if self.post.order is not Order.STOP and len(connections):
            self.gateway.end_idle(fresh=True)
            self._wait(monotonic() + 2 * FAREWELL, self._finish(connections))
            self._report(connections, patience)

    def _drain(self, servers: list[StreamServer], connections: Pool) -> None:
        """Nobody serves after us: take what still comes for DRAIN_DELAY, then finish what has begun."""
        gateway, settings = self.gateway, self.gateway.settings
        if open_ones := [server for server in servers if not server.closed]:
            self._wait(monotonic() + settings.drain_delay)
            for server in open_ones:
                turn_away(server.socket)
            gevent.sleep(_HANDSHAKES)
            for server in open_ones:
                server.stop_accepting()
                # Connections that the kernel has accepted for us would be reset by closing the listener.
                while not connections.full() and (accepted := server.do_read()):
                    server.do_handle(*accepted)
                server.close()
        finished = self._finish(connections)
        now = monotonic()
        deadline = now + settings.drain_timeout
        # A request may be on its way on any connection: what comes at once is still answered, with a close.
        self._wait(min(now + _LAST_CALL, deadline), finished)
        gateway.end_idle(fresh=False)
        self._wait(min(now + _FIRST_WORD, deadline), finished)
        gateway.end_idle(fresh=True)
        self._wait(deadline, finished)
        self._report(connections, settings.drain_timeout)

    def _report(self, connections: Pool, patience: float) -> None:
        if self.gateway.too_late:
            self.gateway.log.info("drain: %d requests came too late to be answered", self.gateway.too_late)
        if len(connections):
            self.gateway.log.warning("drain: %d connections cut off after %g s", len(connections), patience)

    def _finish(self, connections: Pool) -> Callable[[], bool]:
        """Whether no connection is left; there are no new ones any more."""
        gevent.spawn(connections.join).rawlink(lambda _: self._news.set())
        return lambda: not len(connections)

    def _wait(self, deadline: float, *over: Callable[[], bool]) -> None:
        """Until one of `over` or the deadline (monotonic), with signs of life."""
        while not any(condition() for condition in over) and (left := deadline - monotonic()) > 0:
            self.notify()
            self._news.clear()
            if not any(condition() for condition in over):
                self._news.wait(min(left, _HEARTBEAT))
