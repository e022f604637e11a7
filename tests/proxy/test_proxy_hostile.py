"""Peers that mean ill, or only behave so: none of them gets more of a worker than its share, or cuts off an answer."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from proxy_peers import PATIENCE, Peer, wait_for, worker_of

from pillion.proxy import stream, tls
from pillion.proxy.framing import ChunkedReader
from pillion.proxy.sides import ClientStream
from pillion.proxy.upload import Upload

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("target", [b"/a#b", b"/#", b"http://:80/", b"http://h/a#b"])
def test_targets_that_parsers_disagree_on(client, upstream, target):
    """A fragment is cut off by some servers and part of the path to others; an http URI has a host (RFC 9110)."""
    client.send(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target)
    assert client.rest().startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("chosen", [b"h2c", b"websocket, h2c", b""])
def test_a_switch_to_what_was_not_offered(client, upstream, chosen):
    """What we took out of the offer would carry requests past us."""
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % chosen)
    assert client.head().startswith(b"HTTP/1.1 502 ")
    assert peer.rest() == b""


def test_bytes_behind_a_last_request_do_not_cost_its_answer(client, upstream):
    """Closing a socket with something unread in it would reset the connection (RFC 9112 section 9.6)."""
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    peer = upstream.accept()
    peer.head()
    client.send(b"x" * 100_000)
    peer.send(OK)
    assert client.response()[1] == b"ok"
    client.half_close()
    assert not client.was_reset()


def test_a_client_of_a_unix_socket_that_goes_away_is_noticed_at_once(start_proxy, backend, tmp_path):
    """There the kernel tells an end from a half-close, so nothing is waited for."""
    start_proxy(LISTEN=f"unix:{tmp_path / 's'}", HALF_CLOSED_TIMEOUT="3600")
    clients = []
    for _ in range(2):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(tmp_path / "s"))
        clients.append(Peer(sock))
    for client in clients:
        client.send(GET)
    first, second = (backend.accept() for _ in range(2))
    for peer in (first, second):
        peer.head()
    clients[0].half_close()
    clients[1].close()
    gone, waited_for = wait_for(
        lambda: next(((a, b) for a, b in ((first, second), (second, first)) if not a.is_silent()), None), "not noticed"
    )
    assert gone.rest() == b""
    waited_for.send(OK)
    assert clients[0].response()[1] == b"ok"
    clients[0].close()


def test_many_requests_before_a_full_backlog_cost_no_more_than_one(start_proxy, backend, tmp_path):
    """The kernel offers nothing to wait for at a unix socket: one of them looks, and the others wait for it."""
    place = str(tmp_path / "u")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(0)
        listener.settimeout(PATIENCE)
        proxy = start_proxy(UPSTREAM=f"unix:{place}", CONNECT_TIMEOUT="60")
        worker = worker_of(proxy)
        listener.accept()[0].close()  # the readiness gate's
        fillers = []
        while True:
            filler = socket.socket(socket.AF_UNIX)
            filler.setblocking(False)
            fillers.append(filler)
            if filler.connect_ex(place):
                break
        clients = [proxy.connect() for _ in range(60)]
        for client in clients:
            client.send(GET)
        time.sleep(0.5)
        before = switches(worker)
        time.sleep(1)
        assert switches(worker) - before < 200
        for filler in fillers:
            filler.close()


def switches(pid: int) -> int:
    """How often the process has gone to sleep."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


class Dripping(ClientStream):
    """A client that sends byte by byte."""

    __slots__ = ("left",)

    def receive(self, most: int = 0) -> bytes:
        byte, self.left = self.left[:1], self.left[1:]
        return byte


def test_a_head_in_very_many_pieces_is_looked_through_once(monkeypatch):
    """Looking at all of it for each byte would take 13 s of processor time for a head of 32 KiB."""
    looked = []

    class Counting:
        def search(self, data, start=0):
            looked.append(len(data) - start)

    monkeypatch.setattr(stream, "_BARE_LF", Counting())
    message = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 300 + b"\r\n"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Dripping(ours, 1, 1)
        client.left = message
        assert client.read_head(32768, 10, 10) == message
        client.detach()
    assert sum(looked) < 3 * len(message)


@pytest.mark.parametrize("at", range(1, 20))
def test_a_bare_line_feed_is_found_wherever_the_pieces_part(pair, at):
    """Also where its CR would have been in the piece before."""
    proxy, _ = pair
    message = b"GET / HTTP/1.1\r\nA: b\nB: c\r\n"
    client = proxy.connect()
    client.send(message[:at])
    client.send(message[at:])
    assert client.rest().startswith(b"HTTP/1.1 400 ")


def test_a_flood_of_small_chunks_lets_others_go_first():
    """64 KiB of chunks of one byte are 60 ms of work: after each such read it is the others' turn."""
    ours, theirs = socket.socketpair()
    waits = []

    class Watching(ClientStream):
        __slots__ = ()

        def wait_to_read(self) -> None:
            waits.append(self.received)
            super().wait_to_read()

    with ours, theirs:
        for sock in (ours, theirs):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024**2)
        flood = b"1\r\na\r\n" * 200_000
        sent = theirs.send(flood)
        sent -= sent % 6  # whole chunks
        client = Watching(ours, PATIENCE, 1)
        sink = SimpleNamespace(send=lambda data: None, shutdown=lambda: None)
        upload = Upload(client, sink, ChunkedReader(), 60)
        with gevent.Timeout(PATIENCE):
            while client.received < sent:
                gevent.sleep(0.01)
        upload.stop()
        client.detach()
    assert len(waits) >= sent // 65536


def test_a_client_with_tls_that_always_has_more_lets_others_go_first(monkeypatch):
    """OpenSSL is asked before the event loop is, and a fast client never lets it run dry."""
    turns = []
    monkeypatch.setattr(tls.gevent, "sleep", turns.append)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        endless = SimpleNamespace(fileno=ours.fileno, recv=lambda size: b"x" * 100, send=len, reads=0, close=ours.close)
        client = tls.TlsClient(endless, PATIENCE, 1)
        client._more = 1
        for _ in range(64):
            client.receive()
        client.detach()
    assert len(turns) >= 3
