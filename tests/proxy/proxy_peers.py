"""The proxy as a real process, and raw sockets for both of its sides."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

PATIENCE = 20.0  # seconds until a test gives up waiting
SERVE = "import os; from pillion.proxy import server, settings; server.serve(settings.read_settings(os.environ))"


class Peer:
    """One end of a connection, read in the pieces that tests speak of."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.buffer = b""

    def send(self, *parts: bytes) -> None:
        self.sock.sendall(b"".join(parts))

    def until(self, mark: bytes) -> bytes:
        """Everything up to and including `mark`."""
        while mark not in self.buffer:
            data = self.sock.recv(65536)
            assert data, f"ended before {mark!r}: {self.buffer!r}"
            self.buffer += data
        end = self.buffer.index(mark) + len(mark)
        found, self.buffer = self.buffer[:end], self.buffer[end:]
        return found

    def head(self) -> bytes:
        return self.until(b"\r\n\r\n")

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self.sock.recv(65536)
            assert data, f"ended before {size} bytes: {self.buffer!r}"
            self.buffer += data
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def response(self) -> tuple[bytes, bytes]:
        """A response with a Content-Length: its head and its body."""
        head = self.head()
        return head, self.exactly(int(value_of(head, b"content-length") or 0))

    def rest(self) -> bytes:
        """Everything until the other side closes; a reset ends it too."""
        while True:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                found, self.buffer = self.buffer, b""
                return found
            self.buffer += data

    def was_reset(self) -> bool:
        """Whether the connection ends with an error and not with an end of stream."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            return True
        return False

    def is_silent(self) -> bool:
        """Whether nothing is there to be read at this moment, not even the end."""
        return not self.buffer and not select.select([self.sock], [], [], 0)[0]

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close so that the other side sees an error."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()


def value_of(head: bytes, name: bytes) -> bytes | None:
    """The value of a field in a head, or None."""
    values = values_of(head, name)
    return values[0] if values else None


def values_of(head: bytes, name: bytes) -> list[bytes]:
    """The values of a field in a head."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:] if line]
    return [value.strip() for key, _, value in lines if key.lower() == name.lower()]


class Backend:
    """A listener whose connections a test accepts and answers itself."""

    def __init__(self, port: int = 0) -> None:
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(64)
        self.listener.settimeout(PATIENCE)
        self.port: int = self.listener.getsockname()[1]
        self.peers: list[Peer] = []

    def accept(self) -> Peer:
        """The next connection that carries something; the readiness gate's bare ones are passed over."""
        while True:
            sock, _ = self.listener.accept()
            peer = Peer(sock)
            self.peers.append(peer)
            if sock.recv(1, socket.MSG_PEEK):
                return peer

    def has_caller(self) -> bool:
        """Whether a connection waits to be accepted at this moment."""
        return bool(select.select([self.listener], [], [], 0)[0])

    def hang_up(self) -> None:
        for peer in self.peers:
            peer.close()
        self.peers.clear()

    def close(self) -> None:
        self.hang_up()
        self.listener.close()


class Proxy:
    """A proxy process."""

    def __init__(self, environ: dict[str, str], under: Sequence[str] = ()) -> None:
        """`under` is a command that runs it."""
        self.process = subprocess.Popen(
            [*under, sys.executable, "-c", SERVE],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors: list[str] = []
        self.output: list[str] = []
        self.clients: list[Peer] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors)),
            threading.Thread(target=self._read, args=(self.process.stdout, self.output)),
        ]
        for reader in self._readers:
            reader.start()
        self._port = 0

    @staticmethod
    def _read(stream: Iterator[str], lines: list[str]) -> None:
        for line in stream:
            lines.append(line)

    @property
    def port(self) -> int:
        if not self._port:
            self._port = int(self.logged("listening on ").split(" -> ")[0].rpartition(":")[2])
        return self._port

    def logged(self, text: str) -> str:
        """The first log line with `text`, once it is there."""
        return wait_for(lambda: next((line for line in list(self.errors) if text in line), ""), f"no {text!r} logged")

    def connect(self) -> Peer:
        peer = Peer(socket.create_connection(("127.0.0.1", self.port), PATIENCE))
        self.clients.append(peer)
        return peer

    def hang_up(self) -> None:
        for peer in self.clients:
            peer.close()
        self.clients.clear()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def close(self) -> None:
        self.hang_up()
        if self.process.poll() is None:
            self.terminate()
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            raise
        finally:
            for stream in (self.process.stdout, self.process.stderr):
                assert stream is not None
                stream.close()


def answer_everybody(listener: socket.socket) -> None:
    """Answer whatever comes, each connection in a thread of its own, until the listener is closed."""

    def answer(sock: socket.socket) -> None:
        with sock:
            try:
                while sock.recv(65536):
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            except OSError:
                pass

    listener.settimeout(None)
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(sock,), daemon=True).start()


def worker_of(proxy: Proxy) -> int:
    """The process id of the only worker."""
    (worker,) = Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children").read_text().split()
    return int(worker)


def wait_for(condition: Callable[[], object], otherwise: str) -> object:
    """The first true value of `condition`; fails with `otherwise` when patience ends."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.005)
    pytest.fail(otherwise)


def environment(backend_port: int, **settings: str) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LISTEN": "127.0.0.1:0",
        "UPSTREAM": f"http://127.0.0.1:{backend_port}",
        "DRAIN_TIMEOUT": "100ms",
        **settings,
    }
