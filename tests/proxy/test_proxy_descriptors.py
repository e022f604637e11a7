"""Descriptors: what the settings ask for and the process may not have, and a worker that has no more of them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from proxy_peers import PATIENCE, SERVE, answer_everybody, environment, wait_for, worker_of

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def limited(soft: int, hard: int) -> list[str]:
    """A command that runs another one with these limits."""
    return ["sh", "-c", 'ulimit -Sn "$0" && ulimit -Hn "$1" && shift && exec "$@"', str(soft), str(hard)]


def refused(soft: int, hard: int, **settings: str) -> str:
    """What a proxy says that does not start."""
    done = subprocess.run(
        [*limited(soft, hard), sys.executable, "-c", SERVE],
        env=environment(1, **settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    return done.stderr


def leave(worker: int, spare: int) -> None:
    """Let the process open only so many descriptors more."""
    highest = max(int(each.name) for each in Path(f"/proc/{worker}/fd").iterdir())
    _, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (highest + 1 + spare, hard))


def exchange(client, peer) -> None:
    peer.head()
    peer.send(OK)
    assert client.response()[0].startswith(b"HTTP/1.1 200 ")


def test_the_soft_limit_is_raised(start_proxy):
    """A shell's soft limit is no reason to serve fewer clients."""
    proxy = start_proxy(under=limited(256, 4096))
    limits = Path(f"/proc/{worker_of(proxy)}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    assert line.split()[3:5] == ["4096", "4096"]
    assert not any("ulimit" in line for line in proxy.errors)


def test_what_nobody_asked_for_is_made_to_fit(start_proxy, backend):
    """With a notice; as many clients as it says are served."""
    proxy = start_proxy(under=limited(200, 200))
    assert "WARNING MAX_CONNECTIONS is 52 and POOL_SIZE 52: only 200 files may be open" in proxy.logged("ulimit")
    clients = [proxy.connect() for _ in range(60)]
    for client in clients:
        client.send(GET)
    peers = [backend.accept() for _ in range(52)]
    for peer in peers:
        peer.head()
        peer.send(OK)
    wait_for(lambda: sum(not client.is_silent() for client in clients) == 52, "not all of the 52 were served")
    assert not any("Traceback" in line or "ERROR" in line for line in proxy.errors)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"MAX_CONNECTIONS": "5000", "POOL_SIZE": "100"}, "cannot read MAX_CONNECTIONS: a worker may open 4096 files"),
        ({"PROXY__MAX_CONNECTIONS": "4000"}, "cannot read MAX_CONNECTIONS: a worker may open 4096 files"),
        ({"MAX_CONNECTIONS": "2500", "POOL_SIZE": "2500"}, "give at most 2000, or more and a smaller POOL_SIZE: 4000"),
        ({"POOL_SIZE": "2001", "MAX_CONNECTIONS": "2001"}, "cannot read MAX_CONNECTIONS"),
    ],
)
def test_what_somebody_asked_for_is_meant(settings, said):
    """One sentence that names the setting and the limit."""
    error = refused(1024, 4096, **settings)
    assert said in error
    assert error.count("\n") == 1


def test_a_pool_that_somebody_asked_for_is_meant():
    assert "cannot read POOL_SIZE: a worker may open 1000 files" in refused(1000, 1000, POOL_SIZE="500")
    assert "cannot read MAX_CONNECTIONS: a worker may open 100 files" in refused(100, 100)


def test_a_pool_that_nobody_asked_for_makes_room(start_proxy):
    """For clients that somebody did ask for."""
    proxy = start_proxy(under=limited(1000, 1000), MAX_CONNECTIONS="800")
    assert "MAX_CONNECTIONS is 800 and POOL_SIZE 104" in proxy.logged("ulimit")


def test_no_descriptor_for_another_client(start_proxy, backend):
    """One line however many come; who is there is served meanwhile, and the others when there is room again."""
    threading.Thread(target=answer_everybody, args=(backend.listener,), daemon=True).start()
    proxy = start_proxy()
    client = proxy.connect()
    client.send(GET)
    client.response()
    worker = worker_of(proxy)
    leave(worker, 2)
    others = [proxy.connect() for _ in range(20)]
    proxy.logged("no connection can be accepted (too many open files)")
    for _ in range(3):
        client.send(GET)
        assert client.response()[1] == b"ok"
    leave(worker, 100)
    for other in others:
        other.send(GET)
        assert other.response()[1] == b"ok"
    assert [line for line in proxy.errors if "ERROR" in line or "Traceback" in line] == [
        "ERROR no connection can be accepted (too many open files)\n"
    ]


def test_no_descriptor_for_the_backend(start_proxy, backend):
    """503 and one line; the client's connection lives, and so does everything else."""
    proxy = start_proxy(ACCESS_LOG="json")
    clients = [proxy.connect() for _ in range(3)]
    clients[0].send(GET)
    exchange(clients[0], peer := backend.accept())
    for client in clients[1:]:
        client.send(GET)
        exchange(client, peer)
    clients[0].send(GET)
    peer.head()
    leave(worker_of(proxy), 0)
    for client in clients[1:]:
        for _ in range(3):
            client.send(GET)
            head, body = client.response()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"too many open files" in body
            assert b"Retry-After" in head
    peer.send(OK)
    assert clients[0].response()[1] == b"ok"
    clients[1].send(GET)
    exchange(clients[1], peer)
    assert [line for line in proxy.errors if "ERROR" in line or "Traceback" in line] == [
        "ERROR no connection to the backend can be made (too many open files)\n"
    ]


@pytest.mark.parametrize("up", [False, True])
def test_no_descriptor_for_a_pipe(start_proxy, backend, up):
    """A long body goes through the worker's hands then."""
    proxy = start_proxy()
    client = proxy.connect()
    client.send(GET)
    peer = backend.accept()
    exchange(client, peer)
    leave(worker_of(proxy), 0)
    body = os.urandom(300_000)
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    if up:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\n", length)
        peer.head()
        client.send(body)
        assert peer.exactly(len(body)) == body
        peer.send(OK)
        client.response()
    else:
        client.send(GET)
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n", length)
        client.head()
        peer.send(body)
        assert client.exactly(len(body)) == body
    assert not any("Traceback" in line for line in proxy.errors)
