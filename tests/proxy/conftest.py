"""Proxies and backends for the tests of the proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from proxy_peers import Backend, Peer, Proxy, environment


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.close()


@pytest.fixture
def start_proxy(backend: Backend) -> Iterator[Callable[..., Proxy]]:
    """Start a proxy with settings of its own in front of `backend`, and wait until it listens."""
    started: list[Proxy] = []

    def start(*, ready: bool = True, under: Sequence[str] = (), **settings: str) -> Proxy:
        proxy = Proxy(environment(backend.port, **settings), under)
        started.append(proxy)
        if ready:
            proxy.logged("backend ready")
        return proxy

    yield start
    for proxy in started:
        proxy.close()


@pytest.fixture(scope="session")
def _shared() -> Iterator[tuple[Proxy, Backend]]:
    backend = Backend()
    proxy = Proxy(environment(backend.port))
    try:
        proxy.logged("backend ready")
        yield proxy, backend
    finally:
        proxy.close()
        backend.close()


@pytest.fixture
def pair(_shared: tuple[Proxy, Backend]) -> Iterator[tuple[Proxy, Backend]]:
    """A proxy with default settings and its backend; what a test leaves behind ends with it."""
    proxy, backend = _shared
    yield proxy, backend
    proxy.hang_up()
    backend.hang_up()
    # A request left unanswered may have been retried: take in what comes until a request of our own arrives.
    fence = proxy.connect()
    fence.send(b"GET /fence HTTP/1.1\r\nHost: fence\r\n\r\n")
    while not backend.accept().head().startswith(b"GET /fence "):
        pass
    fence.close()
    backend.hang_up()


@pytest.fixture
def client(pair: tuple[Proxy, Backend]) -> Peer:
    """A connection to the shared proxy."""
    return pair[0].connect()


@pytest.fixture
def upstream(pair: tuple[Proxy, Backend]) -> Backend:
    """The shared proxy's backend."""
    return pair[1]
