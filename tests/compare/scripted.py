"""Servers that do, on purpose, everything a server can do, and load on them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pillion.compare.load import LoadJob, LoadResult
from pillion.compare.load.closed import ClosedLoop
from pillion.compare.load.generator import Generator
from pillion.compare.load.result import summarise
from pillion.compare.load.schedule import due_times

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

# Given the number of the request on the server and on its connection (from 0) and the request: what to answer.
# None closes, `...` never answers.
Script = Callable[[int, int, bytes], Any]


class ScriptedServer:
    """One thread a connection; counts what it saw. A script that returns (answer, True) closes after the answer."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.connections = 0
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with self._lock:
                    self.connections += 1
                    self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        turn = 0
        with suppress(OSError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while request := _read_request(connection):
                with self._lock:
                    number = len(self.requests)
                    self.requests.append(request)
                answer = self._script(number, turn, request)
                turn += 1
                answer, then_close = answer if isinstance(answer, tuple) else (answer, answer is None)
                if answer is ...:
                    connection.recv(1)
                elif answer:
                    connection.sendall(answer)
                if then_close:
                    return

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    _, _, after = head.partition(b"Content-Length: ")
    length = int(after.split(b"\r\n")[0] or 0) if after else 0
    parts = [body]
    while length > sum(map(len, parts)):
        parts.append(connection.recv(65536))
    return head + b"\r\n\r\n" + b"".join(parts)


def load(port: int, rate: float = 100, duration_s: float = 0.3, **fields: Any) -> LoadResult:
    job = LoadJob(port=port, rate=rate, duration_s=duration_s, **fields)
    if job.closed_loop:
        generator: Generator = ClosedLoop(job)
    else:
        generator = Generator(job, due_times(job.arrivals, job.rate, job.warmup_s + job.duration_s, job.seed))
    record = generator.run()
    result = summarise(job, generator.due, record)
    assert result.requests == result.latency.count + result.failures - result.failed["timeout"]
    assert LoadResult.from_json(result.to_json()).to_json() == result.to_json()
    return result


def failed(result: LoadResult) -> dict[str, int]:
    return {kind: count for kind, count in result.failed.items() if count}


Serve = Callable[[Script], ScriptedServer]
