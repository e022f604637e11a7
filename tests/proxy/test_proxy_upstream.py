"""The backend's side: pool, retry, and what the client is told when there is no answer."""

from __future__ import annotations

import json
import select
import socket
import struct

import pytest
from proxy_peers import value_of

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def exchange(client, peer, request=GET):
    client.send(request)
    peer.head()
    peer.send(OK)
    return client.response()


def warm(client, upstream):
    """A pooled connection that has served once."""
    client.send(GET)
    peer = upstream.accept()
    peer.head()
    peer.send(OK)
    client.response()
    return peer


def test_stale_connection_is_noticed_before_use(client, upstream):
    """A pooled connection that the backend has closed is not used, for a POST either."""
    warm(client, upstream).close()
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
    peer = upstream.accept()
    peer.head()
    assert peer.exactly(2) == b"hi"
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_idempotent_request_is_retried_once(client, upstream):
    """F11: a pooled connection dies before any byte of the response; the request goes out again on a new one."""
    peer = warm(client, upstream)
    client.send(GET)
    peer.head()
    peer.close()
    other = upstream.accept()
    other.head()
    other.send(OK)
    assert client.response()[1] == b"ok"


def test_retry_happens_only_once(client, upstream):
    """The second death is a 502."""
    peer = warm(client, upstream)
    client.send(GET)
    peer.head()
    peer.close()
    other = upstream.accept()
    other.head()
    other.close()
    assert client.head().startswith(b"HTTP/1.1 502 ")
    assert not upstream.has_caller()


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_other_requests_are_never_retried(client, upstream, request_):
    """F11: not a POST, and not what has a body."""
    peer = warm(client, upstream)
    client.send(request_)
    peer.head()
    peer.close()
    assert client.head().startswith(b"HTTP/1.1 502 ")
    assert not upstream.has_caller()


def test_no_retry_after_the_first_byte(client, upstream):
    """A backend that had begun to answer has acted."""
    peer = warm(client, upstream)
    client.send(GET)
    peer.head()
    peer.send(b"HTTP/1.1 200")
    peer.close()
    assert client.head().startswith(b"HTTP/1.1 502 ")
    assert not upstream.has_caller()


def test_no_retry_on_a_new_connection(client, upstream):
    """Only a pooled connection can be stale."""
    client.send(GET)
    peer = upstream.accept()
    peer.head()
    peer.close()
    assert client.head().startswith(b"HTTP/1.1 502 ")
    assert not upstream.has_caller()


def test_last_used_connection_is_used_first(pair, upstream):
    """LIFO, so that connections that are not needed grow old."""
    first, second = pair[0].connect(), pair[0].connect()
    first.send(GET)
    one = upstream.accept()
    one.head()
    second.send(GET)
    two = upstream.accept()
    two.head()
    one.send(OK)
    first.response()
    two.send(OK)
    second.response()
    first.send(GET)
    two.head()
    assert one.is_silent()


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")],
)
def test_connection_the_backend_gives_up_is_not_pooled(client, upstream, answer):
    """Neither 1.0 without keep-alive nor `Connection: close`."""
    client.send(GET)
    peer = upstream.accept()
    peer.head()
    peer.send(answer)
    assert client.response()[1] == b"ok"
    assert peer.rest() == b""


def reset(peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def test_a_new_connection_that_is_reset_is_tried_once_more(client, upstream):
    """A listener that goes away resets what it had not accepted: such a GET has not been read by anybody."""
    client.send(GET)
    reset(upstream.accept())
    peer = upstream.accept()
    peer.head()
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_a_post_on_a_new_connection_that_is_reset_is_not_tried_again(client, upstream):
    """Nobody knows what became of it."""
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
    reset(upstream.accept())
    assert client.head().startswith(b"HTTP/1.1 502 ")
    assert not upstream.has_caller()


def test_backend_that_resets_is_a_bad_gateway(client, upstream):
    """502 with a reason for people, programs (JSON) and intermediaries (RFC 9209)."""
    client.send(GET)
    reset(upstream.accept())
    reset(upstream.accept())
    head, body = client.response()
    assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert value_of(head, b"proxy-status").startswith(b"pillion; error=connection_terminated; details=")
    assert value_of(head, b"connection") is None
    assert json.loads(body)["error"] == "bad gateway"


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40000 + b"\r\n\r\n",
    ],
)
def test_malformed_answer_is_a_bad_gateway(client, upstream, answer):
    """What is not HTTP, or is framed ambiguously, goes no further; the client's connection lives."""
    client.send(GET)
    peer = upstream.accept()
    peer.head()
    peer.send(answer)
    head, _ = client.response()
    assert head.startswith(b"HTTP/1.1 502 ")
    assert value_of(head, b"proxy-status").startswith(b"pillion; error=http_protocol_error")
    client.send(GET)
    upstream.accept()


