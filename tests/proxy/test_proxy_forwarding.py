"""One request, one response: what goes through untouched, what ends here, what begins here."""

from __future__ import annotations

import pytest
from proxy_peers import value_of, values_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_target_field_names_and_order_go_through_untouched(client, upstream):
    """An intermediary never touches path, query, case or order (RFC 9110 section 7.7)."""
    client.send(b"GET /a//b/../%7e?q=%41&&x HTTP/1.1\r\nX-b: 1\r\nHOST: h:1\r\nx-A:  two  words \r\nX-b: 3\r\n\r\n")
    head = upstream.accept().head()
    assert head.startswith(
        b"GET /a//b/../%7e?q=%41&&x HTTP/1.1\r\n"
        b"X-b: 1\r\nHOST: h:1\r\nx-A: two  words\r\nX-b: 3\r\nVia: 1.1 pillion\r\n"
    )


def test_response_goes_through_untouched(client, upstream):
    """Status, reason, repeated fields and body arrive as the backend sent them, with our Via."""
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.1 299 Fine, \xc3\xa9!\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 3\r\n\r\na\0b")
    head, body = client.response()
    assert head == (
        b"HTTP/1.1 299 Fine, \xc3\xa9!\r\n"
        b"Set-Cookie: a\r\nset-cookie: b\r\nContent-Length: 3\r\nVia: 1.1 pillion\r\n\r\n"
    )
    assert body == b"a\0b"


