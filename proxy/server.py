"""The proxy as a process: gunicorn's master with our listeners, our worker class, and no say of the environment."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from pillion.proxy.settings import Settings
from pillion.proxy.values import Address

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
_BACKLOG = 2048


class ListenError(Exception):
    """An address cannot be listened on. Exit code 2."""

    exit_code = 2

    def __init__(self, address: Address, error: OSError) -> None:
        mend = "stop what listens there, or set LISTEN or PORT to another"
        super().__init__(f"cannot listen on {address}: {(error.strerror or str(error)).lower()}; {mend}")


def serve(settings: Settings, run_dir: Path | None = None) -> NoReturn:
    """Run the proxy in this process until it is told to stop. Exits 0 then, 2 if an address cannot be listened on.

    `run_dir` is a writable directory for gunicorn's worker files, by default /dev/shm or the temporary directory.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        listeners = [_bind(address) for address in settings.listen]
    except ListenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    for name in GUNICORN_READS:
        os.environ.pop(name, None)
    from pillion.proxy.master import run_master  # imports gunicorn, which reads the environment

    run_master(settings, listeners, run_dir or _writable_directory(), _log(settings))


def _bind(address: Address) -> socket.socket:
    """A listening socket. gunicorn's own way of binding tries for five seconds and then exits with 1."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, where = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(address, error) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(address, error) from None
    return listener


def _writable_directory() -> Path:
    shm = Path("/dev/shm")
    return shm if os.access(shm, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


class _OneLine(logging.Formatter):
    """A message is a line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\\n")


def _log(settings: Settings) -> logging.Logger:
    handler = logging.StreamHandler(sys.stderr)
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
        "bind": [str(address) for address in settings.listen],
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