def test_silent_backend_is_a_gateway_timeout(start_proxy, backend):
    """No head within RESPONSE_TIMEOUT: 504, and the connection is given up."""
    client = start_proxy(RESPONSE_TIMEOUT="100ms").connect()
    client.send(GET)
    peer = backend.accept()
    head, _ = client.response()
    assert head.startswith(b"HTTP/1.1 504 ")
    assert value_of(head, b"proxy-status").startswith(b"pillion; error=http_response_timeout")
    peer.head()
    assert peer.rest() == b""


def test_response_clock_starts_when_the_request_is_sent(start_proxy, backend):
    """A slow upload is no slow backend."""
    client = start_proxy(RESPONSE_TIMEOUT="200ms").connect()
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
    peer = backend.accept()
    peer.head()

    for byte in b"0123456789":
        assert not select.select([client.sock], [], [], 0.06)[0]
        client.send(bytes((byte,)))
        peer.exactly(1)
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_full_pool_answers_503_after_a_bounded_wait(start_proxy, backend):
    """POOL_SIZE connections at most; who waits longer than POOL_WAIT is told to come back."""
    proxy = start_proxy(POOL_SIZE="1", POOL_WAIT="0.05", RETRY_AFTER="7")
    busy, other = proxy.connect(), proxy.connect()
    busy.send(GET)
    peer = backend.accept()
    peer.head()
    other.send(GET)
    head, _ = other.response()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert value_of(head, b"retry-after") == b"7"
    assert value_of(head, b"proxy-status").startswith(b"pillion; error=connection_limit_reached")
    peer.send(OK)
    assert busy.response()[1] == b"ok"
    assert exchange(other, peer)[1] == b"ok"


def test_waiting_for_a_connection_ends_when_one_comes_free(start_proxy, backend):
    """The pool hands a connection on to who waits for it."""
    proxy = start_proxy(POOL_SIZE="1", POOL_WAIT="10")
    first, second = proxy.connect(), proxy.connect()
    first.send(GET)
    peer = backend.accept()
    peer.head()
    second.send(b"GET /second HTTP/1.1\r\nHost: h\r\n\r\n")
    peer.send(OK)
    first.response()
    assert peer.head().startswith(b"GET /second")


def test_idle_connections_are_closed(start_proxy, backend):
    """After POOL_IDLE_TIMEOUT the backend sees the end of an unused connection."""
    client = start_proxy(POOL_IDLE_TIMEOUT="0.1").connect()
    peer = warm(client, backend)
    assert peer.rest() == b""


def test_unix_socket_upstream(start_proxy, backend, tmp_path):
    """UPSTREAM=unix:/path."""
    path = tmp_path / "s"
    backend.listener.close()
    backend.listener = socket.socket(socket.AF_UNIX)
    backend.listener.bind(str(path))
    backend.listener.listen()
    backend.listener.settimeout(10)
    client = start_proxy(UPSTREAM=f"unix:{path}").connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    peer = backend.accept()
    assert value_of(peer.head(), b"host") == b"localhost"
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_slow_head_is_timed_out(start_proxy, backend):
    """A head that does not arrive within HEAD_TIMEOUT is answered 408; a connection without one is closed."""
    proxy = start_proxy(HEAD_TIMEOUT="0.1")
    slow, silent = proxy.connect(), proxy.connect()
    slow.send(b"GET / HT")
    assert slow.rest().startswith(b"HTTP/1.1 408 ")
    assert silent.rest() == b""


def test_idle_client_is_closed(start_proxy, backend):
    """KEEPALIVE_TIMEOUT ends a connection that is not used."""
    client = start_proxy(KEEPALIVE_TIMEOUT="0.1").connect()
    warm(client, backend)
    assert client.rest() == b""


def test_stalled_upload_is_timed_out(start_proxy, backend):
    """A client that pauses inside its body for BODY_IDLE_TIMEOUT gets 408, the backend no end of the body."""
    client = start_proxy(BODY_IDLE_TIMEOUT="0.1").connect()
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
    peer = backend.accept()
    peer.head()
    assert client.head().startswith(b"HTTP/1.1 408 ")
    assert peer.rest() == b"hello"
