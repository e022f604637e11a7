"""What the worker holds: memory, descriptors, processor time, and who waits for whom."""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from proxy_peers import PATIENCE, SERVE, Peer, answer_everybody, environment, wait_for, worker_of

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1024**2


def resident(pid: int) -> int:
    """Bytes of memory that are the process's own."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def push(peer: Peer, size: int) -> int:
    """Send zeros until `size` bytes are gone or the other side takes no more for a moment; how many went."""
    sent, block = 0, b"\0" * 65536
    while sent < size and select.select([], [peer.sock], [], 0.3)[1]:
        sent += peer.sock.send(block[: size - sent], socket.MSG_DONTWAIT)
    return sent


def pull(peer: Peer, size: int) -> None:
    """Take in `size` bytes without keeping them."""
    size -= len(peer.buffer)
    peer.buffer = b""
    while size:
        data = peer.sock.recv(min(size, MIB))
        assert data, f"ended {size} bytes early"
        size -= len(data)


def framed(chunked: bool, size: int) -> tuple[bytes, int]:
    """The end of a head for a body of `size` zeros, and how many bytes follow it. As chunks: one of them."""
    if chunked:
        start = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size
        return start, size
    return b"Content-Length: %d\r\n\r\n" % size, size


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("up", [False, True])
def test_a_slow_reader_holds_up_the_sender_and_costs_no_memory(start_proxy, backend, up, chunked):
    """F8: of 256 MiB no more goes in than kernel buffers hold while nobody reads; then all arrives, memory flat."""
    size = 256 * MIB
    proxy = start_proxy()
    worker = worker_of(proxy)
    client = proxy.connect()
    head, size = framed(chunked, size)
    if up:
        client.send(POST, head)
        peer = backend.accept()
        peer.head()
        source, sink = client, peer
    else:
        client.send(GET)
        peer = backend.accept()
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n", head)
        client.head()
        source, sink = peer, client
    if chunked:
        sink.until(b"\r\n")
    before = resident(worker)
    sent = push(source, size)
    assert sent < 48 * MIB
    rest = threading.Thread(target=lambda: [source.sock.sendall(b"\0" * MIB) for _ in range((size - sent) // MIB)])
    rest.start()
    pull(sink, (size - sent) // MIB * MIB + sent)
    rest.join()
    assert resident(worker) - before < 8 * MIB


HOSTILE = [
    b"GET / HTTP/1.1\r\nHost: h\r\n",
    b"\0" * 100,
    POST + b"Content-Length: 10\r\n\r\nabc",
    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    GET + b"GET / HT",
    GET,
    b"",
]


def test_hostile_connections_leave_nothing(start_proxy, backend):
    """F15: after thousands of broken, half and abandoned requests no descriptor is left, and little memory."""
    threading.Thread(target=answer_everybody, args=(backend.listener,), daemon=True).start()
    proxy = start_proxy(HALF_CLOSED_TIMEOUT="50ms", HEAD_TIMEOUT="1", POOL_IDLE_TIMEOUT="50ms")
    worker = worker_of(proxy)

    def attack(times: int) -> None:
        for at in range(times):
            with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as sock:
                sock.sendall(HOSTILE[at % len(HOSTILE)])
                if at % 2:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    attack(500)
    quiet = wait_for(lambda: settled(worker), "descriptors stay open")
    memory = resident(worker)
    attack(3000)
    wait_for(lambda: descriptors(worker) <= quiet, "descriptors stay open")
    assert resident(worker) - memory < 8 * MIB


def settled(worker: int) -> int:
    """The number of open descriptors, once that no longer changes."""
    before = descriptors(worker)
    threading.Event().wait(0.3)
    return before if descriptors(worker) == before else 0


def test_an_access_log_that_nobody_reads_costs_lines_and_no_requests(backend):
    """S17: standard output is a full pipe; requests are served, signals too, and what was dropped is counted."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        env=environment(backend.port, ACCESS_LOG="json"),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    try:
        assert process.stderr is not None
        port = int(process.stderr.readline().split(" -> ")[0].rpartition(":")[2])
        assert "backend ready" in process.stderr.readline()
        client = Peer(socket.create_connection(("127.0.0.1", port), PATIENCE))
        client.send(GET)
        peer = backend.accept()
        for at in range(50):
            peer.head()
            peer.send(OK)
            assert client.response()[1] == b"ok"
            client.send(b"GET /" + b"x" * 500 + b"%d HTTP/1.1\r\nHost: h\r\n\r\n" % at)
        peer.head()
        client.close()
        process.terminate()
        assert process.wait(PATIENCE) == 0
        os.set_blocking(reading, False)
        logged = os.read(reading, 65536)[4096:]
        assert all(json.loads(line)["status"] == 200 for line in logged.splitlines())
    finally:
        os.close(reading)
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_a_log_that_nobody_reads_costs_lines_and_no_requests(backend):
    """S17: the same of standard error, with clients that have a line written for each of their requests."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], env=environment(backend.port, LISTEN=f"127.0.0.1:{port}"), stderr=writing
    )
    os.close(writing)
    try:
        wait_for(lambda: answers(port), "it does not answer")
        for _ in range(200):
            assert answers(port)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        os.close(reading)
        if process.poll() is None:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            sock.sendall(b"no request\r\n\r\n")
            return sock.recv(12) == b"HTTP/1.1 400"
    except OSError:
        return False


def test_a_full_backlog_of_a_unix_socket_is_waited_for_without_spinning(start_proxy, backend, tmp_path):
    """The kernel says EAGAIN and offers nothing to wait for; when there is room, the request goes through."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "u"))
        listener.listen(0)
        listener.settimeout(PATIENCE)
        proxy = start_proxy(UPSTREAM=f"unix:{tmp_path / 'u'}", CONNECT_TIMEOUT="30")
        worker = worker_of(proxy)
        listener.accept()[0].close()  # the readiness gate's
        fillers = []
        while True:
            filler = socket.socket(socket.AF_UNIX)
            filler.setblocking(False)
            fillers.append(filler)
            if filler.connect_ex(str(tmp_path / "u")):
                break
        client = proxy.connect()
        before = processor_seconds(worker)
        client.send(GET)
        client.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        assert processor_seconds(worker) - before < 0.5
        client.sock.settimeout(PATIENCE)
        while True:
            sock, _ = listener.accept()
            if select.select([sock], [], [], 0.1)[0] and sock.recv(4, socket.MSG_PEEK) == b"GET ":
                break
            sock.close()
        Peer(sock).send(OK)
        assert client.response()[1] == b"ok"
        sock.close()
        for filler in fillers:
            filler.close()


def test_a_full_backlog_of_a_unix_socket_is_a_timeout_in_the_end(start_proxy, backend, tmp_path):
    """CONNECT_TIMEOUT: 504."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "u"))
        listener.listen(0)
        listener.settimeout(PATIENCE)
        proxy = start_proxy(UPSTREAM=f"unix:{tmp_path / 'u'}", CONNECT_TIMEOUT="0.1")
        with socket.socket(socket.AF_UNIX) as filler:
            filler.setblocking(False)
            filler.connect_ex(str(tmp_path / "u"))
            client = proxy.connect()
            client.send(GET)
            assert client.head().startswith(b"HTTP/1.1 504 ")
