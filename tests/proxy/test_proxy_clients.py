"""Clients that go away, dawdle or ask for too much: none of them keeps anything of ours, or of the backend's."""

from __future__ import annotations

import socket
import struct
import time

import pytest
from proxy_peers import value_of

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def reset(peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def ask(client, backend, request=GET):
    client.send(request)
    peer = backend.accept()
    peer.head()
    return peer


def next_request(proxy, backend):
    """The line of the next request that reaches the backend, at the latest one that we send."""
    fence = proxy.connect()
    fence.send(b"GET /fence HTTP/1.1\r\nHost: h\r\n\r\n")
    return backend.accept().until(b"\r\n").rstrip()


def test_a_client_that_resets_frees_its_upstream_connection_at_once(client, upstream):
    """While the backend is silent, with default time limits of a minute."""
    peer = ask(client, upstream)
    reset(client)
    assert peer.rest() == b""


def test_a_client_that_resets_after_its_upload_frees_its_upstream_connection(client, upstream):
    """The greenlet that read the body has ended; the eye on the client has not."""
    client.send(POST, b"Content-Length: 6\r\n\r\nfoo")
    peer = upstream.accept()
    peer.head()
    peer.until(b"foo")
    client.send(b"bar")
    peer.until(b"bar")
    reset(client)
    assert peer.rest() == b""


@pytest.mark.parametrize("farewell", ["reset", "close"])
def test_a_client_that_goes_away_behind_its_next_request_is_noticed(start_proxy, backend, farewell):
    """The bytes of a pipelined request hide what is behind them."""
    client = start_proxy(HALF_CLOSED_TIMEOUT="0.1").connect()
    peer = ask(client, backend)
    client.send(GET)
    peer.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        peer.sock.recv(1)
    peer.sock.settimeout(5)
    reset(client) if farewell == "reset" else client.close()
    assert peer.rest() == b""


def test_a_client_that_closed_is_waited_for_no_longer_than_the_setting(start_proxy, backend):
    """An end may come from a client that waits for its answer, and from one that is gone: HALF_CLOSED_TIMEOUT."""
    client = start_proxy(HALF_CLOSED_TIMEOUT="0.1").connect()
    peer = ask(client, backend)
    client.close()
    assert peer.rest() == b""


def test_a_half_closed_client_that_takes_its_answer_keeps_it(start_proxy, backend):
    """Longer than HALF_CLOSED_TIMEOUT, as long as something moves."""
    client = start_proxy(HALF_CLOSED_TIMEOUT="0.2").connect()
    peer = ask(client, backend)
    client.half_close()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    client.head()
    for byte in b"0123456789":
        time.sleep(0.08)
        peer.send(bytes((byte,)))
        assert client.exactly(1) == bytes((byte,))


def test_an_event_stream_ends_with_its_reader(start_proxy, backend):
    """F7: an SSE client that goes away frees its upstream connection although no event comes."""
    client = start_proxy(HALF_CLOSED_TIMEOUT="0.1").connect()
    peer = ask(client, backend)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
    client.until(b"data: 1\n\n")
    client.close()
    assert peer.rest() == b""


def test_an_idle_event_stream_lives_and_a_silent_backend_ends(start_proxy, backend):
    """F7: only RESPONSE_IDLE_TIMEOUT (an hour by default) bounds the silence between events."""
    client = start_proxy(RESPONSE_TIMEOUT="0.1", BODY_IDLE_TIMEOUT="0.1", HEAD_TIMEOUT="0.1").connect()
    peer = ask(client, backend)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
    client.until(b"data: 1\n\n")
    time.sleep(0.5)
    peer.send(b"data: 2\n\n")
    client.until(b"data: 2\n\n")
    other = start_proxy(RESPONSE_IDLE_TIMEOUT="0.1").connect()
    peer = ask(other, backend)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    assert other.rest().endswith(b"\r\n\r\n")
    assert peer.rest() == b""


@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_dripped_body_has_an_end(start_proxy, backend, framing):
    """F15: a client that never pauses for long is stopped by BODY_TIMEOUT all the same."""
    client = start_proxy(BODY_TIMEOUT="0.3", BODY_IDLE_TIMEOUT="60").connect()
    peer = ask(client, backend, POST + framing)
    client.sock.settimeout(0.02)
    while True:
        client.send(b"1\r\na\r\n")
        try:
            assert client.sock.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 408"
            break
        except TimeoutError:
            continue
    assert not peer.rest().endswith(b"0\r\n\r\n")


def test_a_dripped_head_has_an_end(start_proxy, backend):
    """F15: HEAD_TIMEOUT is for the whole head."""
    client = start_proxy(HEAD_TIMEOUT="0.3").connect()
    client.send(b"GET / HTTP/1.1\r\nX: ")
    client.sock.settimeout(0.02)
    while True:
        client.send(b"a")
        try:
            assert client.sock.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 408"
            break
        except TimeoutError:
            continue


def test_a_dripped_response_head_has_an_end(start_proxy, backend):
    """F15 from the other side: RESPONSE_TIMEOUT is for the whole head."""
    client = start_proxy(RESPONSE_TIMEOUT="0.3").connect()
    peer = ask(client, backend)
    peer.send(b"HTTP/1.1 200 OK\r\nX: ")
    client.sock.settimeout(0.02)
    while True:
        try:
            peer.send(b"a")
        except OSError:
            pass
        try:
            assert client.sock.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 504"
            break
        except TimeoutError:
            continue


def test_a_client_that_takes_nothing_is_given_up(start_proxy, backend):
    """F15: BODY_IDLE_TIMEOUT is for those who do not read, too."""
    client = start_proxy(BODY_IDLE_TIMEOUT="0.2").connect()
    peer = ask(client, backend)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    with pytest.raises(OSError, match=r"reset|Broken pipe"):
        while True:
            peer.send(b"x" * 100000)


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 11\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\na\r\n0123456789\r\n0\r\n\r\n",
    ],
)
def test_a_body_that_is_too_long(start_proxy, backend, framing):
    """MAX_BODY_BYTES: 413, and what has no length is cut off where it becomes too long."""
    proxy = start_proxy(MAX_BODY_BYTES="10")
    client = proxy.connect()
    client.send(POST, framing)
    if framing.endswith(b"chunked\r\n\r\n"):
        peer = backend.accept()
        peer.head()
        client.send(b"b\r\n12345678901\r\n")
        assert not peer.rest().endswith(b"0\r\n\r\n")
    head, _ = client.response()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert value_of(head, b"connection") == b"close"
    assert next_request(proxy, backend) == b"GET /fence HTTP/1.1"


