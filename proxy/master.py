"""gunicorn's master process, quiet, with listeners that are bound already, and with workers that leave in peace."""

from __future__ import annotations

import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any, NoReturn, cast

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.sock import BaseSocket, TCP6Socket, TCPSocket, UnixSocket

from pillion.proxy.listening import Listener
from pillion.proxy.post import Order, Word
from pillion.proxy.server import STOP_SIGNALS, gunicorn_settings, read_certificates
from pillion.proxy.settings import SettingError, Settings
from pillion.proxy.worker import ProxyWorker

_ADOPT: dict[int, type[BaseSocket]] = {
    socket.AF_INET: TCPSocket,
    socket.AF_INET6: TCP6Socket,
    socket.AF_UNIX: UnixSocket,
}


class QuietLogger(Logger):
    """gunicorn's own messages: what it calls information is for those who debug."""

    error_fmt = "%(levelname)s gunicorn: %(message)s"

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.debug(msg, *args, **kwargs)


class ProxyApplication(BaseApplication):
    """gunicorn's configuration from our settings alone: no file, no command line, no environment."""

    def __init__(
        self, settings: Settings, listeners: list[Listener], tls: Any, run_dir: Path, log: logging.Logger
    ) -> None:
        """`tls` is an SSLContext for listeners of https, the workers inherit it."""
        self.settings = settings
        self.listeners = listeners
        self.tls = tls
        self.log = log
        self._run_dir = run_dir
        super().__init__()

    def load_config(self) -> None:
        for name, value in gunicorn_settings(self.settings, self._run_dir).items():
            self.cfg.set(name, value)
        self.cfg.set("worker_class", ProxyWorker)
        self.cfg.set("logger_class", QuietLogger)

    def load(self) -> Any:
        """There is no WSGI application."""


class Master(Arbiter):
    """The arbiter, given its listeners; who is to leave does so when those who stay are serving."""

    app: ProxyApplication
    log: Logger

    def __init__(self, app: ProxyApplication) -> None:
        super().__init__(app)
        # gunicorn binds only if this list is empty; it fills it on the instance too.
        self.LISTENERS = [self._adopt(listener.socket) for listener in app.listeners]  # type: ignore[misc]

    def init_signals(self) -> None:
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def spawn_worker(self) -> Any:
        """Fork with stop signals blocked: a worker that is told to stop while it boots must not lose them."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def manage_workers(self) -> None:
        """Keep their number. gunicorn would tell the old ones to stop before there is anybody in their place."""
        workers = self._workers()
        staying = [each for each in workers if each.post.order is Order.STAY and each.post.word is not Word.TIRED]
        staying = staying[max(len(staying) - self.num_workers, 0) :]
        for _ in range(self.num_workers - len(staying)):
            self.spawn_worker()
        if sum(each.post.word is Word.SERVING for each in staying) >= self.num_workers:
            for worker in workers:
                if worker not in staying and worker.post.order < Order.LEAVE:
                    worker.post.order = Order.LEAVE
                    self.kill_worker(int(worker.pid), signal.SIGTERM)

    def reload(self) -> None:
        """Other workers, with the certificates as they are now. The settings are the environment's, and stay."""
        try:
            self.app.tls = read_certificates(self.app.settings)
        except SettingError as error:
            self.app.log.error("not reloaded: %s", error)
            return
        for worker in self._workers():
            worker.post.order = max(worker.post.order, Order.AWAIT_RELIEF)
        self.manage_workers()

    def stop(self, graceful: bool = True) -> None:
        """All of them. gunicorn would remove the files of unix sockets while they are still listened on."""
        for worker in self._workers():
            worker.post.order = Order.STOP
        listeners, self.LISTENERS = self.LISTENERS, []  # type: ignore[misc]
        for listener in listeners:
            listener.close()
        super().stop(graceful)

    def handle_usr1(self) -> None:
        """There is news from a worker: the main loop looks at all of them after each signal."""

    def handle_usr2(self) -> None:
        """Re-execution would need the environment that was taken away."""
        self.app.log.warning("USR2 is ignored: start a second proxy instead")

    def _workers(self) -> list[ProxyWorker]:
        """The oldest first."""
        return sorted(cast("dict[int, ProxyWorker]", self.WORKERS).values(), key=lambda worker: worker.age)

    def _adopt(self, bound: socket.socket) -> BaseSocket:
        return _ADOPT[bound.family](bound.getsockname(), self.cfg, self.log, fd=bound.detach())


def run_master(settings: Settings, listeners: list[Listener], tls: Any, run_dir: Path, log: logging.Logger) -> NoReturn:
    """Run the master until it is told to stop; exits as gunicorn does."""
    where, admin = (", ".join(str(each) for each in listeners if each.admin is which) for which in (False, True))
    log.info("listening on %s -> upstream %s", where, settings.upstream)
    if admin:
        log.info("admin on %s", admin)
    own = os.getpid()
    try:
        Master(ProxyApplication(settings, listeners, tls, run_dir, log)).run()
    finally:
        if os.getpid() == own:  # and no worker
            for listener in listeners:
                listener.remove_file()
    raise SystemExit(0)
