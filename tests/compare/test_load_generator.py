"""The generator against servers that do, on purpose, everything a server can do."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, suppress
from typing import Any

import pytest

from tests.compare.scripted import CLOSING, OK, ScriptedServer, Serve, failed, load


def test_every_request_is_sent_once_and_counted(serve: Serve) -> None:
    """As many requests as rate and time make, each as the job says, over connections that are reused."""
    server = serve(lambda *_: OK)
    result = load(server.port, path="/x", headers=(("X-A", "b"),))
    assert (result.requests, failed(result), dict(result.statuses)) == (30, {}, {"200": 30})
    assert server.requests == [f"GET /x HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-A: b\r\n\r\n".encode()] * 30
    assert server.connections == result.generator.peak_connections < 30
    assert (result.resent, result.unsent) == (0, 0)


def test_warmup_is_sent_and_not_counted(serve: Serve) -> None:
    """The server works at the same rate before the measurement; even a failing warm-up is not in the result."""
    server = serve(lambda number, *_: b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" if number < 10 else OK)
    result = load(server.port, warmup_s=0.2)
    assert len(server.requests) == 50
    assert result.requests == 30
    assert failed(result) == {}


def test_injected_delays_come_out_as_they_went_in(serve: Serve) -> None:
    """One in ten answers takes 80 ms, the others 10 ms: the percentiles say so."""

    def script(number: int, *_: Any) -> bytes:
        time.sleep(0.08 if number % 10 == 0 else 0.01)
        return OK

    result = load(serve(script).port, duration_s=1)
    assert failed(result) == {}
    assert result.latency.percentile(1) >= 10_000
    assert result.latency.percentile(90.5) >= 80_000
    assert result.latency.percentile(50) < result.latency.percentile(99)


@pytest.mark.parametrize("arrivals", ["constant", "jitter", "poisson"])
def test_stall_is_charged_to_every_request_that_it_kept_waiting(serve: Serve, arrivals: str) -> None:
    """No coordinated omission: of 200 requests a second over two connections, a 500 ms stall makes 50 wait 250 ms.

    A closed loop would have seen two slow requests.
    """
    stalled = threading.Lock()

    def script(number: int, *_: Any) -> bytes:
        with stalled:
            if number == 100:
                time.sleep(0.5)
        return OK

    result = load(serve(script).port, rate=200, duration_s=2, connections=2, arrivals=arrivals, seed=1)
    assert failed(result) == {}
    expected = 50 if arrivals != "poisson" else 30  # of a Poisson process, five sigma fewer at most
    assert result.latency.percentile(100 - 100 * (expected - 3) / result.requests) >= 250_000
    assert result.latency.percentile(99.9) >= 480_000
    assert result.queued >= expected


def test_answer_that_never_comes_is_a_timeout_and_counts_as_one_in_the_percentiles(serve: Serve) -> None:
    """Leaving the unanswered out would flatter a server that hangs."""
    result = load(serve(lambda number, *_: ... if number % 2 else OK).port, timeout_s=0.2)
    assert failed(result) == {"timeout": 15}
    assert result.latency.count == 30
    assert result.latency.percentile(60) >= 200_000
    assert result.rate <= 15 / 0.3


def test_wait_for_a_connection_counts_towards_the_timeout(serve: Serve) -> None:
    """With its only connection hanging, every request times out, from its intended time, sent or not."""
    result = load(serve(lambda *_: ...).port, connections=1, timeout_s=0.2)
    assert failed(result) == {"timeout": 30}
    assert result.queued >= 29
    assert result.generator.peak_connections == 1


def test_late_answer_frees_nothing_and_is_not_taken_for_the_next(serve: Serve) -> None:
    """A connection whose request timed out is closed: its answer must not meet another request."""

    def script(number: int, *_: Any) -> bytes:
        if number == 0:
            time.sleep(0.3)
            return b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n"
        return OK

    result = load(serve(script).port, connections=1, timeout_s=0.15, duration_s=0.5)
    assert "500" not in result.statuses
    assert set(failed(result)) == {"timeout"}
    assert result.statuses["200"] + result.failures == result.requests


def test_refused_connections_are_connect_failures() -> None:
    """Nobody listens: every request fails to connect, at once, and no latency is made of it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    result = load(port)
    assert failed(result) == {"connect": 30}
    assert result.latency.count == 0
    assert result.rate == 0


def test_many_queued_requests_all_fail_when_the_server_goes(serve: Serve) -> None:
    """A thousand waiting requests that can no longer connect are a thousand failures, not a crash."""
    server: list[ScriptedServer] = []

    def script(*_: Any) -> None:
        time.sleep(0.4)
        server[0].close()

    server.append(serve(script))
    result = load(server[0].port, rate=3000, duration_s=0.4, connections=1)
    assert result.failures == result.requests == 1200
    assert result.failed["connect"] > 1000


