"""F17: whatever a client sends, backends with other parsers behind this proxy see the same requests, and no others."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httptools
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from proxy_peers import PATIENCE, Proxy, environment, wait_for

Seen = tuple[str, str, bytes]
APPLICATION = """
import os
def application(environ, start_response):
    length = environ.get("CONTENT_LENGTH")
    body = environ["wsgi.input"].read()
    if length is None or len(body) == int(length or 0):
        with open(os.environ["SEEN"], "a") as seen:
            seen.write(repr((environ["REQUEST_METHOD"], environ["RAW_URI"], body)) + chr(10))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


class OfTheStandardLibrary:
    """http.server, which reads heads as mail."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __getattr__(self, name: str):
                if name.startswith("do_"):
                    return self.answer
                raise AttributeError(name)

            def answer(self) -> None:
                body = self.body()
                if body is None:
                    self.close_connection = True
                    return
                outer.seen.append((self.command, self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(b"ok")

            def body(self) -> bytes | None:
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    length = int(self.headers.get("Content-Length", 0))
                    data = self.rfile.read(length)
                    return data if len(data) == length else None
                data = b""
                while size := int(self.rfile.readline().split(b";")[0] or b"-1", 16):
                    data += self.rfile.read(max(0, size))
                    if size < 0 or self.rfile.readline() != b"\r\n":
                        return None
                while (line := self.rfile.readline()) not in (b"\r\n", b""):
                    pass
                return data if line else None

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A connection that was cut off."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class OfNode:
    """llhttp, the parser of Node, in threads."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        outer = self

        class Messages:
            url, body = b"", b""

            def on_message_begin(self) -> None:
                self.url, self.body = b"", b""

            def on_url(self, data: bytes) -> None:
                self.url += data

            def on_body(self, data: bytes) -> None:
                self.body += data

            def on_message_complete(self) -> None:
                method = parser.get_method().decode()
                outer.seen.append((method, self.url.decode(), self.body))
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + (b"" if method == "HEAD" else b"ok"))

        parser = httptools.HttpRequestParser(Messages())
        with sock:
            try:
                while data := sock.recv(65536):
                    parser.feed_data(data)
            except (OSError, httptools.HttpParserError):
                pass

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class OfGunicorn:
    """gunicorn's own parser, in processes."""

    def __init__(self, folder: Path) -> None:
        (folder / "application.py").write_text(APPLICATION)
        self.log = folder / "seen"
        self.log.touch()
        command = ["-m", "gunicorn", "-b", "127.0.0.1:0", "--log-level", "info", "--no-control-socket", "application"]
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", os.defpath), "SEEN": str(self.log)},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "Listening at" in line:
                self.port = int(line.rpartition(":")[2].split()[0].rstrip(")"))
                break
        self.reader = threading.Thread(target=self.process.stderr.read)
        self.reader.start()

    @property
    def seen(self) -> list[Seen]:
        return [eval(line) for line in self.log.read_text().splitlines()]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.reader.join(20)
        assert self.process.stderr is not None
        self.process.stderr.close()


