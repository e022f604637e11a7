"""The concerns in the proxy's own path, with raw sockets on both sides: what they do to messages that only it has."""

from __future__ import annotations

import json

import pytest
from proxy_peers import Proxy, value_of, values_of, wait_for

GET = b"GET / HTTP/1.1\r\nHost: h\r\nX-Request-ID: mine\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: theirs\r\nServer: old\r\n\r\nok"


@pytest.mark.parametrize("sent", [b"mine", b"not good"])
def test_the_id_goes_everywhere(start_proxy, backend, sent):
    """To the backend, back to the client instead of the backend's own, and into the access log."""
    proxy: Proxy = start_proxy(REQUEST_ID="on", ACCESS_LOG="json")
    client = proxy.connect()
    client.send(GET.replace(b"mine", sent))
    peer = backend.accept()
    (found,) = values_of(peer.head(), b"x-request-id")
    assert (found == sent) == (sent == b"mine")
    peer.send(OK)
    assert values_of(client.response()[0], b"x-request-id") == [found]
    line = wait_for(lambda: next(iter(list(proxy.output)), ""), "not logged")
    assert json.loads(line)["request_id"] == found.decode()


def test_without_ids_the_log_says_null(start_proxy, backend):
    """A client's own field is nothing that we know of then; it goes through as any other."""
    proxy: Proxy = start_proxy(ACCESS_LOG="json")
    client = proxy.connect()
    client.send(GET)
    peer = backend.accept()
    assert value_of(peer.head(), b"x-request-id") == b"mine"
    peer.send(OK)
    assert value_of(client.response()[0], b"x-request-id") == b"theirs"
    line = wait_for(lambda: next(iter(list(proxy.output)), ""), "not logged")
    assert json.loads(line)["request_id"] is None


def test_our_own_answers_have_it_too(start_proxy, backend):
    """A 502 can be found again by its id, and the rules for responses hold for it; a TRACE that ends here is one."""
    proxy: Proxy = start_proxy(REQUEST_ID="on", RESPONSE_HEADERS="set Cache-Control: private | remove Date")
    client = proxy.connect()
    client.send(GET)
    backend.accept().send(b"nonsense\r\n\r\n")
    head, _ = client.response()
    assert head.startswith(b"HTTP/1.1 502 ") and value_of(head, b"x-request-id") == b"mine"
    assert values_of(head, b"cache-control") == [b"private"] and value_of(head, b"date") is None
    client.send(GET.replace(b"GET", b"TRACE").replace(b"\r\n\r\n", b"\r\nMax-Forwards: 0\r\n\r\n"))
    assert value_of(client.response()[0], b"x-request-id") == b"mine"


def test_interim_answers_are_left_alone_and_a_switch_is_not(start_proxy, backend):
    """They are not the answer; the 101 is."""
    proxy: Proxy = start_proxy(REQUEST_ID="on", RESPONSE_HEADERS="add X-A: 1")
    client = proxy.connect()
    client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n"))
    peer = backend.accept()
    peer.head()
    peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
    assert value_of(client.head(), b"x-a") is None
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\nhello")
    head = client.head()
    assert (value_of(head, b"x-a"), value_of(head, b"x-request-id")) == (b"1", b"mine")
    assert client.exactly(5) == b"hello"


@pytest.mark.parametrize("size", [1, 5000])
def test_rules_hold_for_any_size_of_head(start_proxy, backend, size):
    """Those that are remembered and those that are too long for it; a field may be one of those that we add."""
    proxy: Proxy = start_proxy(
        REQUEST_HEADERS="set X-Forwarded-Proto: https\nadd X-B: 2\nremove X-A", RESPONSE_HEADERS="set Server: new"
    )
    client = proxy.connect()
    long = b"Y: " + b"y" * size
    for _ in range(2):
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX_A: 0\r\nX-B: 1\r\n" + long + b"\r\n\r\n")
        peer = backend.accept()
        head = peer.head()
        assert values_of(head, b"x-forwarded-proto") == [b"https"]
        assert (values_of(head, b"x-b"), value_of(head, b"x_a")) == ([b"1", b"2"], None)
        assert head.endswith(b"\r\n\r\n") and long in head
        # Closed, as how long a kept one is good for would depend on how slow this machine is.
        peer.send(OK.replace(b"Server", long + b"\r\nConnection: close\r\nServer"))
        head, body = client.response()
        assert (values_of(head, b"server"), body) == ([b"new"], b"ok")


def test_too_many_requests(start_proxy, backend):
    """429 with Retry-After, JSON and our Proxy-Status; the backend sees nothing and the connection lives on, also
    behind a request whose body has come with it."""
    proxy: Proxy = start_proxy(RATE_LIMIT="1/h", RATE_LIMIT_BURST="1", ACCESS_LOG="json")
    client = proxy.connect()
    client.send(GET)
    peer = backend.accept()
    peer.head()
    peer.send(OK)
    client.response()
    for method in (b"GET", b"POST", b"HEAD"):
        body = b"Content-Length: 5\r\n\r\nhello" if method == b"POST" else b"\r\n"
        client.send(method + b" / HTTP/1.1\r\nHost: h\r\n" + body)
        head = client.head()
        assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n") and value_of(head, b"connection") is None
        assert 0 < int(value_of(head, b"retry-after") or 0) <= 3600
        assert b"error=http_request_denied" in (value_of(head, b"proxy-status") or b"")
        if method != b"HEAD":
            said = json.loads(client.exactly(int(value_of(head, b"content-length") or 0)))
            assert said == {"error": "too many requests", "reason": "too many requests"}
    assert peer.is_silent() and not backend.has_caller()
    lines = wait_for(lambda: list(proxy.output) if len(proxy.output) == 4 else None, "not logged")
    assert [json.loads(line)["status"] for line in lines] == [200, 429, 429, 429]
    assert not any("too many" in line for line in proxy.errors), "a flood is not to fill the log"


def test_an_upload_that_is_declined_is_not_taken(start_proxy, backend):
    """The client that waits for a 100 gets the 429, and the connection ends, since half a request is on it."""
    proxy: Proxy = start_proxy(RATE_LIMIT="1/h", RATE_LIMIT_BURST="1")
    for declined in (False, True):
        client = proxy.connect()
        client.send(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        if not declined:
            peer = backend.accept()
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        head, _ = client.response()
        assert head.startswith(b"HTTP/1.1 429 " if declined else b"HTTP/1.1 200 ")
        assert value_of(head, b"connection") == b"close"
    assert not backend.has_caller()


@pytest.mark.parametrize(("believed", "expected"), [("127.0.0.1", [200, 429, 200]), ("192.0.2.1", [200, 429, 429])])
def test_clients_behind_a_trusted_peer_are_told_apart(start_proxy, backend, believed, expected):
    """By the X-Forwarded-For of whom we believe; of others it says nothing."""
    proxy: Proxy = start_proxy(RATE_LIMIT="1/h", RATE_LIMIT_BURST="1", FORWARDED_ALLOW_IPS=believed)
    for status, client_says in zip(expected, (b"203.0.113.1", b"203.0.113.1", b"203.0.113.2"), strict=True):
        client = proxy.connect()
        client.send(b"GET / HTTP/1.0\r\nX-Forwarded-For: " + client_says + b"\r\n\r\n")
        if status == 200:
            peer = backend.accept()
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        assert client.head().startswith(b"HTTP/1.1 %d " % status)
        assert not backend.has_caller()
