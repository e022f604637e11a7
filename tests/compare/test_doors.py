"""Proxies that listen only with TLS or on a unix socket: where clients come in, and how they are asked and loaded."""

from __future__ import annotations

import shutil
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pillion.compare.containers import Combined, plan
from pillion.compare.door import Door, door_of
from pillion.compare.load import LoadJob, run_load
from pillion.image.pair import PairRecord
from pillion.image.refusal import Refusal
from tests.compare.test_layouts import PAIR
from tests.conftest import ENTRY, PairFile

CERTIFICATES = Path(__file__).parents[1] / "proxy" / "certificates"
CERTIFICATE, ANOTHER = CERTIFICATES / "backend.pem", CERTIFICATES / "proxy.pem"
LARGE = b"x" * 1_500_000


class Echo(BaseHTTPRequestHandler):
    """Answers a GET with something large, and a POST with its size."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(LARGE)

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self._answer(b"%d" % len(self.rfile.read(size)))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return ""

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


class TlsServer(ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self) -> Any:
        sock, address = super().get_request()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, *_: Any) -> None:
        """Clients that do not trust it."""


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("closed_loop", [False, True])
@pytest.mark.parametrize("how", ["tls", "unix"])
def test_load_comes_in_by_any_door(tmp_path: Path, how: str, closed_loop: bool) -> None:
    """Large bodies both ways: what OpenSSL holds back is sent, and what it holds is read."""
    if how == "tls":
        server: socketserver.BaseServer = TlsServer(("127.0.0.1", 0), Echo)
        door: dict[str, Any] = {"port": server.server_address[1], "certificate": str(CERTIFICATE)}  # type: ignore[index]
    else:
        server = UnixServer(str(tmp_path / "s"), Echo)
        door = {"port": 0, "socket": str(tmp_path / "s")}
    with serving(server):
        for more in ({"method": "GET"}, {"method": "POST", "body": LARGE}):
            job = LoadJob(rate=20, duration_s=0.3, connections=4, closed_loop=closed_loop, **door, **more)  # type: ignore[arg-type]
            found = run_load(job)
            assert found.failures == 0 and dict(found.statuses)["200"] == found.requests > 0


def test_a_certificate_of_somebody_else_is_not_believed() -> None:
    """Every request fails, and none is sent."""
    server = TlsServer(("127.0.0.1", 0), Echo)
    with serving(server):
        job = LoadJob(port=server.server_port, rate=20, duration_s=0.5, certificate=str(ANOTHER))
        found = run_load(job)
    assert found.failed["connect"] == found.requests == 10


def test_a_certificate_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"certificate: .*: no such file"):
        run_load(LoadJob(port=1, rate=1, duration_s=1, certificate=str(tmp_path / "none.pem")))


def door(listen: str, layout: str = "separate") -> Door:
    environ = {**PAIR.proxy.env, "LISTEN": listen, "LISTEN_CERT": "/c.pem"}
    return door_of(PAIR._replace(proxy=PAIR.proxy._replace(env=environ)), layout)


@pytest.mark.parametrize(
    ("listen", "found"),
    [
        ("https://:8443", Door(8443, certificate="/c.pem")),
        ("https://:8443, :8081", Door(8081)),
        ("unix:/run/p.sock,https://[::]:8443", Door(8443, certificate="/c.pem")),
        ("unix:/run/p.sock", Door(0, "/run/p.sock")),
        ("unix:/run/p.sock, 0.0.0.0:9", Door(9)),
    ],
)
def test_the_plainest_door_is_taken(listen: str, found: Door) -> None:
    """In every layout with the proxy in it; the backend alone listens as it always does."""
    assert door(listen) == door(listen, "shared") == found
    assert door(listen, "direct") == door_of(PAIR, "direct")


@pytest.mark.parametrize("listen", ["https://:8443", "unix:/run/p.sock"])
@pytest.mark.parametrize("layout", ["separate", "shared", "remote"])
def test_a_door_inside_a_container_is_refused(layout: str, listen: str) -> None:
    """Its socket and its certificate are files there."""
    environ = {**PAIR.proxy.env, "LISTEN": listen, "LISTEN_CERT": "/c.pem"}
    pair = PAIR._replace(proxy=PAIR.proxy._replace(env=environ), backend=PAIR.backend._replace(image="api:1"))
    with pytest.raises(Refusal, match=r"listens only on .* is in the container; add a plain HOST:PORT to LISTEN"):
        plan(pair, layout, Combined("both:1", PairRecord()))
    plan(pair, "direct", None)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("how", ["tls", "unix"])
def test_a_comparison_by_such_a_door(tmp_path: Path, how: str) -> None:
    """Both layouts get ready and answer every request, with the certificate verified; what TLS does to it is said."""
    file = PairFile(tmp_path)
    listen = f"https://127.0.0.1:{file.front}" if how == "tls" else f"unix:{tmp_path / 'p'}"
    certificate = Path(shutil.copy(CERTIFICATE, tmp_path / "proxy.pem"))
    file.proxy["env"] = [each for each in file.proxy["env"] if each["name"] != "LISTEN"]
    file.proxy["env"].append({"name": "LISTEN", "value": listen})
    if how == "tls":
        file.proxy["env"].append({"name": "LISTEN_CERT", "value": str(certificate)})
    words = ["--layout", "separate", "--layout", "shared", "--rounds", "1", "--duration", "0.5", "--rate", "50"]
    ended = subprocess.run(
        [ENTRY, "compare", file.write(), *words], capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ("clients speak TLS" in ended.stdout + ended.stderr) is (how == "tls")
    assert "failed" not in ended.stderr
