"""Start and stop: one line, one exit code, no waiting, and no say of an environment meant for others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from proxy_peers import SERVE, Proxy, environment, value_of, wait_for

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def ask(client, backend):
    client.send(GET)
    peer = backend.accept()
    peer.head()
    return peer


def test_drain_finishes_what_has_begun(start_proxy, backend):
    """S1: on SIGTERM the request in flight gets its answer with a close, idle connections end at once, exit code 0."""
    proxy = start_proxy(DRAIN_TIMEOUT="30")
    idle, busy = proxy.connect(), proxy.connect()
    peer = ask(busy, backend)
    ask(idle, backend).send(OK)
    idle.response()
    proxy.terminate()
    assert idle.rest() == b""
    peer.send(OK)
    head, body = busy.response()
    assert body == b"ok"
    assert value_of(head, b"connection") == b"close"
    assert busy.rest() == b""
    assert proxy.wait() == 0


def test_drain_is_bounded(start_proxy, backend):
    """A request that outlasts DRAIN_TIMEOUT is cut off, visibly, and the exit code is still 0."""
    proxy = start_proxy(DRAIN_TIMEOUT="0.1")
    client = proxy.connect()
    peer = ask(client, backend)
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    client.until(b"a\r\n")
    proxy.terminate()
    assert client.rest() == b""
    assert proxy.wait() == 0
    assert proxy.logged("cut off")


def test_upload_in_flight_survives_the_drain(start_proxy, backend):
    """A body that is still being sent when SIGTERM comes is sent to its end."""
    proxy = start_proxy(DRAIN_TIMEOUT="30")
    client, idle = proxy.connect(), proxy.connect()
    ask(idle, backend).send(OK)
    idle.response()
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
    peer = backend.peers[-1]
    peer.head()
    peer.exactly(2)
    proxy.terminate()
    assert idle.rest() == b""
    client.send(b"cd")
    assert peer.exactly(2) == b"cd"
    peer.send(OK)
    assert client.response()[1] == b"ok"
    assert proxy.wait() == 0


def test_drain_delay_keeps_the_listener_open(start_proxy, backend):
    """During DRAIN_DELAY new connections are served, each answer with a close."""
    proxy = start_proxy(DRAIN_DELAY="30", DRAIN_TIMEOUT="0")
    witness = proxy.connect()
    ask(witness, backend).send(OK)
    witness.response()
    proxy.terminate()

    def closing() -> bool:
        client = proxy.connect()
        client.send(GET)
        peer = backend.peers[-1]
        peer.head()
        peer.send(OK)
        return value_of(client.response()[0], b"connection") == b"close"

    assert wait_for(closing, "no answer with a close")
    proxy.process.send_signal(signal.SIGINT)


def test_stops_while_the_backend_is_not_ready(start_proxy, backend):
    """S7: a stop during the backend's start is a stop."""
    backend.listener.close()
    proxy = start_proxy(ready=False, READY_HOLD="60", DRAIN_TIMEOUT="0")
    proxy.connect().send(GET)
    proxy.terminate()
    assert proxy.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_interrupt_stops_at_once(start_proxy, backend, number):
    """Ctrl-C does not wait for requests in flight."""
    proxy = start_proxy(DRAIN_TIMEOUT="60")
    client = proxy.connect()
    ask(client, backend)
    proxy.process.send_signal(number)
    assert proxy.wait() == 0
    assert client.rest() == b""


def test_worker_that_dies_is_replaced(start_proxy, backend):
    """gunicorn's master starts another worker."""
    proxy = start_proxy()
    children = Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children")
    (worker,) = children.read_text().split()
    os.kill(int(worker), signal.SIGKILL)
    wait_for(lambda: len([line for line in proxy.errors if "backend ready" in line]) == 2, "no second worker")
    client = proxy.connect()
    ask(client, backend).send(OK)
    assert client.response()[1] == b"ok"


def test_several_workers(start_proxy, backend):
    """WEB_CONCURRENCY workers share the listener."""
    proxy = start_proxy(WEB_CONCURRENCY="2")
    wait_for(lambda: len([line for line in proxy.errors if "backend ready" in line]) == 2, "one worker only")
    client = proxy.connect()
    ask(client, backend).send(OK)
    assert client.response()[1] == b"ok"


def run(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SERVE], env=environ, capture_output=True, text=True, timeout=20, check=False
    )


def test_port_in_use(backend):
    """S12: one sentence on standard error, exit code 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(environment(backend.port, LISTEN=f"127.0.0.1:{port}"))
    assert done.returncode == 2
    assert done.stderr == (
        f"cannot listen on 127.0.0.1:{port}: address already in use; "
        "stop what listens there, or set LISTEN or PORT to another\n"
    )


def test_unknown_host_to_listen_on(backend):
    """A name that does not resolve is no traceback either."""
    done = run(environment(backend.port, LISTEN="no-such-host.invalid:80"))
    assert done.returncode == 2
    assert done.stderr.startswith("cannot listen on no-such-host.invalid:80: ")


HOSTILE = {
    "FORWARDED_ALLOW_IPS": "127.0.0.1",
    "GUNICORN_CMD_ARGS": "--bind 127.0.0.1:1 --workers 9 --no-such-option",
    "GUNICORN_FD": "99",
    "GUNICORN_PID": "1",
    "LISTEN_FDS": "3",
    "LISTEN_PID": "1",
    "NOTIFY_SOCKET": "/nowhere",
    "PORT": "1",
    "SENDFILE": "maybe",
    "SCRIPT_NAME": "/prefix",
    "XDG_RUNTIME_DIR": "/nowhere",
    "HOME": "/nowhere",
}


def test_environment_meant_for_another_gunicorn_changes_nothing(start_proxy, backend):
    """What gunicorn would read from the environment does not reach it; our own names still mean ours."""
    proxy = start_proxy(**HOSTILE)
    client = proxy.connect()
    client.send(GET)
    peer = backend.accept()
    assert peer.head().startswith(b"GET / HTTP/1.1\r\n")
    peer.send(OK)
    assert client.response()[1] == b"ok"
    assert len(proxy.errors) == 2


def test_log_is_two_lines(backend):
    """A start and a stop without incident say where it listens and when the backend was ready, nothing else."""
    proxy = Proxy(environment(backend.port))
    try:
        proxy.logged("backend ready")
    finally:
        proxy.close()
    assert proxy.errors[0] == f"INFO listening on 127.0.0.1:{proxy.port} -> upstream http://127.0.0.1:{backend.port}\n"
    assert len(proxy.errors) == 2
    assert proxy.process.returncode == 0


def test_a_drain_does_not_make_what_ends_by_close_look_complete(start_proxy, backend):
    """A 1.0 client is cut off with an error: a plain end would be the end of the body."""
    proxy = start_proxy(DRAIN_TIMEOUT="0.1")
    client = proxy.connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    peer = backend.accept()
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\nthe first half")
    client.head()
    assert client.exactly(14) == b"the first half"
    proxy.terminate()
    assert client.was_reset()
