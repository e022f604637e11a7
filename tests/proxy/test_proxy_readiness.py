"""The readiness gate: a backend that is not there yet, or not any more, is 503 and never 502."""

from __future__ import annotations

import pytest
from proxy_peers import Backend, value_of, wait_for

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def port(backend):
    """A port where nobody listens, and where a test can start a backend."""
    backend.listener.close()
    return backend.port


@pytest.fixture
def revive(port):
    made = []

    def listen() -> Backend:
        made.append(Backend(port))
        return made[-1]

    yield listen
    for backend in made:
        backend.close()


def test_backend_that_is_not_up_is_503(start_proxy, port):
    """S2: 503 with Retry-After, the connection kept."""
    client = start_proxy(ready=False).connect()
    for _ in range(2):
        client.send(GET)
        head, _body = client.response()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert value_of(head, b"retry-after") == b"1"
        assert value_of(head, b"proxy-status").startswith(b"pillion; error=destination_unavailable")


def test_request_is_held_until_the_backend_is_up(start_proxy, revive):
    """READY_HOLD: a request that came too early is answered by the backend."""
    client = start_proxy(ready=False, READY_HOLD="30").connect()
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
    peer = revive().accept()
    peer.head()
    assert peer.exactly(2) == b"hi"
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_hold_is_bounded(start_proxy, port):
    """After READY_HOLD it is 503 all the same."""
    client = start_proxy(ready=False, READY_HOLD="0.05").connect()
    client.send(GET)
    assert client.head().startswith(b"HTTP/1.1 503 ")


def test_ready_path_opens_the_gate(start_proxy, backend):
    """With READY_PATH an accepted connection is not enough; 200 to 399 is."""
    proxy = start_proxy(ready=False, READY_PATH="/health?x")
    client = proxy.connect()
    probe = backend.accept()
    assert probe.head().startswith(b"GET /health?x HTTP/1.1\r\n")
    probe.send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    probe = backend.accept()
    probe.head()
    client.send(GET)
    assert client.head().startswith(b"HTTP/1.1 503 ")
    probe.send(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
    proxy.logged("backend ready")
    client = proxy.connect()
    client.send(GET)
    backend.accept().head()


def test_gate_closes_when_the_backend_goes_away_and_opens_again(start_proxy, backend):
    """A refused connection later on is 503 too, until the backend is back."""
    proxy = start_proxy()
    client = proxy.connect()
    backend.listener.close()
    client.send(GET)
    assert client.head().startswith(b"HTTP/1.1 503 ")
    proxy.logged("backend not ready")
    back = Backend(backend.port)
    wait_for(lambda: len([line for line in proxy.errors if "backend ready" in line]) == 2, "never ready again")
    client = proxy.connect()
    client.send(GET)
    peer = back.accept()
    peer.head()
    peer.send(OK)
    assert client.response()[1] == b"ok"
    back.close()
