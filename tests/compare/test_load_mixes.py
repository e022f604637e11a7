"""The generator's connections, mixes of requests, closed loops, and what it says of its own rate."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import Any

from pillion.compare.load.job import Target
from tests.compare.samples import sample
from tests.compare.scripted import OK, Serve, failed, load


def test_connections_are_never_more_than_asked(serve: Serve) -> None:
    """What does not fit waits; its wait is in its latency."""

    def script(*_: Any) -> bytes:
        time.sleep(0.05)
        return OK

    server = serve(script)
    result = load(server.port, connections=3)  # three connections carry 60 a second of the 100 asked for
    assert server.connections == result.generator.peak_connections == 3
    assert failed(result) == {}
    assert result.queued > 0
    assert result.rate < 100
    assert result.latency.max > result.latency.percentile(1) >= 50_000


def test_without_keep_alive_every_request_has_a_connection(serve: Serve) -> None:
    """And says that it will close, whatever the server does."""
    server = serve(lambda *_: OK)
    result = load(server.port, keep_alive=False)
    assert failed(result) == {} and server.connections == 30
    assert all(b"\r\nConnection: close\r\n" in request for request in server.requests)


def test_a_mix_is_sent_by_its_weights(serve: Serve) -> None:
    """Each kind with its own method and body over the same connections, HEAD among them; repeatable by the seed."""
    mix = (Target(6, "GET", "/a"), Target(3, "HEAD", "/b"), Target(1, "POST", "/c", b"{}"))

    def script(_: int, __: int, request: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (b"" if request.startswith(b"HEAD") else b"ok")

    seen = []
    for _ in range(2):
        server = serve(script)
        result = load(server.port, rate=400, duration_s=1, connections=1, targets=mix, seed=5)
        assert failed(result) == {} and server.connections == 1
        seen.append([request.split(b" HTTP")[0] for request in server.requests])
    assert seen[0] == seen[1]
    counts = {kind: seen[0].count(kind) for kind in (b"GET /a", b"HEAD /b", b"POST /c")}
    # Five sigma of a draw from 400.
    assert 190 < counts[b"GET /a"] < 290 and 73 < counts[b"HEAD /b"] < 167 and 9 < counts[b"POST /c"] < 71
    assert server.requests[seen[0].index(b"POST /c")].endswith(b"Content-Length: 2\r\n\r\n{}")


def test_only_the_idempotent_of_a_mix_are_resent(serve: Serve) -> None:
    """Each by its own method."""
    server = serve(lambda _, turn, __: OK if turn == 0 else None)
    mix = (Target(1, "GET", "/a"), Target(1, "POST", "/b"))
    result = load(server.port, connections=1, targets=mix, seed=2, duration_s=0.5)
    posts = sum(request.startswith(b"POST") for request in server.requests)
    assert set(failed(result)) == {"reset"} and 0 < result.failed["reset"] <= posts
    assert result.resent > 0 and result.failed["reset"] + result.resent < len(server.requests)


def test_a_closed_loop_waits_for_every_answer(serve: Serve) -> None:
    """Never more under way than connections; as many a second as the server's delay allows, and no more."""
    lock, under_way, most = threading.Lock(), [0], [0]

    def script(*_: Any) -> bytes:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        with lock:
            under_way[0] -= 1
        return OK

    server = serve(script)
    result = load(server.port, rate=1, duration_s=1, connections=4, closed_loop=True)
    assert failed(result) == {} and server.connections == most[0] == 4
    assert 4 <= result.requests <= 200 and result.latency.percentile(1) >= 20_000
    assert result.queued == 0 and result.offered_rate == 0 and result.shortfall == ""


def test_a_closed_loop_ends_where_the_server_hangs_or_is_gone(serve: Serve) -> None:
    """By the timeout of what is under way; and a server that refuses is not asked for ever."""
    hanging = load(serve(lambda *_: ...).port, rate=1, duration_s=0.2, connections=3, timeout_s=0.3, closed_loop=True)
    assert failed(hanging) == {"timeout": 3}
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    gone = load(port, rate=1, duration_s=0.02, connections=2, closed_loop=True)
    assert set(failed(gone)) == {"connect"} and gone.failures == gone.requests <= 1002


def test_a_rate_that_is_not_kept_is_told_with_its_cause(serve: Serve) -> None:
    """One connection that carries 50 of 200 a second: by name and number."""

    def slow(*_: Any) -> bytes:
        time.sleep(0.02)
        return OK

    said = load(serve(slow).port, rate=200, duration_s=0.5, connections=1).shortfall
    assert "of 200.0 requests a second were answered in time" in said and "found no connection free" in said
    kept = sample(500, count=50).load
    assert kept.shortfall == "" and replace(kept, rate=40.0).shortfall.startswith("40.0 of 50.0 requests a second")


def test_known_delays_come_out_under_poisson_arrivals(serve: Serve) -> None:
    """Nine in ten answers take 10 ms and one takes 60: no percentile is below its delay, whatever the arrivals."""

    def script(number: int, *_: Any) -> bytes:
        time.sleep(0.06 if number % 10 == 0 else 0.01)
        return OK

    result = load(serve(script).port, duration_s=1, arrivals="poisson", seed=3)
    assert failed(result) == {} and result.latency.percentile(1) >= 10_000
    assert result.latency.percentile(91) >= 60_000
