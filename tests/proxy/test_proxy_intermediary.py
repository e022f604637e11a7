"""More of what RFC 9110 and 9112 ask of an intermediary, and that nothing of one request is remembered for another."""

from __future__ import annotations

import socket

import pytest
from proxy_peers import PATIENCE, Peer, value_of, values_of

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE"])
def test_max_forwards_is_counted_down(client, upstream, method):
    """RFC 9110 section 7.6.2: one less for each hop."""
    client.send(method + b" /x HTTP/1.1\r\nHost: h\r\nMax-Forwards: 10\r\n\r\n")
    assert values_of(upstream.accept().head(), b"max-forwards") == [b"9"]


def test_max_forwards_means_nothing_elsewhere(client, upstream):
    """Other methods keep it as it is, 0 too."""
    client.send(b"GET /x HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n")
    assert values_of(upstream.accept().head(), b"max-forwards") == [b"0"]


def test_max_forwards_of_zero_ends_here(client, upstream):
    """We answer ourselves, TRACE with what came but for secrets (RFC 9110 section 9.3.8); the connection lives."""
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n")
    head, body = client.response()
    assert (head[:13], body) == (b"HTTP/1.1 200 ", b"")
    client.send(
        b"TRACE /x HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\nCookie: secret\r\nAuthorization: b\r\nX: y\r\n\r\n"
    )
    head, body = client.response()
    assert value_of(head, b"content-type") == b"message/http"
    assert body == b"TRACE /x HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\nX: y\r\n\r\n"
    client.send(GET)
    assert upstream.accept().head().startswith(b"GET / ")


@pytest.mark.parametrize("value", [b"-1", b"1, 2", b"x", b"", b"1\r\nMax-Forwards: 2"])
def test_max_forwards_that_is_no_number(client, value):
    """Refused: it would be another number for the next one."""
    client.send(b"TRACE / HTTP/1.1\r\nHost: h\r\nMax-Forwards: " + value + b"\r\n\r\n")
    assert client.head().startswith(b"HTTP/1.1 400 ")


def test_conditionals_credentials_and_unknown_fields_go_through(client, upstream):
    """RFC 9110 sections 11.6.2 and 13: in their order, none merged, none lost."""
    fields = (
        b"Authorization: Basic a\r\nIf-None-Match: W/\"x\", \"y\"\r\nX-Unknown: 1\r\nIf-Modified-Since: z\r\n"
        b"Range: bytes=0-1\r\nX-Unknown: 2\r\nCookie: a=b\r\nPriority: u=1\r\nProxy-Authorization: c\r\n"
    )  # fmt: skip
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n")
    assert fields in upstream.accept().head()


def test_via_is_added_to_what_is_there(client, upstream):
    """In both directions, behind the others, with the version that was received (RFC 9110 section 7.6.3)."""
    client.send(b"GET / HTTP/1.0\r\nVia: 1.1 first\r\n\r\n")
    peer = upstream.accept()
    assert values_of(peer.head(), b"via") == [b"1.1 first", b"1.0 pillion"]
    peer.send(b"HTTP/1.0 200 OK\r\nVia: 1.1 other\r\nContent-Length: 0\r\n\r\n")
    assert values_of(client.head(), b"via") == [b"1.1 other", b"1.0 pillion"]


def test_our_own_version_is_sent(client, upstream):
    """A 1.0 backend's answer is a 1.1 answer when it leaves (RFC 9112 section 2.3)."""
    client.send(GET)
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    head, body = client.response()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (value_of(head, b"connection"), body) == (None, b"ok")
    client.send(GET)
    assert upstream.accept().head()


def test_a_1_0_backend_that_keeps_its_connection_is_kept(client, upstream):
    """RFC 9112 appendix C.2.2."""
    client.send(GET)
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    client.response()
    client.send(GET)
    peer.head()


def test_trailers_are_decoded_away_for_1_0_clients(client, upstream):
    """They are never merged into the head."""
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")
    answer = client.rest()
    assert answer.endswith(b"\r\n\r\nok")
    assert b"X-Sum" not in answer


