"""The access log: what it says of a request, in both formats."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from proxy_peers import PATIENCE, SERVE, Peer, environment, wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def logged(proxy, number=0):
    return wait_for(lambda: len(proxy.output) > number and proxy.output[number], "no access log")


def test_json_says_all_of_it(start_proxy, backend):
    """One object a request: sizes are those of the whole messages, and of this request alone."""
    proxy = start_proxy(ACCESS_LOG="json")
    client = proxy.connect()
    for number, body in enumerate((b"four", b"")):
        request = b"POST /x?y=%%22 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
        client.send(request, body)
        peer = backend.peers[-1] if backend.peers else backend.accept()
        peer.head()
        peer.exactly(len(body))
        peer.send(OK)
        head, _ = client.response()
        line = json.loads(logged(proxy, number))
        assert line["received"] == len(request + body)
        assert line["sent"] == len(head) + 2
        assert (line["method"], line["target"], line["host"], line["status"]) == ("POST", "/x?y=%22", "h", 200)
        assert (line["retried"], line["outcome"], line["request_id"]) == (False, "complete", None)
        assert 0 < line["upstream_us"] <= line["duration_us"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])


def test_what_went_wrong(start_proxy, backend):
    """The status that the client saw, and the outcome beside it."""
    proxy = start_proxy(ACCESS_LOG="json")
    for number, (answer, status, outcome) in enumerate(
        (
            (b"", 502, "upstream-lost"),
            (b"nonsense\r\n\r\n", 502, "upstream-malformed"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 200, "upstream-lost"),
        )
    ):
        proxy.connect().send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        peer = backend.accept()
        peer.head()
        peer.send(answer)
        peer.close()
        line = json.loads(logged(proxy, number))
        assert (line["status"], line["outcome"]) == (status, outcome)
        assert (line["upstream_us"] is None) is (status == 502)


def test_a_client_that_went_away_and_a_second_attempt(start_proxy, backend):
    """No status, and retried."""
    proxy = start_proxy(ACCESS_LOG="json")
    client = proxy.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    peer = backend.accept()
    peer.head()
    peer.send(OK)
    client.response()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    peer.head()
    peer.close()
    again = backend.accept()
    again.head()
    again.send(OK)
    client.response()
    assert json.loads(logged(proxy, 1))["retried"] is True
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    again.head()
    client.reset()
    line = json.loads(logged(proxy, 2))
    assert (line["status"], line["outcome"], line["sent"]) == (0, "client-lost", 0)


def test_combined(start_proxy, backend):
    """As Apache and nginx write it, quotes and bytes beyond ASCII escaped; what it has no place for comes after it."""
    proxy = start_proxy(ACCESS_LOG="combined")
    client = proxy.connect()
    client.send(b'GET /a"b HTTP/1.1\r\nHost: h\r\nUser-Agent: a "b"\\\xff\r\nReferer: http://r/\r\n\r\n')
    peer = backend.accept()
    peer.head()
    peer.send(OK)
    head, _ = client.response()
    line = logged(proxy)
    match = re.fullmatch(
        r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /a\\"b HTTP/1\.1" 200 (\d+) '
        r'"http://r/" "a \\"b\\"\\\\\\xff" duration_us=\d+ upstream_us=\d+ received=\d+ retried=0 outcome=complete '
        r"request_id=-\n",
        line,
    )
    assert match, line
    assert int(match[1]) == len(head) + 2
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
    peer.head()
    peer.close()
    bare = logged(proxy, 1)
    assert '"-" "-"' in bare
    assert "upstream_us=- " in bare


REFUSED = [
    (b"nonsense\r\n\r\n", 400, "bad-request", None, None),
    (b"GET /x HTTP/1.1\r\nHost: h\r\nbroken\r\n\r\n", 400, "bad-request", "GET", "/x"),
    (b"GET /x HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400, "bad-request", "GET", "/x"),
    (b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400, "bad-request", "POST", "/x"),
    (b"GET /x HTTP/1.1\r\nHost: h\r\n", 408, "client-timeout", "GET", "/x"),
    (b"GET /x HTT", 408, "client-timeout", None, None),
    (b"GET /" + b"x" * 2048, 414, "bad-request", None, None),
    (b"GET /x HTTP/1.1\r\nX: " + b"x" * 2048, 431, "bad-request", "GET", "/x"),
]


@pytest.mark.parametrize("form", ["json", "combined"])
def test_what_was_refused_before_it_was_a_request(start_proxy, form):
    """A line like any other, with what is known: the status, the sizes, and what of the first line can be read."""
    proxy = start_proxy(ACCESS_LOG=form, HEAD_TIMEOUT="300ms", MAX_HEAD_BYTES="1KiB")
    for number, (message, status, outcome, method, target) in enumerate(REFUSED):
        client = proxy.connect()
        client.send(message)
        answer = client.rest()
        line = logged(proxy, number)
        if form == "json":
            said = json.loads(line)
            assert (said["status"], said["outcome"]) == (status, outcome)
            assert (said["method"], said["target"]) == (method, target)
            assert (said["received"], said["sent"]) == (len(message), len(answer))
            assert (said["client"], said["retried"], said["upstream_us"]) == ("127.0.0.1", False, None)
        else:
            request = f"{method} {target} HTTP/1.1" if method else "-"
            assert f'"{request}" {status} {len(answer)} "-" "-" duration_us=' in line
            assert f"received={len(message)} retried=0 outcome={outcome} request_id=-" in line
    assert len(proxy.output) == len(REFUSED)


def test_a_refusal_after_requests_counts_its_own_bytes(start_proxy, backend):
    """On a connection that carried a good one before."""
    proxy = start_proxy(ACCESS_LOG="json")
    client = proxy.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    peer = backend.accept()
    peer.head()
    peer.send(OK)
    client.response()
    client.send(b"GET /y HTTP/1.1\r\n\r\n")
    answer = client.rest()
    line = json.loads(logged(proxy, 1))
    assert (line["status"], line["target"], line["received"], line["sent"]) == (400, "/y", 19, len(answer))


def test_a_handshake_that_failed(start_proxy):
    """No answer, so no status; a bare connection, as some health checks make, is nothing to speak of."""
    certificate = Path(__file__).parent / "certificates" / "proxy.pem"
    proxy = start_proxy(
        LISTEN="https://127.0.0.1:0", LISTEN_CERT=str(certificate), ACCESS_LOG="json", HANDSHAKE_TIMEOUT="300ms"
    )
    proxy.connect().close()
    untrusting = ssl.create_default_context()
    with pytest.raises(ssl.SSLError):
        untrusting.wrap_socket(proxy.connect().sock, server_hostname="localhost")
    line = json.loads(logged(proxy, 0))
    assert (line["status"], line["outcome"], line["method"], line["target"]) == (0, "handshake-failed", None, None)
    plain = proxy.connect()
    plain.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    plain.rest()
    assert json.loads(logged(proxy, 1))["outcome"] == "handshake-failed"
    slow = proxy.connect()
    slow.send(b"\x16")
    slow.rest()
    assert json.loads(logged(proxy, 2))["outcome"] == "client-timeout"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_long_line_into_a_pipe_with_little_room(backend, tmp_path, stream):
    """Nobody reads, and there is room for a part of the line: the worker does not wait for the rest to be taken."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 8192)
    os.write(writing, b"x" * 4096)
    place = str(tmp_path / "s")
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writing}
    settings = environment(backend.port, ACCESS_LOG="combined", LOG_LEVEL="warning", LISTEN=f"unix:{place}")
    process = subprocess.Popen([sys.executable, "-c", SERVE], env=settings, **streams)
    os.close(writing)
    try:
        until = time.monotonic() + 0.5  # lines are gathered for a tenth of a second
        while time.monotonic() < until:
            client = Peer(wait_for(lambda: knock(place), "it does not listen"))
            client.send(b"M" * 9000 + b" /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
            peer = backend.accept()
            peer.head()
            peer.close()
            assert client.head().startswith(b"HTTP/1.1 502 ")
            client.close()
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        os.close(reading)
        process.kill()
        process.wait()


def knock(place):
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(place)
    except OSError:
        sock.close()
        return None
    return sock
