"""The proxy as a process: gunicorn's master with our listeners, our worker class, and no say of the environment."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from pillion.proxy.descriptors import fitted, raise_limit
from pillion.proxy.listening import ListenError, listen
from pillion.proxy.outlet import Outlet
from pillion.proxy.settings import SettingError, Settings

# What gunicorn reads from the environment, some of it while it is being imported; a value meant for somebody else
# must not reach it. See gunicorn's config.py, arbiter.py and systemd.py.
GUNICORN_READS = (
    "FORWARDED_ALLOW_IPS",
    "GUNICORN_CMD_ARGS",
    "GUNICORN_DIRTY_SOCKET",
    "GUNICORN_FD",
    "GUNICORN_PID",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "PORT",
    "SCRIPT_NAME",
    "SENDFILE",
    "WEB_CONCURRENCY",
    "XDG_RUNTIME_DIR",
)
# Blocked until there is a handler: a stop during the start must be a stop, and exit with 0.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_CUT = b"...\n"
NEWS = signal.SIGUSR1  # to the master: a worker has changed its word


def serve(settings: Settings, run_dir: Path | None = None) -> NoReturn:
    """Run the proxy in this process until it is told to stop. Exits 0 then, 2 if an address cannot be listened on, or
    if the process may not open as many files as the settings ask for.

    `run_dir` is a writable directory for gunicorn's worker files, by default /dev/shm or the temporary directory.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        settings = fitted(settings, raise_limit())
        tls = read_certificates(settings)
        listeners = listen(settings)
    except (ListenError, SettingError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    for name in GUNICORN_READS:
        os.environ.pop(name, None)
    from pillion.proxy.master import run_master  # imports gunicorn, which reads the environment

    run_master(settings, listeners, tls, run_dir or _writable_directory(), _log(settings))


def read_certificates(settings: Settings) -> Any:
    """The SSLContext for clients of https, None if there are none. Raises SettingError, also for what a worker would
    fail on."""
    if not settings.listen_cert and not settings.upstream.tls:
        return None
    from pillion.proxy.certificates import client_context, server_context

    if settings.upstream.tls:
        client_context(settings.upstream_ca, settings.upstream_cert, settings.upstream_key)
    return server_context(settings.listen_cert, settings.listen_key) if settings.listen_cert else None


def _writable_directory() -> Path:
    shm = Path("/dev/shm")
    return shm if os.access(shm, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


class _NeverWaiting(logging.Handler):
    """Standard error, where nobody may read: then lines are counted, and no request waits."""

    def __init__(self) -> None:
        super().__init__()
        self._outlet = Outlet(2)
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        if self._dropped and self._write(f"WARNING {self._dropped} lines dropped, nobody read fast enough"):
            self._dropped = 0
        if self._dropped or not self._write(self.format(record)):
            self._dropped += 1

    def _write(self, text: str) -> bool:
        line = text.encode("utf-8", "backslashreplace")
        most = self._outlet.at_once - len(_CUT)
        try:
            return self._outlet.write(line[:most] + _CUT if len(line) > most else line + b"\n") > 0
        except OSError:
            return False


class _OneLine(logging.Formatter):
    """A message is a line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\\n")


def _log(settings: Settings) -> logging.Logger:
    handler = _NeverWaiting()
    handler.setFormatter(_OneLine("%(levelname)s %(message)s"))
    log = logging.getLogger("pillion.proxy")
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(settings.log_level.upper())
    for notice in settings.notices:
        log.warning(notice)
    return log


def gunicorn_settings(settings: Settings, run_dir: Path) -> dict[str, Any]:
    """Every knob of gunicorn that matters here or that the environment could turn. Seconds."""
    return {
        "bind": [],  # we have bound already
        "capture_output": False,
        "control_socket_disable": True,
        "daemon": False,
        "default_proc_name": "pillion-proxy",
        "forwarded_allow_ips": "127.0.0.1",  # ours are in `settings`; gunicorn parses nothing here
        "graceful_timeout": int(settings.drain_delay + settings.drain_timeout + 2),
        "loglevel": settings.log_level,
        "max_requests": 0,
        "pidfile": None,
        "preload_app": False,
        "proc_name": "pillion-proxy",
        "raw_env": [],
        "reload": False,
        "reuse_port": False,
        "sendfile": False,
        "timeout": 30,
        "worker_connections": settings.max_connections,
        "worker_tmp_dir": str(run_dir),
        "workers": settings.web_concurrency,
    }
