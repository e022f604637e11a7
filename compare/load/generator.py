"""The event loop that sends each request at its time and measures from that time, not from when it got to send it.

One thread, non-blocking sockets, epoll. To be precise to some microseconds it sleeps in `select` (microseconds; epoll's
own timeout has milliseconds) until shortly before the next request is due and spins only from there; the collector is
off, and all it writes is allocated before. Answers are awaited asleep: the one or two wake-ups of a request cost the
same in every layout, while a spinning generator would take the processor from the programs that it measures.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from array import array
from collections import deque
from dataclasses import dataclass
from typing import Any

from pillion.compare.load.job import LoadJob
from pillion.compare.load.mix import kinds
from pillion.compare.load.response import MalformedResponse, ResponseReader
from pillion.compare.load.tls import TlsSocket, trusting

NS = 1_000_000_000
SPIN_NS = 150_000  # most sleeps overshoot by 30 to 100 us; each 50 us more costs 5 % of a processor at 1,000 a second
LEAD_NS = 2_000_000  # from the start of the loop to time zero

PENDING, OK, CONNECT, TIMEOUT, RESET, STATUS, MALFORMED = range(7)
FAILURES = {CONNECT: "connect", TIMEOUT: "timeout", RESET: "reset", STATUS: "status", MALFORMED: "malformed"}

# RFC 9110 section 9.2.2
IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}

_BROKEN = select.EPOLLERR | select.EPOLLHUP
_NOTHING = memoryview(b"")
_BATCH = 8  # events between two looks at the schedule
clock = time.perf_counter_ns


@dataclass
class Record:
    """What happened to each request, by its number; times in nanoseconds.

    `latency` runs from the intended send time to the last byte of the answer and is 0 unless the outcome is OK. `lag`
    is how much after its due time the loop got to the request, the generator's own lateness, whether or not a
    connection was free then. `queued` is 1 where none was. `sends` counts how often it was sent.
    `start_ns` is time zero on the machine's monotonic clock.
    """

    outcome: bytearray
    latency: array[int]
    lag: array[int]
    queued: bytearray
    sends: bytearray
    status: array[int]
    peak_connections: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    start_ns: int = 0

    @classmethod
    def empty(cls, count: int) -> Record:
        """A record of `count` requests of which nothing is known yet."""
        zeros = bytes(8 * count)
        times = (array("q", zeros), array("q", zeros))
        return cls(bytearray(count), *times, bytearray(count), bytearray(count), array("H", bytes(2 * count)))


@dataclass(eq=False)
class _Connection:
    sock: socket.socket | TlsSocket
    reader: ResponseReader
    request: int = -1  # the number of the request under way; -1 when idle
    unsent: memoryview = _NOTHING
    wanted: int = select.EPOLLIN
    connected: bool = False
    reused: bool = False


def _place(job: LoadJob) -> tuple[int, Any]:
    """Family and address."""
    if job.socket:
        return socket.AF_UNIX, job.socket
    return (socket.AF_INET6 if ":" in job.host else socket.AF_INET), (job.host, job.port)


class Generator:
    """One run of `job`, its requests due at `due` (ascending nanoseconds)."""

    def __init__(self, job: LoadJob, due: array[int]) -> None:
        self._job = job
        self._due = due
        self._requests = [memoryview(request) for request in job.requests()]
        self._methods = [target.method for target in job.mix]
        self._kinds = kinds(job, len(due))
        self._timeout = int(job.timeout_s * NS)
        self._family, self._where = _place(job)
        self._tls = trusting(job.certificate) if job.certificate else None
        self._record = Record.empty(len(due))
        self._epoll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._idle: list[_Connection] = []
        self._queue: deque[int] = deque()
        self._buffer = memoryview(bytearray(256 * 1024))
        self._start = 0
        self._finished = 0

    def run(self) -> Record:
        """Send everything, wait for every answer or its timeout, and close every connection."""
        gc.collect()
        gc.freeze()
        gc.disable()
        began, cpu = clock(), time.process_time_ns()
        try:
            self._start = began + LEAD_NS
            self._loop()
        finally:
            self._record.start_ns = self._start
            self._record.wall_s = (clock() - began) / NS
            self._record.cpu_s = (time.process_time_ns() - cpu) / NS
            for connection in list(self._connections.values()):
                self._close(connection)
            self._epoll.close()
            gc.enable()
            gc.unfreeze()
        return self._record

    @property
    def due(self) -> array[int]:
        """When each request was to be sent, in nanoseconds from the start."""
        return self._due

    def _loop(self) -> None:
        due, outcome, timeout, count = self._due, self._record.outcome, self._timeout, len(self._due)
        upcoming = oldest = 0  # the next request to send, the oldest that is not finished
        while self._finished < count:
            now = clock() - self._start
            while upcoming < count and due[upcoming] <= now:
                self._dispatch(upcoming)
                upcoming += 1
            while oldest < upcoming and (outcome[oldest] or due[oldest] + timeout <= now):
                if not outcome[oldest]:
                    self._give_up(oldest)
                oldest += 1
            until = due[upcoming] if upcoming < count else due[-1] + timeout
            if oldest < upcoming:
                until = min(until, due[oldest] + timeout)
            if self._finished < count:
                self._wait(until)

    def _wait(self, until: int) -> None:
        """Until `until` or until something has happened on a connection."""
        sleep = until - (clock() - self._start) - SPIN_NS
        if sleep > 0:
            if not select.select((self._epoll,), (), (), sleep / NS)[0]:
                return
            events = self._epoll.poll(0, _BATCH)
        else:
            while not (events := self._epoll.poll(0, _BATCH)):
                if clock() - self._start >= until:
                    return
        for descriptor, event in events:
            self._ready(self._connections[descriptor], event)
        self._refill()

    def _dispatch(self, request: int) -> None:
        self._record.lag[request] = clock() - self._start - self._due[request]
        if self._idle:
            self._send(self._idle.pop(), request)
        elif len(self._connections) < self._job.connections:
            self._send(self._open(), request)
        else:
            self._record.queued[request] = 1
            self._queue.append(request)

    def _open(self) -> _Connection:
        sock = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if self._family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect_ex(self._where)  # how it went is told by the first send
        secured = sock if self._tls is None else TlsSocket(sock, self._tls)
        connection = _Connection(secured, ResponseReader(self._methods[0]))
        self._connections[sock.fileno()] = connection
        self._epoll.register(sock, connection.wanted)
        self._record.peak_connections = max(self._record.peak_connections, len(self._connections))
        return connection

    def _close(self, connection: _Connection) -> None:
        del self._connections[connection.sock.fileno()]
        connection.sock.close()  # which takes it off epoll too
        connection.reader.close()

    def _send(self, connection: _Connection, request: int) -> None:
        connection.request = request
        kind = self._kinds[request]
        connection.unsent = self._requests[kind]
        connection.reader.start(self._methods[kind])
        self._record.sends[request] += 1
        self._continue(connection)

    def _continue(self, connection: _Connection) -> None:
        """Send what is left of the request, as far as the socket takes it."""
        more = True
        try:
            while more:
                sent = connection.sock.send(connection.unsent)
                connection.connected = connection.connected or sent > 0
                connection.unsent = connection.unsent[sent:]
                more = self._tls is not None and len(connection.unsent) > 0
        except BlockingIOError:
            pass
        except OSError:
            if connection.connected:  # a server that refuses a long body answers, and closes, before it has all of it
                self._receive(connection)
            else:
                self._lose(connection)
            return
        waits = connection.sock.unsent if isinstance(connection.sock, TlsSocket) else bool(connection.unsent)
        wanted = select.EPOLLIN | select.EPOLLOUT if waits else select.EPOLLIN
        if connection.wanted != wanted:
            connection.wanted = wanted
            self._epoll.modify(connection.sock, wanted)

    def _ready(self, connection: _Connection, event: int) -> None:
        if connection.request < 0:  # closed by the server, or bytes that nobody asked for
            self._idle.remove(connection)
            self._close(connection)
        elif not connection.connected and event & _BROKEN:
            self._lose(connection)
        elif event & (select.EPOLLIN | _BROKEN):
            self._receive(connection)
        else:
            self._continue(connection)

    def _receive(self, connection: _Connection) -> None:
        while self._receive_once(connection) and self._tls is not None:
            pass  # what OpenSSL holds, epoll knows nothing of

    def _receive_once(self, connection: _Connection) -> bool:
        """Whether there may be more of the answer."""
        reader = connection.reader
        try:
            size = connection.sock.recv_into(self._buffer)
        except BlockingIOError:
            if self._tls is not None and not connection.connected:  # it was the handshake's
                self._continue(connection)
            return False
        except OSError:
            self._lose(connection)
            return False
        at = clock() - self._start
        try:
            complete = reader.feed(self._buffer[:size]) if size else reader.end()
        except MalformedResponse:
            self._finish(connection, MALFORMED, at)
            return False
        if complete:
            self._record.status[connection.request] = reader.status
            expected = self._job.expect_status
            good = reader.status == expected if expected else reader.status < 400
            self._finish(connection, OK if good else STATUS, at)
            return False
        if not size:
            self._lose(connection)
        return size > 0

    def _lose(self, connection: _Connection) -> None:
        """The connection ended before the answer: resend where any client would (RFC 9112 section 9.3.1), or fail."""
        request = connection.request
        if connection.reused and not connection.reader.begun and self._is_idempotent(request):
            self._close(connection)
            self._send(self._open(), request)
        else:
            self._finish(connection, RESET if connection.connected else CONNECT, 0)

    def _is_idempotent(self, request: int) -> bool:
        return self._methods[self._kinds[request]] in IDEMPOTENT

    def _finish(self, connection: _Connection, outcome: int, at: int) -> None:
        request = connection.request
        latency = at - self._due[request]
        if outcome in (OK, STATUS) and latency > self._timeout:
            outcome = TIMEOUT  # the loop came late to what had timed out: the same as if it had not
        self._settle(request, outcome, latency)
        whole = outcome in (OK, STATUS) and not connection.unsent and self._job.keep_alive
        if whole and connection.reader.keep_alive:
            connection.request = -1
            connection.reused = True
            if self._queue:
                self._send(connection, self._queue.popleft())
            else:
                self._idle.append(connection)
        else:
            self._close(connection)

    def _settle(self, request: int, outcome: int, latency: int = 0) -> None:
        self._record.outcome[request] = outcome
        if outcome == OK:
            self._record.latency[request] = latency
        self._finished += 1

    def _give_up(self, request: int) -> None:
        """The request's time is over, sent or not; its connection cannot be used again."""
        for connection in self._connections.values():
            if connection.request == request:
                self._finish(connection, TIMEOUT, 0)
                self._refill()
                return
        self._queue.remove(request)
        self._settle(request, TIMEOUT)

    def _refill(self) -> None:
        """Where connections are gone, open others for the requests that have waited longest."""
        while self._queue and len(self._connections) < self._job.connections:
            self._send(self._open(), self._queue.popleft())