def test_hop_by_hop_fields_end_here_in_both_directions(client, upstream):
    """RFC 9110 section 7.6.1: what Connection names, and the fields of one hop."""
    client.send(
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
        b"Proxy-Connection: a\r\nUpgrade: h2c\r\nX-Kept: 1\r\n\r\n"
    )
    peer = upstream.accept()
    head = peer.head()
    for name in (b"connection", b"x-mine", b"keep-alive", b"te", b"proxy-connection", b"upgrade"):
        assert value_of(head, name) is None, name
    assert value_of(head, b"x-kept") == b"1"
    peer.send(
        b"HTTP/1.1 200 OK\r\nConnection: x-his\r\nX-His: 1\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nX-Kept: 1\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    head = client.head()
    for name in (b"connection", b"x-his", b"keep-alive", b"upgrade"):
        assert value_of(head, name) is None, name
    assert value_of(head, b"x-kept") == b"1"


def test_connection_cannot_drop_what_the_message_hangs_on(client, upstream):
    """Naming Host, Content-Length or X-Forwarded-For in Connection does not remove them."""
    client.send(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
        b"Connection: host, content-length, x-forwarded-for\r\n\r\nhi"
    )
    peer = upstream.accept()
    head = peer.head()
    assert value_of(head, b"host") == b"h"
    assert value_of(head, b"content-length") == b"2"
    assert value_of(head, b"x-forwarded-for") is not None


@pytest.mark.parametrize("method", [b"PATCH", b"QUERY", b"MKCOL", b"frobnicate", b"M-SEARCH", b"SOURCE"])
def test_any_method_is_forwarded(client, upstream, method):
    """Methods are tokens, not a list of ours (RFC 9110 section 9.1)."""
    client.send(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n")
    peer = upstream.accept()
    assert peer.head().startswith(method + b" / HTTP/1.1\r\n")
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_absolute_form_replaces_host(client, upstream):
    """The target's authority wins over Host, and the backend gets origin-form (RFC 9112 section 3.2.2)."""
    client.send(b"GET http://real.example:81?x=1 HTTP/1.1\r\nHost: other\r\n\r\n")
    head = upstream.accept().head()
    assert head.startswith(b"GET /?x=1 HTTP/1.1\r\nHost: real.example:81\r\n")


def test_asterisk_form(client, upstream):
    """`OPTIONS *` stays what it is."""
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
    assert upstream.accept().head().startswith(b"OPTIONS * HTTP/1.1\r\n")


def test_pipelined_requests_are_answered_in_order(client, upstream):
    """RFC 9112 section 9.3.2."""
    client.send(
        b"POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
        b"POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
        b"\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    peer = upstream.accept()
    for number, body in ((b"1", b"one"), (b"2", b"3\r\ntwo\r\n0\r\n\r\n"), (b"3", b"")):
        assert peer.head().startswith((b"POST /" + number, b"GET /" + number))
        assert peer.exactly(len(body)) == body
        assert peer.is_silent()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + number)
    assert [client.response()[1] for _ in range(3)] == [b"1", b"2", b"3"]


def test_connection_is_kept_and_reused(client, upstream):
    """Keep-alive on both sides: two requests, one connection each way."""
    client.send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(OK)
    client.response()
    client.send(b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert peer.head().startswith(b"GET /2")


def test_client_that_asks_to_close_is_closed(client, upstream):
    """`Connection: close` is answered with it and done."""
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    peer = upstream.accept()
    assert value_of(peer.head(), b"connection") is None
    peer.send(OK)
    head, _ = client.response()
    assert value_of(head, b"connection") == b"close"
    assert client.rest() == b""


def test_half_closed_client_gets_its_answer(client, upstream):
    """A client that has sent all it had may close its sending side."""
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    client.half_close()
    peer = upstream.accept()
    peer.head()
    peer.send(OK)
    assert client.response()[1] == b"ok"


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n"),
    ],
)
def test_responses_without_a_body(client, upstream, method, answer):
    """HEAD, 204 and 304 end with their head, whatever it says about a body (RFC 9112 section 6.3)."""
    client.send(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(answer)
    client.head()
    client.send(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
    assert peer.head().startswith(b"GET /next")
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_chunks_and_trailers_go_through(client, upstream):
    """Chunk boundaries are kept, trailers are forwarded, extensions end here (RFC 9112 section 7.1)."""
    client.send(
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b'03;a="b;c"\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n'
    )
    peer = upstream.accept()
    head = peer.head()
    assert values_of(head, b"transfer-encoding") == [b"chunked"]
    assert peer.until(b"\r\n\r\n") == b"3\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 1\r\n\r\n"
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n")
    assert values_of(client.head(), b"transfer-encoding") == [b"chunked"]
    assert client.until(b"\r\n\r\n") == b"2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n"


def test_response_until_close_is_sent_in_chunks(client, upstream):
    """A 1.1 client keeps its connection although the backend ends its own."""
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.0 200 OK\r\n\r\nhello")
    assert value_of(client.head(), b"transfer-encoding") == b"chunked"
    assert client.until(b"hello\r\n") == b"5\r\nhello\r\n"
    peer.close()
    assert client.until(b"\r\n\r\n") == b"0\r\n\r\n"
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    upstream.accept()


def test_http_1_0_client_gets_no_chunks(client, upstream):
    """A chunked response is decoded for a 1.0 client and ends with the connection."""
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    peer = upstream.accept()
    head = peer.head()
    assert head.startswith(b"GET / HTTP/1.1\r\n")
    assert value_of(head, b"via") == b"1.0 pillion"
    assert value_of(head, b"host") == b"127.0.0.1:%d" % upstream.port
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    head = client.head()
    assert value_of(head, b"transfer-encoding") is None
    assert value_of(head, b"connection") == b"close"
    assert client.rest() == b"abcde"


def test_http_1_0_client_is_closed_unless_it_asked(client, upstream, pair):
    """No persistence with 1.0 clients that did not ask; with those that did, it is said (RFC 9112 appendix C.2.2)."""
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(OK)
    assert client.rest().endswith(b"Connection: close\r\n\r\nok")
    asking = pair[0].connect()
    asking.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    peer.head()
    peer.send(OK)
    assert value_of(asking.response()[0], b"connection") == b"keep-alive"
    asking.send(b"GET /again HTTP/1.0\r\n\r\n")
    assert peer.head().startswith(b"GET /again")


def forwarded(head):
    names = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"forwarded")
    return [value_of(head, name) for name in names]


SPOOFED = (
    b"GET / HTTP/1.1\r\nHost: h.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
    b"X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\n"
    b"X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\nContent_Length: 7\r\n\r\n"
)


def test_trusted_peer_is_believed(client, upstream, pair):
    """From a peer in FORWARDED_ALLOW_IPS (loopback by default) the chain is kept and our hop added."""
    client.send(SPOOFED)
    head = upstream.accept().head()
    assert forwarded(head) == [b"6.6.6.6, 127.0.0.1", b"https", b"evil", b"1", b"for=6.6.6.6, for=127.0.0.1"]
    assert b"_" not in head


def test_untrusted_peer_is_overwritten(start_proxy, backend):
    """From anybody else nothing of it is believed, however it is spelled."""
    proxy = start_proxy(FORWARDED_ALLOW_IPS="10.0.0.0/8, ::1")
    proxy.connect().send(SPOOFED)
    head = backend.accept().head()
    assert forwarded(head) == [b"127.0.0.1", b"http", b"h.example", b"%d" % proxy.port, None]
    assert b"_" not in head
    assert b"6.6.6.6" not in head


def test_what_only_a_proxy_may_say_is_not_taken_from_anybody(start_proxy, backend):
    """gunicorn believes us: SCRIPT_NAME would move the application, X-Forwarded-Ssl contradict the scheme."""
    said = b"GET /public/admin HTTP/1.1\r\nHost: h\r\nSCRIPT_NAME: /public\r\nX-Forwarded-Ssl: on\r\nX-Mine: 1\r\n\r\n"
    untrusting = start_proxy(FORWARDED_ALLOW_IPS="10.0.0.0/8")
    untrusting.connect().send(said)
    head = backend.accept().head()
    assert b"SCRIPT_NAME" not in head and b"Ssl" not in head and b"X-Mine: 1" in head
    trusting = start_proxy()
    trusting.connect().send(said)
    head = backend.accept().head()
    assert b"SCRIPT_NAME: /public" in head and b"X-Forwarded-Ssl: on" in head


def test_a_bare_lf_in_the_request_line_is_refused(client):
    """RFC 9112 section 2.2: what follows it would become a field that nobody in front of us has seen."""
    client.send(b"GET /public\nX-User:root HTTP/1.1\r\nHost: h\r\n\r\n")
    assert client.head().startswith(b"HTTP/1.1 400 ")


def test_a_204_that_announces_content_is_not_reused(client, upstream):
    """Its content, if it comes, would be the next client's answer (RFC 9110 section 8.6)."""
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
    assert client.head().startswith(b"HTTP/1.1 204 ")
    client.send(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
    again = upstream.accept()
    assert again.head().startswith(b"GET /next ") and again is not peer
