"""Where clients come in: unix sockets and TLS beside plain ports."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from proxy_peers import PATIENCE, Backend, Peer, Proxy, environment, value_of, wait_for

from pillion.proxy.certificates import server_context
from pillion.proxy.listening import turn_away
from pillion.proxy.settings import SettingError

CERTIFICATES = Path(__file__).parent / "certificates"
CA, ONE, OTHER = (str(CERTIFICATES / name) for name in ("ca.pem", "backend.pem", "proxy.pem"))
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TLS = {"LISTEN": "https://127.0.0.1:0", "LISTEN_CERT": ONE}


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the default one of Python 3.13 wants more of an authority
    context.load_verify_locations(CA)
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def secure(proxy: Proxy) -> Peer:
    """A client with TLS; an end without a farewell is an error to it."""
    plain = proxy.connect()
    peer = Peer(trusting().wrap_socket(plain.sock, suppress_ragged_eofs=False))
    proxy.clients.append(peer)
    return peer


def shown(proxy: Proxy) -> bytes:
    """The certificate that a client gets to see."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with context.wrap_socket(proxy.connect().sock) as sock:
        return sock.getpeercert(binary_form=True)


def held(place: str) -> bytes:
    """The certificate in a PEM file."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    text = Path(place).read_text()
    return ssl.PEM_cert_to_DER_cert(text[text.index(begin) : text.index(end) + len(end)])


def refused(**settings: str) -> str:
    """The one line with which a start ends."""
    done = subprocess.run(
        [sys.executable, "-m", "pillion.cli.main", "proxy"],
        env=environment(1, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("pillion: ")


def answer(backend: Backend) -> Peer:
    peer = backend.peers[-1] if backend.peers else backend.accept()
    peer.head()
    peer.send(OK)
    return peer


# TLS


def test_a_client_over_tls(start_proxy, backend):
    """Verified, HTTP/1.1 agreed upon, kept alive; the backend learns of it. A plain port beside it is plain."""
    proxy = start_proxy(**{**TLS, "LISTEN": "127.0.0.1:0, https://127.0.0.1:0"})
    client = secure(proxy)
    assert client.sock.selected_alpn_protocol() == "http/1.1"
    assert client.sock.version() in ("TLSv1.2", "TLSv1.3")
    for _ in range(2):
        client.send(GET)
        peer = backend.peers[-1] if backend.peers else backend.accept()
        assert value_of(peer.head(), b"x-forwarded-proto") == b"https"
        peer.send(OK)
        assert client.response()[1] == b"ok"
    where = proxy.logged("listening on ").split(" -> ")[0].split("listening on ")[1]
    plain = Peer(socket.create_connection(("127.0.0.1", int(where.split(",")[0].rpartition(":")[2])), PATIENCE))
    proxy.clients.append(plain)
    plain.send(GET)
    assert value_of(peer.head(), b"x-forwarded-proto") == b"http"
    peer.send(OK)
    assert plain.response()[1] == b"ok"


def test_nothing_older_than_tls_1_2():
    """Whatever OpenSSL was built to allow."""
    assert server_context(ONE, "").minimum_version is ssl.TLSVersion.TLSv1_2


def test_bodies_over_tls(start_proxy, backend):
    """Up and down, intact, and bigger than what is buffered anywhere."""
    body = bytes(range(256)) * 12_000
    client = secure(start_proxy(**TLS))
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
    sender = threading.Thread(target=client.send, args=(head, body))
    sender.start()
    peer = backend.accept()
    peer.head()
    assert peer.exactly(len(body)) == body
    sender.join()
    sender = threading.Thread(
        target=peer.send, args=(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)
    )
    sender.start()
    assert client.response()[1] == body
    sender.join()


def test_the_next_request_comes_while_one_is_answered(start_proxy, backend):
    """Looking whether the client is still there takes nothing of what it sent."""
    client = secure(start_proxy(**TLS))
    client.send(GET)
    peer = backend.accept()
    peer.head()
    client.send(b"GET /second HTTP/1.1\r\nHost: h\r\n\r\n")
    peer.send(OK)
    assert client.response()[1] == b"ok"
    assert peer.head().startswith(b"GET /second HTTP/1.1\r\n")
    peer.send(OK)
    assert client.response()[1] == b"ok"


def test_a_tunnel_over_tls(start_proxy, backend):
    """Bytes both ways, and the end of one way."""
    client = secure(start_proxy(**TLS))
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    peer = backend.accept()
    peer.head()
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
    assert client.head().startswith(b"HTTP/1.1 101 ")
    assert client.exactly(5) == b"hello"
    client.send(b"bytes")
    assert peer.exactly(5) == b"bytes"
    peer.half_close()
    assert client.rest() == b""


def test_what_ends_by_close_and_broke_off_has_no_farewell(start_proxy, backend):
    """A client of 1.0 could take it for the end of the body."""
    client = secure(start_proxy(**TLS))
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    peer = backend.accept()
    peer.head()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    client.head()
    assert client.exactly(4) == b"half"
    peer.close()
    with pytest.raises(OSError):
        while client.sock.recv(100):
            pass


def test_handshakes_hold_up_nobody_and_end(start_proxy, backend):
    """One client says nothing, one a byte at a time: others are served, and both are closed in time."""
    proxy = start_proxy(**TLS, HANDSHAKE_TIMEOUT="1")
    silent, slow = proxy.connect(), proxy.connect()
    hello = ssl.MemoryBIO()
    shaking = trusting().wrap_bio(ssl.MemoryBIO(), hello)
    with pytest.raises(ssl.SSLWantReadError):
        shaking.do_handshake()
    words = hello.read()
    slow.send(words[:1])
    client = secure(proxy)
    client.send(GET)
    answer(backend)
    assert client.response()[1] == b"ok"
    slow.sock.settimeout(0.02)
    for number in range(1, len(words)):
        try:
            slow.send(words[number : number + 1])
            assert slow.sock.recv(100) == b""
        except TimeoutError:
            continue
        except OSError:
            pass
        break
    else:
        pytest.fail("a handshake may take as long as it likes")
    assert silent.rest() == b""


def test_a_client_without_tls(start_proxy, backend):
    """Gets nothing, and nothing of it is forwarded; the log says why."""
    proxy = start_proxy(**TLS)
    client = proxy.connect()
    client.send(GET)
    client.rest()
    assert "127.0.0.1: no TLS: HTTP_REQUEST" in proxy.logged("refused ")


@pytest.mark.parametrize(
    ("certificate", "key", "why"),
    [
        ("/nowhere.pem", "", "no such file"),
        (__file__, "", "pem"),
        (CA, "", "LISTEN_KEY if the key is apart"),
        (ONE, OTHER, "key values mismatch"),
        (ONE, "/nowhere.pem", "with /nowhere.pem: no such file"),
    ],
)
def test_certificates_that_cannot_be_used(certificate, key, why):
    """The setting is named, the file, and what is wrong with it."""
    with pytest.raises(SettingError, match=r"^cannot read LISTEN_CERT: ") as caught:
        server_context(certificate, key)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_certificate_that_cannot_be_used_ends_the_start():
    """In one line, before anything is listened on."""
    said = refused(LISTEN="https://127.0.0.1:0", LISTEN_CERT=ONE, LISTEN_KEY=OTHER)
    assert said.startswith(f"cannot read LISTEN_CERT: {ONE} with {OTHER}: key values mismatch; ")


def test_a_new_certificate_with_sighup(start_proxy, backend, tmp_path):
    """Who is connected is answered; who connects then sees the new one. One that cannot be used changes nothing."""
    place = tmp_path / "certificate.pem"
    shutil.copy(ONE, place)
    proxy = start_proxy(**{**TLS, "LISTEN_CERT": str(place)})
    client = secure(proxy)
    client.send(GET)
    answer(backend)
    assert client.response()[1] == b"ok"

    place.write_text("nonsense")
    proxy.process.send_signal(signal.SIGHUP)
    assert "LISTEN_CERT" in proxy.logged("not reloaded")
    assert shown(proxy) == held(ONE)

    shutil.copy(OTHER, place)
    proxy.process.send_signal(signal.SIGHUP)
    wait_for(lambda: shown(proxy) == held(OTHER), "the old certificate stays")
    client.send(GET)
    answer(backend)
    assert client.response()[1] == b"ok"


def test_handshakes_that_fail_leave_nothing(start_proxy, backend):
    """No descriptor, and no worker lost."""
    proxy = start_proxy(**TLS, LOG_LEVEL="info")
    (worker,) = Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children").read_text().split()

    def descriptors() -> int:
        return sum(1 for _ in Path(f"/proc/{worker}/fd").iterdir())

    before = descriptors()
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    for words in (b"", b"\x00" * 200, hello, hello + b"\xff" * 600) * 50:
        with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as sock:
            sock.sendall(words)
    wait_for(lambda: descriptors() <= before, "descriptors are left")
    client = secure(proxy)
    client.send(GET)
    answer(backend)
    assert client.response()[1] == b"ok"


# Unix sockets


def test_a_unix_socket(start_proxy, backend, tmp_path):
    """Its mode is as asked for; who may connect is believed; its file goes with the proxy, and not before."""
    place = tmp_path / "proxy.sock"
    proxy = start_proxy(LISTEN=f"unix:{place}, 127.0.0.1:0", LISTEN_MODE="0600")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    client = unix(proxy, place)
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
    peer = backend.accept()
    assert value_of(peer.head(), b"x-forwarded-for") == b"192.0.2.1, unknown"
    peer.send(OK)
    assert client.response()[1] == b"ok"
    other = proxy.connect()
    other.send(GET)
    answer(backend)
    assert other.response()[1] == b"ok"
    assert f"unix:{place}, 127.0.0.1:" in proxy.logged("listening on ")
    proxy.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len([line for line in proxy.errors if "backend ready" in line]) == 2, "no new worker")
    assert place.exists()
    proxy.terminate()
    assert proxy.wait() == 0
    assert not place.exists()


def test_a_stop_keeps_the_file_while_it_is_listened_on(start_proxy, backend, tmp_path):
    """During DRAIN_DELAY whoever still comes is served."""
    place = tmp_path / "proxy.sock"
    proxy = start_proxy(LISTEN=f"unix:{place}", DRAIN_DELAY="60")
    witness = unix(proxy, place)
    proxy.terminate()

    def closing() -> bool:
        witness.send(GET)
        answer(backend)
        return value_of(witness.response()[0], b"connection") == b"close"

    assert wait_for(closing, "no drain")
    client = unix(proxy, place)
    client.send(GET)
    answer(backend)
    assert client.response()[1] == b"ok"
    proxy.process.send_signal(signal.SIGINT)
    assert proxy.wait() == 0
    assert not place.exists()


def test_the_socket_of_a_proxy_that_was_killed(start_proxy, tmp_path):
    """Nobody listens there: the next one takes its place."""
    place = tmp_path / "proxy.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    proxy = start_proxy(LISTEN=f"unix:{place}")
    assert unix(proxy, place).sock.getpeername() == str(place)


def test_a_path_that_is_taken(tmp_path):
    """By somebody who listens, or by what is no socket: neither is touched."""
    taken, file = tmp_path / "taken", tmp_path / "file"
    file.write_text("precious")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(taken))
        listener.listen()
        assert refused(LISTEN=f"unix:{taken}").startswith(f"cannot listen on unix:{taken}: address already in use; ")
    assert "is no socket; " in refused(LISTEN=f"unix:{file}")
    assert file.read_text() == "precious"
    assert "no such file or directory; " in refused(LISTEN=f"unix:{tmp_path}/missing/socket")


def test_nothing_stays_bound_if_one_address_cannot_be(tmp_path):
    """The file of a socket that was bound before is gone."""
    place = tmp_path / "proxy.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refused(LISTEN=f"unix:{place}", ADMIN_LISTEN=f"127.0.0.1:{taken.getsockname()[1]}")
    assert said.endswith("stop what listens there, or set ADMIN_LISTEN to another\n")
    assert not place.exists()


def unix(proxy: Proxy, place: Path) -> Peer:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(place))
    peer = Peer(sock)
    proxy.clients.append(peer)
    return peer


def test_turning_away():
    """Who is in the queue of a listener stays there; who comes after it is neither accepted nor reset."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as late:
        with socket.create_connection(listener.getsockname(), PATIENCE) as early:
            turn_away(listener)
            late.setblocking(False)
            late.connect_ex(listener.getsockname())
            accepted, address = listener.accept()
            with accepted:
                assert address == early.getsockname()
                early.sendall(b"asked")
                assert accepted.recv(5) == b"asked"
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
