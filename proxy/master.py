"""gunicorn's master process, quiet and with listeners that are bound already."""

from __future__ import annotations

import logging
import signal
import socket
from pathlib import Path
from typing import Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.sock import TCP6Socket, TCPSocket

from pillion.proxy.server import STOP_SIGNALS, gunicorn_settings
from pillion.proxy.settings import Settings
from pillion.proxy.worker import ProxyWorker


class QuietLogger(Logger):
    """gunicorn's own messages: what it calls information is for those who debug."""

    error_fmt = "%(levelname)s gunicorn: %(message)s"

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.debug(msg, *args, **kwargs)


class ProxyApplication(BaseApplication):
    """gunicorn's configuration from our settings alone: no file, no command line, no environment."""

    def __init__(self, settings: Settings, run_dir: Path, log: logging.Logger) -> None:
        self.settings = settings
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
    """The arbiter, given its listeners."""

    app: ProxyApplication
    log: Logger

    def __init__(self, app: ProxyApplication, listeners: list[socket.socket]) -> None:
        super().__init__(app)
        # gunicorn binds only if this list is empty; it fills it on the instance too.
        self.LISTENERS = [self._adopt(listener) for listener in listeners]  # type: ignore[misc]

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

    def handle_usr2(self) -> None:
        """Re-execution would need the environment that was taken away."""
        self.app.log.warning("USR2 is ignored: start a second proxy instead")

    def _adopt(self, listener: socket.socket) -> TCPSocket:
        adopt = TCP6Socket if listener.family == socket.AF_INET6 else TCPSocket
        return adopt(listener.getsockname(), self.cfg, self.log, fd=listener.detach())


def run_master(settings: Settings, listeners: list[socket.socket], run_dir: Path, log: logging.Logger) -> NoReturn:
    """Run the master until it is told to stop; exits as gunicorn does."""
    where = ", ".join(str(listener.getsockname()[0]) + f":{listener.getsockname()[1]}" for listener in listeners)
    log.info("listening on %s -> upstream %s", where, settings.upstream)
    Master(ProxyApplication(settings, run_dir, log), listeners).run()
    raise SystemExit(0)
