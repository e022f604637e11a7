"""A backend behind https: verified, named, shown a certificate, and never believed when it is cut off.

The certificates are good for a hundred years; the authority's key was thrown away.
"""

from __future__ import annotations

import queue
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from proxy_peers import PATIENCE, SERVE, Peer, environment, value_of

CERTIFICATES = Path(__file__).parent / "certificates"
CA, BACKEND, PROXY = (str(CERTIFICATES / name) for name in ("ca.pem", "backend.pem", "proxy.pem"))
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class TlsBackend:
    """Shakes hands by itself; what carries something is the test's to answer."""

    def __init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(BACKEND)
        self.context.sni_callback = lambda _sock, name, _context: self.names.append(name)
        self.names: list[str | None] = []
        self._arrived: queue.Queue[Peer] = queue.Queue()
        self._peers: list[Peer] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._shake_hands)
        self._thread.start()

    def _shake_hands(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            try:
                peer = Peer(self.context.wrap_socket(sock, server_side=True))
            except OSError:
                sock.close()
                continue
            self._peers.append(peer)
            self._arrived.put(peer)

    def accept(self) -> Peer:
        """The next connection that carries something."""
        while True:
            peer = self._arrived.get(timeout=PATIENCE)
            try:
                peer.buffer = peer.sock.recv(65536)
            except OSError:
                continue
            if peer.buffer:
                return peer

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for peer in self._peers:
            peer.close()


@pytest.fixture
def secure():
    made = TlsBackend()
    yield made
    made.close()


def https(backend, **settings):
    return {"UPSTREAM": f"https://127.0.0.1:{backend.port}", "UPSTREAM_CA": CA, **settings}


def answered(client, peer):
    peer.head()
    peer.send(OK)
    return client.response()[1] == b"ok"


def test_a_verified_backend_is_asked_and_its_connection_kept(start_proxy, secure):
    """The name is sent (SNI) and verified; the session's tickets do not spoil the pooled connection."""
    client = start_proxy(**https(secure, UPSTREAM_NAME="backend.example")).connect()
    client.send(GET)
    peer = secure.accept()
    assert answered(client, peer)
    client.send(GET)
    assert answered(client, peer)
    assert set(secure.names) == {"backend.example"}


def test_an_address_is_verified_as_an_address(start_proxy, secure):
    """Without UPSTREAM_NAME it is UPSTREAM's host that the certificate must be for."""
    client = start_proxy(**https(secure)).connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    peer = secure.accept()
    head = peer.head()
    assert value_of(head, b"host") == b"127.0.0.1:%d" % secure.port
    assert value_of(head, b"x-forwarded-proto") == b"http"
    peer.send(OK)
    assert client.response()[1] == b"ok"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"UPSTREAM_NAME": "other.example"}, "Hostname mismatch"),
        ({"UPSTREAM_CA": ""}, "unable to get local issuer certificate"),
    ],
)
def test_a_backend_that_does_not_verify_gets_nothing(start_proxy, secure, settings, why):
    """It never becomes ready, the log says why, and a request is 503."""
    given = {name: value for name, value in https(secure, **settings).items() if value}
    proxy = start_proxy(ready=False, **given)
    assert why in proxy.logged("the backend's certificate")
    client = proxy.connect()
    client.send(GET)
    assert client.head().startswith(b"HTTP/1.1 503 ")


def test_a_backend_that_speaks_no_tls_gets_nothing(start_proxy, backend):
    """The same."""
    proxy = start_proxy(ready=False, UPSTREAM=f"https://127.0.0.1:{backend.port}", UPSTREAM_CA=CA)
    backend.accept().send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    proxy.logged("no TLS with the backend")


def test_a_certificate_of_our_own(start_proxy, secure):
    """UPSTREAM_CERT is shown to a backend that wants to know who asks."""
    secure.context.load_verify_locations(CA)
    secure.context.verify_mode = ssl.CERT_REQUIRED
    client = start_proxy(**https(secure, UPSTREAM_CERT=PROXY)).connect()
    client.send(GET)
    peer = secure.accept()
    assert dict(pair for (pair,) in peer.sock.getpeercert()["subject"]) == {"commonName": "proxy"}
    assert answered(client, peer)


def test_an_end_without_farewell_is_no_end_of_a_body(start_proxy, secure):
    """Anybody on the way can close a connection: what ends by close must be closed by TLS."""
    proxy = start_proxy(**https(secure))
    for farewell in (True, False):
        client = proxy.connect()
        client.send(GET)
        peer = secure.accept()
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        client.until(b"half\r\n")
        if farewell:
            peer.sock.unwrap()
            assert client.until(b"\r\n\r\n") == b"0\r\n\r\n"
        else:
            peer.close()
            assert client.rest() == b""


@pytest.mark.parametrize("size", [1, 65536, 3_000_000])
def test_bodies_of_any_size(start_proxy, secure, size):
    """Up and down, intact."""
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    client = start_proxy(**https(secure)).connect()
    request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size
    sender = threading.Thread(target=client.send, args=(request, body))
    sender.start()
    peer = secure.accept()
    peer.head()
    assert peer.exactly(size) == body
    sender.join()
    sender = threading.Thread(target=peer.send, args=(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, body))
    sender.start()
    assert client.response()[1] == body
    sender.join()


def test_a_backend_that_never_shakes_hands(start_proxy, backend):
    """CONNECT_TIMEOUT bounds the handshake."""
    proxy = start_proxy(
        ready=False, UPSTREAM=f"https://127.0.0.1:{backend.port}", UPSTREAM_CA=CA, CONNECT_TIMEOUT="0.1"
    )
    proxy.logged("did not finish the TLS handshake in time")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"UPSTREAM_CA": "/nowhere.pem"}, "UPSTREAM_CA"),
        ({"UPSTREAM_CA": __file__}, "UPSTREAM_CA"),
        ({"UPSTREAM_CERT": "/nowhere.pem"}, "UPSTREAM_CERT"),
        ({"UPSTREAM_CERT": CA}, "UPSTREAM_CERT"),
        ({"UPSTREAM_CERT": BACKEND, "UPSTREAM_KEY": PROXY}, "UPSTREAM_CERT"),
    ],
)
def test_certificates_that_cannot_be_used(settings, name):
    """One line that names the setting and the file, exit code 2, before anything is listened on."""
    done = subprocess.run(
        [sys.executable, "-c", SERVE],
        env=environment(1, UPSTREAM="https://127.0.0.1:1", **settings),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"cannot read {name}: ")
    assert done.stderr.count("\n") == 1