def test_connection_that_ends_without_an_answer_is_a_reset(serve: Serve) -> None:
    """A new connection is never tried twice."""
    server = serve(lambda *_: None)
    result = load(server.port)
    assert failed(result) == {"reset": 30}
    assert result.resent == 0
    assert len(server.requests) == 30


def test_reused_connection_that_was_closing_is_resent_on_a_new_one(serve: Serve) -> None:
    """The server closes each connection when its second request comes, as a keep-alive timer may: no failure."""
    server = serve(lambda _, turn, __: OK if turn == 0 else None)
    result = load(server.port, connections=1)
    assert failed(result) == {}
    assert result.resent == 29
    assert len(server.requests) == 59


def test_what_is_not_idempotent_is_not_resent(serve: Serve) -> None:
    """RFC 9110 section 9.2.2: a POST may have been carried out."""
    server = serve(lambda _, turn, __: OK if turn == 0 else None)
    result = load(server.port, method="POST", connections=1)
    assert failed(result) == {"reset": 15}
    assert result.resent == 0
    assert len(server.requests) == 30


def test_connection_that_ends_within_an_answer_is_a_reset(serve: Serve) -> None:
    """Once a byte of the answer has come nothing is resent, on a reused connection either."""
    server = serve(lambda _, turn, __: OK if turn == 0 else (OK[:-1], True))
    result = load(server.port, connections=1)
    assert failed(result) == {"reset": 15}
    assert result.resent == 0


def test_idle_connections_that_the_server_closes_cost_nothing(serve: Serve) -> None:
    """Keep-alive that ends in silence between two requests: a new connection, no failure."""
    result = load(serve(lambda *_: (OK, True)).port, rate=50)
    assert failed(result) == {}


def test_announced_close_is_obeyed(serve: Serve) -> None:
    """After `Connection: close` each request has a connection of its own, and none is resent."""
    server = serve(lambda *_: CLOSING)
    result = load(server.port)
    assert failed(result) == {}
    assert (server.connections, result.resent) == (30, 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 400_000, True),
        b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"x" * 400_000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["chunked", "until close", "long", "interim", "no content", "redirect"],
)
def test_every_framing_is_an_answer(serve: Serve, answer: Any) -> None:
    """Whole answers below 400 are good, however long and however framed."""
    assert failed(load(serve(lambda *_: answer).port, duration_s=0.2)) == {}


def test_statuses_of_400_and_above_fail_and_are_told(serve: Serve) -> None:
    """A fast refusal must not make the percentiles look better."""
    server = serve(lambda number, *_: b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" if number % 3 == 0 else OK)
    result = load(server.port)
    assert failed(result) == {"status": 10}
    assert dict(result.statuses) == {"200": 20, "503": 10}
    assert result.latency.count == 20


def test_only_the_expected_status_is_good(serve: Serve) -> None:
    """A job that expects a 404 is content with it and not with a 200."""
    server = serve(lambda number, *_: b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n" if number % 2 else OK)
    result = load(server.port, expect_status=404)
    assert failed(result) == {"status": 15}
    assert result.latency.count == 15


def test_answers_that_are_no_http_are_malformed(serve: Serve) -> None:
    """Neither a failure to connect nor a reset: somebody else listens there."""
    assert failed(load(serve(lambda *_: b"220 mail\r\n").port)) == {"malformed": 30}


def test_head_needs_no_content(serve: Serve) -> None:
    """HEAD over a kept connection."""
    server = serve(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    result = load(server.port, method="HEAD", connections=1)
    assert failed(result) == {}
    assert server.connections == 1


def test_long_bodies_arrive_whole(serve: Serve) -> None:
    """A body that no socket buffer holds is sent as the server takes it, byte for byte."""
    body = bytes(range(256)) * 16384
    server = serve(lambda _, __, request: OK if request.endswith(b"\r\n\r\n" + body) else None)
    result = load(server.port, rate=20, method="POST", body=body)
    assert failed(result) == {}
    assert result.requests == 6


def test_answer_before_the_end_of_the_body_is_taken(serve: Serve) -> None:
    """A server that says 413 while the body is still coming has answered."""
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                refused.append(connection)
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    refused: list[socket.socket] = []
    threading.Thread(target=refuse, daemon=True).start()
    try:
        result = load(listener.getsockname()[1], rate=20, method="POST", body=bytes(16_000_000))
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in refused:
            connection.close()
    assert dict(result.statuses) == {"413": 6}
    assert failed(result) == {"status": 6}