def test_absolute_form_over_1_0_without_host(client, upstream):
    """The authority of the target is the Host that the backend gets."""
    client.send(b"GET http://real.example/x HTTP/1.0\r\n\r\n")
    head = upstream.accept().head()
    assert head.startswith(b"GET /x HTTP/1.1\r\n")
    assert values_of(head, b"host") == [b"real.example"]
    assert value_of(head, b"x-forwarded-host") == b"real.example"


def test_options_of_a_server_in_absolute_form(client, upstream):
    """RFC 9112 section 3.2.4: `OPTIONS http://h:1` becomes `OPTIONS *`."""
    client.send(b"OPTIONS http://h.example:1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert upstream.accept().head().startswith(b"OPTIONS * HTTP/1.1\r\nHost: h.example:1\r\n")


def test_an_empty_line_before_a_request_is_passed_over(client, upstream):
    """RFC 9112 section 2.2, in one piece and in two."""
    client.send(b"\r\n")
    client.send(b"\r\n" + GET)
    assert upstream.accept().head().startswith(b"GET / ")


def connect_from(proxy, source):
    sock = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE, source_address=(source, 0))
    peer = Peer(sock)
    proxy.clients.append(peer)
    return peer


def test_peers_are_trusted_by_network(start_proxy, backend):
    """F16: the same bytes are believed of one network and overwritten for all others, in any order."""
    proxy = start_proxy(FORWARDED_ALLOW_IPS="10.0.0.0/8, 127.0.4.0/24")
    said = b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n"
    peer = None
    for source, believed in (("127.0.4.9", True), ("127.0.5.9", False), ("127.0.4.8", True), ("127.0.5.9", False)):
        client = connect_from(proxy, source)
        client.send(said)
        peer = peer or backend.accept()
        head = peer.head()
        assert (b"6.6.6.6" in head) is believed
        assert value_of(head, b"x-forwarded-for").endswith(source.encode())
        peer.send(OK)
        client.response()


def test_the_same_fields_with_other_lines_are_other_requests(client, upstream):
    """Target, method and version never come from what is remembered."""
    peer = None
    fields = b"Host: h\r\nConnection: keep-alive\r\n\r\n"
    for line, seen, via in (
        (b"GET /a HTTP/1.1\r\n", b"GET /a HTTP/1.1\r\nHost: h\r\n", b"1.1 pillion"),
        (b"HEAD /b HTTP/1.0\r\n", b"HEAD /b HTTP/1.1\r\nHost: h\r\n", b"1.0 pillion"),
        (b"GET http://other/c HTTP/1.1\r\n", b"GET /c HTTP/1.1\r\nHost: other\r\n", b"1.1 pillion"),
        (b"GET /d HTTP/1.1\r\n", b"GET /d HTTP/1.1\r\nHost: h\r\n", b"1.1 pillion"),
    ):
        client.send(line + fields)
        peer = peer or upstream.accept()
        head = peer.head()
        assert head.startswith(seen)
        assert value_of(head, b"via") == via
        peer.send(OK if not line.startswith(b"HEAD") else OK[:-2])
        head = client.head()
        assert value_of(head, b"connection") == (b"keep-alive" if b"1.0" in line else None)
        if not line.startswith(b"HEAD"):
            assert client.exactly(2) == b"ok"


def test_the_same_answer_to_other_requests_is_another_answer(pair, upstream):
    """Its framing depends on who asked, and how."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"2\r\nok\r\n0\r\n\r\n"
    peer = None
    for request, coding, seen in (
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"chunked", body),
        (b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", None, b""),
        (b"GET / HTTP/1.0\r\n\r\n", None, b"ok"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"chunked", body),
    ):
        client = pair[0].connect()
        client.send(request)
        peer = peer or upstream.accept()
        peer.head()
        peer.send(answer, b"" if request.startswith(b"HEAD") else body)
        head = client.head()
        assert value_of(head, b"transfer-encoding") == coding
        assert client.exactly(len(seen)) == seen
        closing = b"1.0" in request or b"close" in request
        assert value_of(head, b"connection") == (b"close" if closing else None)
        if closing:
            assert client.rest() == b""