class OfNginx:
    """nginx; it logs what it took for a request, a body that was cut off included."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.log = folder / "access"
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi"))
        temporary += f"uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;"
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null; events {{ }}\n"
            f"http {{ log_format seen '$request_method $request_uri'; access_log {folder}/access seen; {temporary}\n"
            f"server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 ok; }} }} }}\n"
        )
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert nginx is not None
        self.process = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)

    @property
    def seen(self) -> list[Seen]:
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [(line[0], line[1], b"") for line in lines if len(line) == 2 and line[1] != "-"]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def fronted(tmp_path_factory):
    """Each backend with a proxy of its own: those that say what they read, and nginx if it is there."""
    backends = [OfTheStandardLibrary(), OfNode(), OfGunicorn(tmp_path_factory.mktemp("gunicorn"))]
    if shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        backends.append(OfNginx(tmp_path_factory.mktemp("nginx")))
    proxies = [Proxy(environment(backend.port)) for backend in backends]
    try:
        for proxy in proxies:
            proxy.logged("backend ready")
        yield list(zip(proxies, backends, strict=True))
    finally:
        for proxy in proxies:
            proxy.close()
        for backend in backends:
            backend.close()


INNER = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
FRAMINGS = [
    b"", b"Content-Length: %d\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n", b"Content-Length: %d\r\nContent-Length: 0\r\n",
    b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding:\tchunked\r\n", b"Transfer-Encoding: Chunked\r\n", b"X: y\r\n Transfer-Encoding: chunked\r\n",
    b"Transfer_Encoding: chunked\r\n", b"Content_Length: %d\r\n", b"Content-Length: +%d\r\n",
    b"Content-Length: %d \r\n", b"Content-Length: 0%d\r\n", b"Content-Length: %d, %d\r\n",
    b"Connection: close, Content-Length\r\nContent-Length: %d\r\n", b"X: y\nContent-Length: %d\r\n",
    b"Transfer-Encoding: chunked\nX: y\r\n", b"Transfer-Encoding: chunked, chunked\r\n", b"\x0bContent-Length: %d\r\n",
    b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n",
    b"X: y\rTransfer-Encoding: chunked\r\n", b"Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"Content-Length: %d\r\nUpgrade: x\r\nConnection: Upgrade\r\n",
]  # fmt: skip
BODIES = [
    b"", b"hello", INNER, b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"0\r\n\r\n" + INNER,
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER), b"5;a=b\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
    b"5\r\nhello0\r\n\r\n", b"5\nhello\n0\n\n", b"5\r\nhello\r\n0\r\n" + INNER, b"05\r\nhello\r\n000\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r", b"\r\n" + INNER,
    b'5;a="\r\nhello\r\n0\r\n\r\n', b"fffffffffffffffb\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n-0\r\n\r\n",
]  # fmt: skip
METHODS = [b"POST", b"GET", b"PUT", b"HEAD", b"DELETE", b"OPTIONS"]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"]


@st.composite
def requests(draw, number=0):
    body = draw(st.sampled_from(BODIES))
    framing = draw(st.sampled_from(FRAMINGS))
    framing = framing.replace(b"%d", b"%d" % len(body))
    keep = draw(st.sampled_from([b"", b"", b"Connection: keep-alive\r\n"]))
    line = b"%b /%d %b\r\n" % (draw(st.sampled_from(METHODS)), number, draw(st.sampled_from(VERSIONS)))
    head = line + b"Host: h\r\n" + keep + framing + b"\r\n"
    if draw(st.integers(0, 9)) == 0:  # anything anywhere
        at = draw(st.integers(0, len(head)))
        head = head[:at] + draw(st.sampled_from([b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\r\n", b"\x80"])) + head[at:]
    return head + body


streams = st.tuples(requests(0), requests(1), requests(2)).flatmap(
    lambda each: st.integers(1, 3).map(lambda count: b"".join(each[:count]))
)


def send(proxy: Proxy, stream: bytes) -> None:
    """All of it at once, and take in whatever is said until the end."""
    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as sock:
        sock.settimeout(PATIENCE)
        try:
            sock.sendall(stream)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
        except ConnectionError:
            pass


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(stream=streams)
@example(
    stream=b"POST /0 HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG" + INNER
)
@example(stream=b"POST /0 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER)
def test_all_backends_see_the_same_requests(fronted, stream):
    """Any stream of requests, good and ambiguous: the same methods, targets and bodies, in the same order."""
    seen = []
    for proxy, backend in fronted:
        before = len(backend.seen) if not isinstance(backend, OfNginx) or backend.log.exists() else 0
        send(proxy, stream)
        send(proxy, b"GET /fence HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        wait_for(lambda backend=backend: ("GET", "/fence", b"") in backend.seen[before:], "the fence never arrived")  # noqa: B023
        wait_for(lambda backend=backend: backend.seen[-1][1] == "/fence", "something behind the fence")
        # What is left of a body can look like a request with a method of its own, which some refuse to know.
        known = [each for each in backend.seen[before:] if each[0].encode() in METHODS]
        seen.append([each for each in known if each[1] != "/fence"])
    *telling, last = seen if isinstance(fronted[-1][1], OfNginx) else (*seen, None)
    assert all(each == telling[0] for each in telling), f"{stream!r}: {seen}"
    if last is not None:
        # nginx answers before the body is there, and logs requests whose body never came whole.
        lines = [(method, target) for method, target, _ in last]
        whole = [(method, target) for method, target, _ in telling[0]]
        assert lines[: len(whole)] == whole, f"{stream!r}: {seen}"
        assert len(lines) <= len(whole) + 1, f"{stream!r}: {seen}"
