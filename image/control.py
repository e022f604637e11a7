"""Asking a pair how it is, from beside it in its container: for health checks and exec probes, so it starts fast."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pillion.image.ports import UPSTREAM_PORT, host_of, listen_ports, port_of
from pillion.image.refusal import Failure
from pillion.image.run_directory import SOCKET
from pillion.image.usage import USAGE_PATH, Usage, read_usage

# Answered by supervisord's own control socket (image/supervise/plugin.py).
STATE_PATH = "/pillion/state"
AUDIT_PATH = "/pillion/audit"
UP = ("STARTING", "RUNNING")
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class State(NamedTuple):
    """`serving`: not being stopped. `programs`: supervisord's word for the state of each, none for a sidecar alone.

    The rest are the proxy's settings; `admin`, if not "", is where it is asked how it is.
    """

    serving: bool
    programs: Mapping[str, str]
    listen: str
    upstream: str
    ready_path: str
    admin: str = ""


class _Where(NamedTuple):
    """Host and port, with TLS or without, or the path of a unix socket."""

    host: str
    port: int
    path: str = ""
    tls: bool = False


def pair_answer(run_directory: Path, path: str, timeout_s: float) -> bytes:
    """The body of what supervisord answers. Raises Failure if it does not answer in time."""
    answer = _get("supervisord", _Where("", 0, str(run_directory / SOCKET)), path, timeout_s)
    return answer.partition(b"\r\n\r\n")[2]


def pair_state(run_directory: Path, timeout_s: float) -> State:
    """What supervisord says. Raises Failure if it does not answer in time."""
    answer = pair_answer(run_directory, STATE_PATH, timeout_s)
    try:
        return State(**json.loads(answer))
    except (ValueError, TypeError) as error:
        raise Failure("ask supervisord", "its answer is not what the plugin writes") from error


def pair_usage(run_directory: Path, timeout_s: float) -> Usage:
    """What supervisord says that each program has used. Raises Failure if it does not answer in time."""
    answer = pair_answer(run_directory, USAGE_PATH, timeout_s)
    try:
        return read_usage(answer)
    except (ValueError, TypeError, KeyError) as error:
        raise Failure("ask supervisord", "its answer is not what the plugin writes") from error


def sidecar_state(environ: Mapping[str, str]) -> State:
    """The same for a sidecar in a container of its own, from its settings."""
    names = ("LISTEN", "PORT", "UPSTREAM", "READY_PATH", "ADMIN_LISTEN")
    own = {name: environ.get(name) or environ.get(f"PROXY__{name}", "") for name in names}
    named = [address.strip() for address in own["LISTEN"].split(",")]
    plain = [address for address in named if not address.startswith("https://")]
    return State(
        True,
        {},
        (plain or named)[0] or f":{listen_ports(own)[0]}",
        own["UPSTREAM"] or f"http://127.0.0.1:{UPSTREAM_PORT}",
        own["READY_PATH"],
        own["ADMIN_LISTEN"].split(",")[0].strip(),
    )


def check_live(state: State, timeout_s: float) -> None:
    """Raise Failure unless the process that matters answers: supervisord has, if there is one; else the proxy must."""
    if state.admin:
        _ask_admin(state.admin, "live", timeout_s)
    elif not state.programs:
        _connect("the proxy", _address(state.listen), timeout_s).close()


def check_ready(state: State, timeout_s: float) -> None:
    """Raise Failure unless requests are welcome: nothing is being stopped, both programs are up, the backend answers.

    A sidecar alone says so itself where it has an ADMIN_LISTEN. Elsewhere a READY_PATH is asked through the proxy, so
    that what a client would get decides.
    """
    if not state.serving:
        raise Failure("be ready", "it is being stopped")
    for program, word in state.programs.items():
        if word not in UP:
            raise Failure("be ready", f"the {program} is {word}")
    if state.admin:
        _ask_admin(state.admin, "ready", timeout_s)
        return
    proxy = _address(state.listen)
    if not state.ready_path:
        _connect("the proxy", proxy, timeout_s).close()
        _connect("the backend", _address(state.upstream), timeout_s).close()
        return
    status = _status(_get("the proxy", proxy, state.ready_path, timeout_s))
    if not 200 <= status < 400:
        raise Failure("be ready", f"{status} for {state.ready_path}")


def _ask_admin(address: str, what: str, timeout_s: float) -> None:
    answer = _get("the proxy", _address(address), f"/{what}", timeout_s)
    if (status := _status(answer)) == 200:
        return
    try:
        why = str(json.loads(answer.partition(b"\r\n\r\n")[2])["reason"])
    except (ValueError, TypeError, KeyError):
        why = f"{status} for /{what} of ADMIN_LISTEN"
    raise Failure(f"be {what}", why)


def _status(answer: bytes) -> int:
    words = answer.split(None, 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _address(text: str) -> _Where:
    if text.startswith("unix:"):
        return _Where("", 0, text.removeprefix("unix:"))
    host = host_of(text)
    return _Where(_ANY.get(host, host), port_of(text) or 0, tls=text.startswith("https://"))


def _connect(whom: str, where: _Where, timeout_s: float) -> socket.socket:
    try:
        if not where.path:
            return socket.create_connection((where.host, where.port), timeout_s)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout_s)
        try:
            connection.connect(where.path)
        except BaseException:
            connection.close()
            raise
        return connection
    except OSError as error:
        raise Failure(f"reach {whom}", (error.strerror or str(error)).lower()) from error


def _secured(connection: socket.socket, host: str) -> socket.socket:
    """With TLS; whom the certificate is for does not matter to a look at ourselves."""
    import ssl  # most have no need of it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=host)


def _get(whom: str, where: _Where, path: str, timeout_s: float) -> bytes:
    """The whole answer to a GET, head and body."""
    deadline = time.monotonic() + timeout_s
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: pillion-health\r\n\r\n"
    answer = b""
    plain = _connect(whom, where, timeout_s)
    try:
        with plain, _secured(plain, where.host) if where.tls else plain as connection:
            connection.sendall(request.encode())
            while True:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                data = connection.recv(65536)
                answer += data
                if not data:
                    break
    except OSError as error:
        raise Failure(f"ask {whom}", (error.strerror or str(error)).lower()) from error
    if not answer:
        raise Failure(f"ask {whom}", "it closed the connection without an answer")
    return answer
