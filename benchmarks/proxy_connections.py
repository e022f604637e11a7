"""What idle keep-alive connections cost a proxy: memory of each, and the throughput of the busy ones beside them.

    python -m benchmarks.proxy_connections

10,000 clients have had an answer and keep their connection. Memory is the growth of the proxy's own processes since
they were new (PSS: the kernel's part of a socket is the same for all). Throughput is wrk's, small GETs on 32 other
connections, with the idle ones over the same without them, in one round.
"""

from __future__ import annotations

import resource
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.measured import run
from benchmarks.proxies import LOAD_PROCESSOR, NGINX, NONE, OURS, processes_of, start
from benchmarks.proxies import Contender as Process
from benchmarks.rounds import Contender, Figures, Reach, arguments, interleaved, keep, report, show

REACHES = (Reach(OURS, "KiB_a_connection", 16), Reach(OURS, "slowdown", 1 / 0.9))


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", 3)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (%(default)s)")
    parser.add_argument("--connections", type=int, default=10_000, help="idle ones (%(default)s)")
    given = parser.parse_args()
    enough = given.connections + 1000
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, max(enough, most)))
    with tempfile.TemporaryDirectory(prefix="pillion-bench-") as folder, ExitStack() as stack:
        processes = start(
            Path(folder),
            stack,
            lambda name: name in (OURS, NGINX),
            MAX_CONNECTIONS=str(enough),
            KEEPALIVE_TIMEOUT="600",
        )
        contenders = [
            Contender(each.name, partial(measure, each, memory(each.pid), given.connections, given.seconds))
            for each in processes
            if each.name != NONE
        ]
        samples = interleaved(contenders, given.rounds, given.warm_up)
    document = report("proxy_connections", samples, REACHES, {"idle connections": given.connections})
    show(document)
    keep(document, given, "proxy_connections")
    return 0


def measure(process: Process, before: int, connections: int, seconds: float) -> Figures:
    """One round: alone, then with the idle ones there. `before` is the memory of the process when it was new."""
    alone = throughput(process.port, seconds)
    with ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", process.port), 30)) for _ in range(connections)
        ]
        for each in idle:
            each.sendall(b"GET /small HTTP/1.1\r\nHost: h\r\n\r\n")
            if not (answer := each.recv(4096)).startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{process.name} answered {answer!r}")
        grown = memory(process.pid) - before
        beside = throughput(process.port, seconds)
    settle(process, connections)
    return {
        "requests_per_s": alone,
        "with_idle_ones": beside,
        "slowdown": alone / beside,
        "KiB_a_connection": grown / connections / 1024,
    }


def throughput(port: int, seconds: float) -> float:
    """Requests a second, small GETs on 32 connections."""
    said = run(
        "taskset", "-c", LOAD_PROCESSOR, "wrk", "-t1", "-c32", f"-d{max(1, round(seconds))}",
        f"http://127.0.0.1:{port}/small",
    )  # fmt: skip
    return float(said.partition("Requests/sec:")[2].split()[0])


def memory(pid: int) -> int:
    """Bytes (PSS) of a process and its children."""
    total = 0
    for each in processes_of(pid):
        rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
        total += int(rollup.partition("\nPss:")[2].split()[0]) * 1024
    return total


def settle(process: Process, connections: int) -> None:
    """Wait until the proxy has closed what the clients have closed."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        held = sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in processes_of(process.pid))
        if held < connections:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.name} still holds {held} descriptors")


if __name__ == "__main__":
    sys.exit(main())
