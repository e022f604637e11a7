"""Stop, reload and lost workers while requests keep coming (F13, F14)."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from proxy_peers import PATIENCE, Backend, Peer, Proxy, environment, value_of, wait_for

from pillion.compare.load import LoadJob, run_load

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLIENTS = 4
A_CONNECTION = 10  # requests


@pytest.fixture
def answering():
    """A backend that answers everything at once, in threads."""
    backend = Answering()
    backend.listener.settimeout(None)
    serving = threading.Thread(target=_serve, args=(backend,))
    serving.start()
    yield backend
    backend.listener.shutdown(socket.SHUT_RDWR)
    serving.join()
    backend.close()


class Answering(Backend):
    """`answered` counts roughly."""

    answered = 0


def _serve(backend):
    while True:
        try:
            sock, _ = backend.listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(sock, backend), daemon=True).start()


def _answer(sock, backend):
    with sock:
        try:
            while sock.recv(65536):
                sock.sendall(OK)
                backend.answered += 1
        except OSError:
            pass


class Load:
    """Clients that ask again and again, on connections that they keep for a while. `seen` counts how it went."""

    def __init__(self, port: int) -> None:
        self.seen: Counter[str] = Counter()
        self._address = ("127.0.0.1", port)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def wait_for(self, more: int) -> None:
        goal = self.seen["200"] + more
        wait_for(lambda: self.seen["200"] >= goal, f"no {more} answers: {self.seen}")

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                sock = socket.create_connection(self._address, PATIENCE)
            except ConnectionRefusedError:
                self.seen["refused"] += 1
                return
            with sock:
                peer = Peer(sock)
                for at in range(A_CONNECTION):
                    outcome = self._ask(peer)
                    # What every client of HTTP/1.1 has to expect of a connection that it kept (RFC 9112 section 9.5).
                    self.seen["kept and closed" if at and outcome == "reset" else outcome] += 1
                    if outcome != "200":
                        break

    @staticmethod
    def _ask(peer: Peer) -> str:
        try:
            peer.send(GET)
            begun = peer.sock.recv(65536)
        except OSError:
            return "reset"
        if not begun:
            return "reset"
        peer.buffer += begun
        try:
            head, body = peer.response()
        except (OSError, AssertionError):
            return "cut off"
        if body != b"ok":
            return f"wrong: {head!r} {body!r}"
        return "closing" if b"onnection: close" in head else head[9:12].decode()


def test_a_stop_under_load(answering):
    """F13: no 502, nothing cut off, a bounded exit; at most the connections of the last instant are reset."""
    proxy = Proxy(environment(answering.port, DRAIN_TIMEOUT="5"))
    try:
        proxy.logged("backend ready")
        load = Load(proxy.port)
        load.wait_for(500)
        proxy.terminate()
        assert proxy.wait() == 0
        load.stop()
    finally:
        proxy.close()
    resets = load.seen.pop("reset", 0)
    assert set(load.seen) <= {"200", "closing", "refused", "kept and closed"}
    assert load.seen["refused"] == CLIENTS
    assert resets == 0


def test_a_stop_under_load_with_a_delay(answering):
    """F13 with DRAIN_DELAY, for platforms that go on sending for a while: until it is over, all is answered."""
    proxy = Proxy(environment(answering.port, DRAIN_DELAY="0.5", DRAIN_TIMEOUT="5"))
    try:
        proxy.logged("backend ready")
        load = Load(proxy.port)
        load.wait_for(200)
        proxy.terminate()
        wait_for(lambda: load.seen["closing"] > 50, f"not answered any more: {load.seen}")
        load.stop()
        assert proxy.wait() == 0
    finally:
        proxy.close()
    assert set(load.seen) <= {"200", "closing", "kept and closed"}


def test_a_stop_at_a_thousand_requests_a_second(answering):
    """F13: whoever was accepted is answered, until nobody is accepted any more; a bounded exit, and nothing is a 502.

    The generator sends again what met a connection's end before the first byte of an answer, as HTTP has it.
    """
    proxy = Proxy(environment(answering.port, DRAIN_TIMEOUT="5"))
    try:
        proxy.logged("backend ready")
        job = LoadJob(port=proxy.port, rate=1000, duration_s=1.5, timeout_s=20)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run_load, job)
            wait_for(lambda: answering.answered > 400, "no load")
            proxy.terminate()
            assert proxy.wait() == 0
            result = running.result()
    finally:
        proxy.close()
    assert set(result.statuses) == {"200"}
    assert {kind for kind, count in result.failed.items() if count} == {"connect"}
    assert result.statuses["200"] + result.failed["connect"] == result.requests


@pytest.mark.parametrize("workers", ["1", "2"])
def test_reloads_under_load(answering, workers):
    """F14: SIGHUP replaces the workers; no request fails, and no connection ends that was not said to."""
    proxy = Proxy(environment(answering.port, WEB_CONCURRENCY=workers))
    try:
        proxy.logged("backend ready")
        load = Load(proxy.port)
        for _ in range(2):
            before = children(proxy)
            proxy.process.send_signal(signal.SIGHUP)
            wait_for(lambda before=before: not before & children(proxy), "the old workers stay")
            load.wait_for(200)
        load.stop()
    finally:
        proxy.close()
    assert set(load.seen) <= {"200", "closing"}


def test_workers_that_have_served_enough(answering):
    """F14: MAX_REQUESTS replaces one worker after the other; no request fails."""
    proxy = Proxy(environment(answering.port, MAX_REQUESTS="200", WEB_CONCURRENCY="2"))
    try:
        proxy.logged("backend ready")
        load = Load(proxy.port)
        before = children(proxy)
        wait_for(lambda: not before & children(proxy), "the old workers stay")
        load.wait_for(200)
        load.stop()
    finally:
        proxy.close()
    assert set(load.seen) <= {"200", "closing"}


def test_a_worker_that_a_stranger_stops(answering):
    """F14: a SIGTERM to a worker itself is no loss either; it goes when another serves."""
    proxy = Proxy(environment(answering.port))
    try:
        proxy.logged("backend ready")
        load = Load(proxy.port)
        (worker,) = children(proxy)
        os.kill(int(worker), signal.SIGTERM)
        wait_for(lambda: worker not in children(proxy), "the old worker stays")
        load.wait_for(200)
        load.stop()
    finally:
        proxy.close()
    assert set(load.seen) <= {"200", "closing"}


def test_idle_connections_outlive_a_reload(answering):
    """One that was used and one that has asked nothing yet get their next answer, which says that it is the last."""
    proxy = Proxy(environment(answering.port))
    try:
        proxy.logged("backend ready")
        used, fresh, witness = proxy.connect(), proxy.connect(), proxy.connect()
        for client in (used, witness):
            client.send(GET)
            assert client.response()[1] == b"ok"
        (old,) = children(proxy)
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: Load._ask(witness) == "closing", "no new worker")
        assert old in children(proxy)
        for client in (used, fresh):
            client.send(GET)
            head, body = client.response()
            assert body == b"ok"
            assert value_of(head, b"connection") == b"close"
            assert client.rest() == b""
        wait_for(lambda: old not in children(proxy), "the old worker stays")
    finally:
        proxy.close()


def test_a_request_that_outlasts_a_reload(backend):
    """A replaced worker finishes it; DRAIN_TIMEOUT is for stops. RETIRE_TIMEOUT bounds it."""
    proxy = Proxy(environment(backend.port, DRAIN_TIMEOUT="0", RETIRE_TIMEOUT="30"))
    try:
        proxy.logged("backend ready")
        client = proxy.connect()
        client.send(GET)
        peer = backend.accept()
        peer.head()
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len([line for line in proxy.errors if "backend ready" in line]) == 2, "no new worker")
        peer.send(OK)
        assert client.response()[1] == b"ok"
    finally:
        proxy.close()


def test_a_replaced_worker_does_not_stay_for_ever(backend):
    """RETIRE_TIMEOUT ends what it has begun, visibly, and a connection that asks nothing."""
    proxy = Proxy(environment(backend.port, RETIRE_TIMEOUT="0.1"))
    try:
        proxy.logged("backend ready")
        client, fresh = proxy.connect(), proxy.connect()
        client.send(GET)
        backend.accept().head()
        (old,) = children(proxy)
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: children(proxy) and old not in children(proxy), "the old worker stays")
        assert client.rest() == b"" and fresh.rest() == b""
        assert proxy.logged("1 connections cut off after 0.1 s")
    finally:
        proxy.close()


def test_a_stop_does_not_wait_for_a_replaced_worker(backend):
    """SIGTERM is for those that are leaving too."""
    proxy = Proxy(environment(backend.port, DRAIN_TIMEOUT="0.1", RETIRE_TIMEOUT="600"))
    try:
        proxy.logged("backend ready")
        client = proxy.connect()
        client.send(GET)
        backend.accept().head()
        (old,) = children(proxy)
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(children(proxy)) == 2, "no new worker")
        wait_for(lambda: len([line for line in proxy.errors if "backend ready" in line]) == 2, "no new worker")
        assert old in children(proxy)
        proxy.terminate()
        assert proxy.wait() == 0
        assert client.rest() == b""
    finally:
        proxy.close()


@pytest.mark.parametrize("pieces", [(GET[:9], GET[9:]), (GET + GET,)])
def test_what_has_begun_to_arrive_is_answered_in_a_stop(answering, pieces):
    """A head of which the first part had come; of two that came at once, the first: the second may be sent again."""
    proxy = Proxy(environment(answering.port, DRAIN_TIMEOUT="20"))
    try:
        proxy.logged("backend ready")
        client, other = proxy.connect(), proxy.connect()
        client.send(pieces[0])
        if len(pieces) == 1:
            assert client.response()[1] == b"ok"
        other.send(GET)
        assert other.response()[1] == b"ok"
        proxy.terminate()
        assert other.rest() == b""
        client.send(*pieces[1:])
        assert client.response()[1] == b"ok"
        assert proxy.wait() == 0
    finally:
        proxy.close()


def children(proxy):
    return set(Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children").read_text().split())
