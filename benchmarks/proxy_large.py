"""The worker's memory while 1 GiB passes through the proxy to a slow reader, down and up.

    python -m benchmarks.proxy_large

The sender writes as fast as it may; the reader pauses after every 64 MiB. Of known length (moved inside the kernel) and
chunked (through the worker's hands). The figure is the most memory (PSS) of the proxy's processes on the way, over what
they had before.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from contextlib import ExitStack, closing
from functools import partial

from benchmarks.proxies import ours_alone
from benchmarks.proxy_connections import memory
from benchmarks.rounds import Contender, Figures, Reach, arguments, interleaved, keep, report, show

MIB = 1024**2
BLOCK = b"\0" * MIB
WAYS = {
    f"{way}, {how}": (way == "up", how == "chunked") for way in ("down", "up") for how in ("known length", "chunked")
}


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", 1)
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="of the body (%(default)s)")
    parser.add_argument("--pause", type=float, default=0.2, metavar="S", help="after every 64 MiB (%(default)s)")
    given = parser.parse_args()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        process = ours_alone(stack, listener.getsockname()[1])
        contenders = [
            Contender(name, partial(measure, process.port, process.pid, listener, up, chunked, given.size, given.pause))
            for name, (up, chunked) in WAYS.items()
        ]
        samples = interleaved(contenders, given.rounds, given.warm_up)
    reaches = [Reach(name, "grown_MiB", 8) for name in WAYS]
    document = report("proxy_large", samples, reaches, {"body": f"{given.size} MiB", "pause": f"{given.pause} s"})
    show(document)
    keep(document, given, "proxy_large")
    return 0


def measure(port: int, pid: int, listener: socket.socket, up: bool, chunked: bool, size: int, pause: float) -> Figures:
    """One body of `size` MiB."""
    framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % (size * MIB)
    with closing(socket.create_connection(("127.0.0.1", port), 60)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\n" + framing if up else b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        with closing(accepted(listener)) as backend:
            if not up:
                head(backend)
                backend.sendall(b"HTTP/1.1 200 OK\r\n" + framing)
            source, sink = (client, backend) if up else (backend, client)
            before = memory(pid)
            sending = threading.Thread(target=send, args=(source, size, chunked))
            sending.start()
            began = time.monotonic()
            most = take(sink, size, pause, pid)
            seconds = time.monotonic() - began
            sending.join(60)
    return {"seconds": seconds, "grown_MiB": max(0, most - before) / MIB}


def accepted(listener: socket.socket) -> socket.socket:
    """The next connection with something on it: the readiness gate's bare ones are closed."""
    listener.settimeout(60)
    while True:
        sock, _ = listener.accept()
        sock.settimeout(60)
        if sock.recv(1, socket.MSG_PEEK):
            return sock
        sock.close()


def head(sock: socket.socket) -> None:
    """Take in a head, byte by byte."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += sock.recv(1)


def send(sock: socket.socket, size: int, chunked: bool) -> None:
    """`size` MiB, as fast as they go."""
    for _ in range(size):
        sock.sendall(b"%x\r\n%b\r\n" % (MIB, BLOCK) if chunked else BLOCK)
    if chunked:
        sock.sendall(b"0\r\n\r\n")


def take(sock: socket.socket, size: int, pause: float, pid: int) -> int:
    """Read a head and `size` MiB, slowly; the most memory that was seen of the process."""
    head(sock)
    most = taken = 0
    look = 64 * MIB
    while taken < size * MIB:
        data = sock.recv(MIB)
        if not data:
            raise RuntimeError(f"the body ended after {taken} bytes")
        taken += len(data)
        if taken >= look:
            look += 64 * MIB
            time.sleep(pause)
            most = max(most, memory(pid))
    return most


if __name__ == "__main__":
    sys.exit(main())
