"""Bodies on the move: nothing waits for a whole message, nothing incomplete passes for complete."""

from __future__ import annotations

import socket
import threading

import pytest
from proxy_peers import Peer, value_of

POST = b"POST / HTTP/1.1\r\nHost: h\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def ask(client, upstream, method=b"GET", version=b"1.1"):
    client.send(method + b" / HTTP/" + version + b"\r\nHost: h\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    return peer


def test_interim_responses_are_passed_on_and_never_taken_for_final(pair, upstream):
    """F1: 103, 102, 103, then 200; the next client on the pooled connection gets its own response."""
    proxy, _ = pair
    client = proxy.connect()
    peer = ask(client, upstream)
    peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
    assert client.head() == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nVia: 1.1 pillion\r\n\r\n"
    assert client.head().startswith(b"HTTP/1.1 102 Processing\r\n")
    peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n", OK)
    assert client.head().startswith(b"HTTP/1.1 103 ")
    head, body = client.response()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b"ok"
    second = proxy.connect()
    second.send(b"GET /second HTTP/1.1\r\nHost: h\r\n\r\n")
    assert peer.head().startswith(b"GET /second")
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
    assert second.response()[1] == b"second"


def test_http_1_0_client_sees_no_interim_response(client, upstream):
    """A 1.0 client does not know 1xx (RFC 9110 section 15.2)."""
    peer = ask(client, upstream, version=b"1.0")
    peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n", OK)
    assert client.head().startswith(b"HTTP/1.1 200 ")


def test_upstream_dies_inside_a_chunked_body(client, upstream):
    """F2: the client never sees a last chunk."""
    peer = ask(client, upstream)
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe")
    peer.close()
    client.head()
    assert client.rest() == b"5\r\nhello\r\n5\r\nhe"


def test_upstream_dies_inside_a_body_of_known_length(client, upstream):
    """F3: the client's connection is closed after what came."""
    peer = ask(client, upstream)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    peer.close()
    client.head()
    assert client.rest() == b"hello"


def test_incomplete_body_of_a_1_0_client_ends_in_a_reset(client, upstream):
    """Where only the end of the connection ends a body, an early end must be an error."""
    peer = ask(client, upstream, version=b"1.0")
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe")
    client.until(b"hellohe")
    peer.close()
    assert client.was_reset()


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
def test_client_aborts_an_upload(client, upstream, framing):
    """F4: the backend sees the connection end inside the body, never a complete request."""
    client.send(POST, framing)
    peer = upstream.accept()
    peer.head()
    peer.until(b"hello")
    client.close()
    assert peer.rest() in (b"", b"\r\n")


def test_surplus_bytes_end_the_connection(pair, upstream):
    """F5: bytes behind a response are nobody's; the connection they came on is not used again."""
    client = pair[0].connect()
    peer = ask(client, upstream)
    peer.send(OK, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert client.response()[1] == b"ok"
    client.send(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
    other = upstream.accept()
    assert other.head().startswith(b"GET /next")
    assert peer.rest() == b""
    other.send(OK)
    assert client.response()[1] == b"ok"


def test_late_surplus_bytes_end_the_connection(pair, upstream):
    """F5 again, with bytes that come while the connection is idle in the pool."""
    client = pair[0].connect()
    peer = ask(client, upstream)
    peer.send(OK)
    client.response()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    client.send(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
    assert upstream.accept().head().startswith(b"GET /next")


@pytest.mark.parametrize("chunked", [False, True])
def test_dripped_upload_arrives_byte_by_byte(client, upstream, chunked):
    """F6: each byte of an upload reaches the backend before the next one is sent."""
    client.send(POST, b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 10\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    for byte in b"0123456789":
        one = bytes((byte,))
        client.send(b"1\r\n" + one + b"\r\n" if chunked else one)
        peer.until(one)
    if chunked:
        client.send(b"0\r\n\r\n")
        peer.until(b"0\r\n\r\n")
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_response_is_streamed(client, upstream):
    """Each event of a stream arrives before the next one is sent."""
    peer = ask(client, upstream)
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    client.head()
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        peer.send(event)
        client.until(event)


def test_upload_and_response_stream_at_once(client, upstream):
    """A response that begins early does not stop the upload."""
    client.send(POST, b"Transfer-Encoding: chunked\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.head()
    for turn in (b"one", b"two"):
        client.send(b"3\r\n", turn, b"\r\n")
        peer.until(turn)
        peer.send(b"3\r\n", turn, b"\r\n")
        client.until(turn)
    client.send(b"0\r\n\r\n")
    peer.until(b"0\r\n\r\n")
    peer.send(b"0\r\n\r\n")
    assert client.rest() == b"\r\n0\r\n\r\n"


def test_early_refusal_reaches_a_client_that_still_uploads(client, upstream):
    """F9: the backend's 413 arrives, with a close, while the body is still being sent."""
    client.send(POST, b"Content-Length: 100000000\r\n\r\n", b"x" * 100000)
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
    peer.close()
    head, body = client.response()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert body == b"big"
    assert value_of(head, b"connection") == b"close"
    client.half_close()
    assert client.rest() == b""


def test_early_refusal_does_not_wait_for_the_body(client, upstream):
    """F9 again: a backend that keeps its connection open after the refusal."""
    client.send(POST, b"Content-Length: 10\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    head, body = client.response()
    assert (head[:13], body) == (b"HTTP/1.1 403 ", b"no")
    assert peer.rest() == b""


def test_expect_continue_is_the_backend_s_to_answer(client, upstream):
    """F10: its 100 lets the body through."""
    client.send(POST, b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    peer = upstream.accept()
    assert value_of(peer.head(), b"expect") == b"100-continue"
    assert client.is_silent()
    peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.head().startswith(b"HTTP/1.1 100 Continue\r\n")
    client.send(b"hi")
    assert peer.exactly(2) == b"hi"
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_expect_continue_refused(client, upstream):
    """F10: the backend's 401 arrives with no 100 before it."""
    client.send(POST, b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    head, _ = client.response()
    assert head.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 3_000_000])
def test_bodies_of_any_size_arrive_intact(client, upstream, size):
    """What goes in comes out, up and down."""
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]

    client.send(POST, b"Content-Length: %d\r\n\r\n" % size)
    sender = threading.Thread(target=client.send, args=(body,))
    sender.start()
    peer = upstream.accept()
    peer.head()
    assert peer.exactly(size) == body
    sender.join()
    sender = threading.Thread(target=peer.send, args=(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, body))
    sender.start()
    assert client.response()[1] == body
    sender.join()


BAD = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\nContent-Length: 5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 0x5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length:\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Transfer-Encoding: chunked, gzip\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding:\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Host: other\r\n",
    b"X: a\r\n folded\r\n",
    b"X: a\rb\r\n",
    b"X: a\nY: b\r\n",
    b"X: a\0b\r\n",
    b" X: leading\r\n",
    b": no name\r\n",
    b"no colon\r\n",
]


@pytest.mark.parametrize("field", BAD)
def test_ambiguous_head_is_refused(pair, upstream, field):
    """400 and a closed connection, nothing forwarded (RFC 9112 sections 2.2, 5 and 6.3)."""
    client = pair[0].connect()
    client.send(POST, field, b"\r\nhello")
    client.half_close()
    answer = client.rest()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1
    assert not upstream.has_caller()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),
        (b"GET relative HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET http://user@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET /\x80 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 40000 + b"\r\n\r\n", 431),
    ],
)
def test_malformed_head_is_refused(pair, upstream, head, status):
    """Each with its status and a closed connection, nothing forwarded."""
    client = pair[0].connect()
    client.send(head)
    client.half_close()
    answer = client.rest()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nProxy-Status: pillion; error=http_request_error" in answer
    assert not upstream.has_caller()


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello",
        b"0\r\nX: a\nY: b\r\n\r\n",
        b"0\r\nbroken\r\n\r\n",
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_malformed_chunks_are_refused(pair, upstream, body, apart):
    """400, and a backend that had the beginning never sees the end."""
    client = pair[0].connect()
    if apart:
        client.send(POST, b"Transfer-Encoding: chunked\r\n\r\n")
        peer = upstream.accept()
        peer.head()
        client.send(body)
        assert not peer.rest().endswith(b"0\r\n\r\n")
    else:
        client.send(POST, b"Transfer-Encoding: chunked\r\n\r\n", body)
    assert client.head().startswith(b"HTTP/1.1 400 ")
    if not apart:
        assert not upstream.has_caller()


@pytest.mark.timeout(60)
def test_half_a_request_on_a_connection_never_meets_another(start_proxy, tmp_path):
    """RFC 9112 section 9.3: an early answer while the end of an upload is still in the proxy's hands frees nothing.

    The body is about as large as what the kernel and one read of the proxy hold, so that it was read whole and could
    not be sent whole; the sizes try for it.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "u"))
        listener.listen(64)
        listener.settimeout(10)
        proxy = start_proxy(UPSTREAM=f"unix:{tmp_path / 'u'}")
        for size in range(212_000, 300_000, 4_000):
            first = proxy.connect()
            sender = threading.Thread(target=_send_what_goes, args=(first, POST, size))
            sender.start()
            peer = _accept_upload(listener)
            peer.send(OK)
            assert first.response()[1] == b"ok"
            second = proxy.connect()
            second.send(b"GET /victim HTTP/1.1\r\nHost: h\r\n\r\n")
            seen = _until_quiet(peer)
            body, victim, _ = seen.partition(b"GET /victim ")
            assert not victim or body == b"A" * size, f"{len(body)} of {size} bytes, then another client's request"
            for each in (first, second, peer):
                each.close()
            sender.join()


def _accept_upload(listener):
    """The connection on which the POST comes; the readiness gate's and an earlier victim's are closed."""
    while True:
        sock, _ = listener.accept()
        if sock.recv(4, socket.MSG_PEEK) == b"POST":
            peer = Peer(sock)
            peer.head()
            return peer
        sock.close()


def _send_what_goes(client, head, size):
    try:
        client.send(head + b"Content-Length: %d\r\n\r\n" % size + b"A" * size)
    except OSError:
        pass


def _until_quiet(peer):
    """What comes until the end, or until a request has been read whole or nothing has come for a moment."""
    seen = bytearray(peer.buffer)
    peer.sock.settimeout(0.3)
    try:
        while not seen.endswith(b"\r\n\r\n") and (data := peer.sock.recv(65536)):
            seen += data
    except TimeoutError:
        pass
    return bytes(seen)
