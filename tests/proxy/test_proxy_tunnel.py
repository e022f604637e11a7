"""F12: WebSocket and other upgrades, tunnelled."""

from __future__ import annotations

import pytest
from proxy_peers import value_of, values_of

ASK = (
    b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: k\r\n\r\n"
)
YES = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n"
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def open_tunnel(client, backend):
    client.send(ASK)
    peer = backend.accept()
    peer.head()
    peer.send(YES)
    assert client.head().startswith(b"HTTP/1.1 101 ")
    return peer


def test_handshake_goes_through_and_bytes_go_both_ways(client, upstream):
    """Connection and Upgrade are said anew, for this hop; the rest is untouched."""
    client.send(ASK)
    peer = upstream.accept()
    head = peer.head()
    assert values_of(head, b"connection") == [b"Upgrade"]
    assert values_of(head, b"upgrade") == [b"websocket"]
    assert value_of(head, b"sec-websocket-key") == b"k"
    peer.send(YES)
    head = client.head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert values_of(head, b"connection") == [b"Upgrade"]
    assert values_of(head, b"upgrade") == [b"websocket"]
    assert value_of(head, b"sec-websocket-accept") == b"a"
    for turn in (b"one\r\n\r\n", b"\0two", b"x" * 300_000):
        client.send(turn)
        assert peer.exactly(len(turn)) == turn
        peer.send(turn)
        assert client.exactly(len(turn)) == turn


def test_bytes_sent_along_with_the_handshakes_arrive(client, upstream):
    """What comes in the same packet as either head belongs to the tunnel."""
    client.send(ASK, b"early")
    peer = upstream.accept()
    peer.head()
    assert peer.is_silent()
    peer.send(YES, b"hello")
    client.head()
    assert client.exactly(5) == b"hello"
    assert peer.exactly(5) == b"early"


def test_half_close_goes_through_either_way(pair, upstream):
    """One side's end is passed on, and the other can still speak."""
    client = pair[0].connect()
    peer = open_tunnel(client, upstream)
    client.half_close()
    assert peer.rest() == b""
    peer.send(b"last words")
    peer.close()
    assert client.rest() == b"last words"
    client = pair[0].connect()
    peer = open_tunnel(client, upstream)
    peer.half_close()
    assert client.rest() == b""
    client.send(b"last words")
    client.close()
    assert peer.rest() == b"last words"


def test_an_answer_that_is_no_switch_is_an_answer(client, upstream):
    """A refused upgrade leaves both connections usable, and what was sent along is the next request."""
    client.send(ASK, b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nno")
    head, body = client.response()
    assert (head[:13], body) == (b"HTTP/1.1 426 ", b"no")
    assert peer.head().startswith(b"GET /next ")
    peer.send(OK)
    assert client.response()[1] == b"ok"


@pytest.mark.parametrize(
    "request_",
    [
        ASK.replace(b"keep-alive, Upgrade", b"keep-alive"),
        ASK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        ASK.replace(b"websocket", b"h2c").replace(b"Upgrade\r\n", b"Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n"),
        ASK.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx"),
    ],
)
def test_what_is_not_offered(client, upstream, request_):
    """Without Connection, from a 1.0 client, for HTTP/2, with a body: the backend sees no Upgrade, may not switch."""
    client.send(request_)
    peer = upstream.accept()
    head = peer.head()
    assert value_of(head, b"upgrade") is None
    assert value_of(head, b"connection") is None
    assert value_of(head, b"http2-settings") is None
    peer.send(YES)
    assert client.head().startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("answer", [YES.replace(b"Upgrade: websocket\r\n", b""), YES.replace(b"1.1", b"1.0")])
def test_a_switch_that_is_none(client, upstream, answer):
    """A 101 without Upgrade, or of HTTP/1.0, is malformed."""
    client.send(ASK)
    peer = upstream.accept()
    peer.head()
    peer.send(answer)
    assert client.head().startswith(b"HTTP/1.1 502 ")


def test_a_silent_tunnel_ends(start_proxy, backend):
    """TUNNEL_IDLE_TIMEOUT bounds the silence of both, not of one."""
    client = start_proxy(TUNNEL_IDLE_TIMEOUT="0.3").connect()
    peer = open_tunnel(client, backend)
    for _ in range(20):
        peer.send(b".")
        client.exactly(1)
        assert peer.is_silent()
        client.sock.settimeout(0.03)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(5)
    assert client.rest() == b""
    assert peer.rest() == b""


def test_a_tunnel_outlives_the_time_limits_of_requests(start_proxy, backend):
    """Only its own limit counts."""
    client = start_proxy(
        HEAD_TIMEOUT="0.1", KEEPALIVE_TIMEOUT="0.1", BODY_IDLE_TIMEOUT="0.1", RESPONSE_TIMEOUT="0.1",
        RESPONSE_IDLE_TIMEOUT="0.1", HALF_CLOSED_TIMEOUT="0.1",
    ).connect()  # fmt: skip
    peer = open_tunnel(client, backend)
    client.half_close()
    assert peer.rest() == b""
    client.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.sock.recv(1)
    peer.send(b"still here")
    peer.close()
    assert client.rest() == b"still here"


def test_a_reset_ends_the_other_side(client, upstream):
    """Neither side is left with a tunnel to nowhere."""
    peer = open_tunnel(client, upstream)
    client.send(b"x")
    peer.exactly(1)
    peer.send(b"unread")
    client.close()
    assert peer.rest() == b""


def test_a_drain_lets_tunnels_go_on_and_then_ends_them(start_proxy, backend):
    """Bytes flow until DRAIN_TIMEOUT, then both sides see the end, and the exit code is 0."""
    proxy = start_proxy(DRAIN_TIMEOUT="0.5")
    client, idle = proxy.connect(), proxy.connect()
    idle.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    other = backend.accept()
    other.head()
    other.send(OK)
    idle.response()
    other.close()
    peer = open_tunnel(client, backend)
    proxy.terminate()
    assert idle.rest() == b""
    client.send(b"still here")
    assert peer.exactly(10) == b"still here"
    assert client.rest() == b""
    assert peer.rest() == b""
    assert proxy.wait() == 0
