"""The admin listener: live, ready and a look inside, apart from the public one."""

from __future__ import annotations

import json
import signal
import socket
import threading
from importlib.metadata import version

import pytest
from proxy_peers import PATIENCE, Peer, wait_for

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def ask(proxy, path, method="GET"):
    """Status and document."""
    port = int(proxy.logged("admin on ").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        peer = Peer(sock)
        peer.send(f"{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        head, _, body = peer.rest().partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body) if body else None


@pytest.fixture
def start(start_proxy):
    return lambda **settings: start_proxy(ADMIN_LISTEN="127.0.0.1:0", **settings)


def test_ready_follows_the_backend(start, backend):
    """Live from the start; ready when the backend is, and not any more when it has gone."""
    port = backend.port
    backend.close()
    proxy = start(ready=False)
    assert ask(proxy, "/live") == (200, {"live": True})
    assert ask(proxy, "/ready") == (503, {"ready": False, "reason": "the backend is not ready"})
    with socket.create_server(("127.0.0.1", port)):
        proxy.logged("backend ready")
        wait_for(lambda: ask(proxy, "/ready") == (200, {"ready": True}), "never ready")
    client = proxy.connect()
    client.send(GET)
    assert client.response()[0].startswith(b"HTTP/1.1 503 ")
    assert ask(proxy, "/ready")[0] == 503


def test_ready_asks_ready_path_each_time(start, backend):
    """A backend that has been ready may say that it is not; requests go on to it all the same."""
    answers = [b"HTTP/1.1 200 OK\r\n\r\n"]

    def answer():
        while True:
            try:
                peer = Peer(backend.listener.accept()[0])
            except OSError:
                return
            peer.head()
            peer.send(answers[-1])
            peer.close()

    backend.listener.settimeout(None)
    serving = threading.Thread(target=answer)
    serving.start()
    proxy = start(READY_PATH="/health")
    assert ask(proxy, "/ready") == (200, {"ready": True})
    answers.append(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    reason = "the backend is not ready: 503 for /health"
    assert ask(proxy, "/ready") == (503, {"ready": False, "reason": reason})
    client = proxy.connect()
    client.send(GET)
    assert client.response()[0].startswith(b"HTTP/1.1 503 Service Unavailable")
    answers.append(answers[0])
    assert ask(proxy, "/ready") == (200, {"ready": True})
    backend.listener.shutdown(socket.SHUT_RDWR)
    serving.join(PATIENCE)


def test_a_drain_is_seen_from_its_start(start, backend):
    """S23: not ready at once, while requests that still come are answered; live until it is gone."""
    proxy = start(DRAIN_DELAY="60")
    assert ask(proxy, "/ready")[0] == 200
    proxy.terminate()
    wait_for(lambda: ask(proxy, "/ready") == (503, {"ready": False, "reason": "it is being stopped"}), "no drain")
    assert ask(proxy, "/live")[0] == 200
    assert ask(proxy, "/status")[1]["draining"] is True
    client = proxy.connect()
    client.send(GET)
    peer = backend.accept()
    peer.head()
    peer.send(OK)
    assert client.response()[1] == b"ok"
    proxy.process.send_signal(signal.SIGINT)
    assert proxy.wait() == 0


def test_a_request_in_flight_keeps_it_answering(start, backend):
    """Also after the last connection has been accepted."""
    proxy = start(DRAIN_TIMEOUT="60")
    client = proxy.connect()
    client.send(GET)
    peer = backend.accept()
    peer.head()
    proxy.terminate()
    wait_for(lambda: _refuses(proxy.port), "it still listens")
    assert ask(proxy, "/ready")[0] == 503
    assert ask(proxy, "/status")[1]["in_flight"] == 1
    peer.send(OK)
    assert client.response()[1] == b"ok"
    assert proxy.wait() == 0


def _refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def test_status(start, backend):
    """What is needed to see inside, as it is at this moment."""
    proxy = start(POOL_SIZE="7")
    idle, busy = proxy.connect(), proxy.connect()
    idle.send(GET)
    peer = backend.accept()
    peer.head()
    peer.send(OK)
    idle.response()
    busy.send(GET)
    peer.head()
    status, seen = ask(proxy, "/status")
    assert status == 200
    assert seen.pop("uptime_s") > 0
    assert seen.pop("pid") != proxy.process.pid
    assert seen == {
        "version": version("pillion"),
        "workers": 1,
        "ready": True,
        "draining": False,
        "connections": 2,
        "in_flight": 1,
        "requests": 2,
        "upstreams": [
            {"upstream": f"http://127.0.0.1:{backend.port}", "idle": 0, "in_use": 1, "waiting": 0, "size": 7}
        ],
    }
    peer.send(OK)
    busy.response()
    wait_for(lambda: ask(proxy, "/status")[1]["upstreams"][0]["idle"] == 1, "the connection is not idle")


def test_each_of_several_workers_says_which_one_it_is(start):
    """Both are there to be asked."""
    proxy = start(WEB_CONCURRENCY="2")
    seen = set()

    def both():
        document = ask(proxy, "/status")[1]
        assert document["workers"] == 2
        seen.add(document["pid"])
        return len(seen) == 2

    wait_for(both, "only one of them answers")


def test_it_answers_nothing_else(start, backend):
    """No other path or method, nothing malformed; and the public listener knows none of it."""
    proxy = start()
    assert ask(proxy, "/")[0] == 404
    assert ask(proxy, "/live", "POST")[0] == 405
    assert ask(proxy, "/live?now", "HEAD") == (200, None)
    port = int(proxy.logged("admin on ").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        peer = Peer(sock)
        peer.send(b"nonsense\r\n\r\n")
        assert peer.rest() == b""
    client = proxy.connect()
    client.send(b"GET /live HTTP/1.1\r\nHost: h\r\n\r\n")
    assert backend.accept().head().startswith(b"GET /live ")