def test_a_body_of_just_the_length(start_proxy, backend):
    """MAX_BODY_BYTES itself is allowed."""
    client = start_proxy(MAX_BODY_BYTES="10").connect()
    peer = ask(client, backend, POST + b"Content-Length: 10\r\n\r\n0123456789")
    assert peer.exactly(10) == b"0123456789"
    peer.send(OK)
    client.response()
    client.send(POST, b"Transfer-Encoding: chunked\r\n\r\n" + b"5\r\n01234\r\n" * 2 + b"0\r\nX-Long: enough\r\n\r\n")
    peer.head()
    assert peer.until(b"\r\n\r\n").endswith(b"X-Long: enough\r\n\r\n")


def test_too_many_fields(start_proxy, backend):
    """MAX_FIELDS: 431."""
    proxy = start_proxy(MAX_FIELDS="3")
    client = proxy.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 1\r\nC: 1\r\n\r\n")
    assert client.rest().startswith(b"HTTP/1.1 431 ")
    assert next_request(proxy, backend) == b"GET /fence HTTP/1.1"


def test_a_pipelined_request_behind_an_unanswered_one_is_no_end(client, upstream):
    """What comes meanwhile waits its turn."""
    peer = ask(client, upstream)
    client.send(b"GET /second HTTP/1.1\r\nHost: h\r\n\r\n")
    assert peer.is_silent()
    peer.send(OK)
    assert client.response()[1] == b"ok"
    assert peer.head().startswith(b"GET /second ")
    peer.send(OK)
    assert client.response()[1] == b"ok"
