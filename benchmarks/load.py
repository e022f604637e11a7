"""The load generator against wrk: the same connections to the same server, in turns.

    python -m benchmarks.load

The server answers after a known time, so that it and not the generator is what limits. Each generator keeps the same
number of connections busy (the closed loop): throughput must agree within 5 %, percentiles within wrk's resolution of
one millisecond. Needs wrk from the distribution's packages.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rounds import Contender, Figures, arguments, interleaved, keep, report, show
from pillion.compare.load import LoadJob, run_load

ROOT = Path(__file__).resolve().parent.parent
OURS, WRK = "pillion", "wrk"
PERCENTILES = ("p50", "p90", "p99")
THROUGHPUT_SHARE, RESOLUTION_MS = 0.05, 1.0
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def wrk_figures(text: str) -> dict[str, float]:
    """What `wrk --latency` says; percentiles in milliseconds. Raises ValueError if it is not that."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    found = re.findall(r"^\s+(50|90|99)%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    if rate is None or len(found) != len(PERCENTILES):
        raise ValueError(f"wrk said something else: {text}")
    return {
        "requests_per_s": float(rate[1]),
        **{f"p{at}_ms": float(number) * _UNITS[unit] for at, number, unit in found},
    }


def agreement(samples: dict[str, list[Figures]]) -> list[dict[str, Any]]:
    """By how much the medians of the two differ, and whether that is within what is asked for."""
    rows = []
    for figure in ("requests_per_s", *(f"{name}_ms" for name in PERCENTILES)):
        ours, wrk = (median(each[figure] for each in samples[name]) for name in (OURS, WRK))
        apart = abs(ours / wrk - 1) if figure == "requests_per_s" else abs(ours - wrk)
        most = THROUGHPUT_SHARE if figure == "requests_per_s" else RESOLUTION_MS
        rows.append({"figure": figure, "ours": ours, "wrk": wrk, "apart": apart, "at_most": most, "met": apart <= most})
    return rows


@contextmanager
def server(delay_ms: float) -> Iterator[int]:
    """The port of a server that answers after so long; stopped by its own process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.slow_server", str(port), str(delay_ms)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def _ours(port: int, connections: int, seconds: float) -> Figures:
    job = LoadJob(port=port, rate=1, duration_s=seconds, warmup_s=0.2, connections=connections, closed_loop=True)
    found = run_load(job)
    if found.failures:
        raise RuntimeError(f"{dict(found.failed)} failed")
    percentiles = found.latency.percentiles()
    return {"requests_per_s": found.rate, **{f"{name}_ms": percentiles[name] / 1000 for name in PERCENTILES}}


def _wrk(port: int, connections: int, seconds: float) -> Figures:
    words = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", f"http://127.0.0.1:{port}/"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return wrk_figures(done.stdout)


def main() -> int:
    """The command line; 1 where the two do not agree."""
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (%(default)g)")
    parser.add_argument("--delay", type=float, default=10, metavar="MS", help="of each answer (%(default)g)")
    parser.add_argument("--connections", type=int, default=16, help="kept busy (%(default)s)")
    given = parser.parse_args()
    with server(given.delay) as port:
        load = (port, given.connections, given.seconds)
        contenders = [Contender(OURS, lambda: _ours(*load)), Contender(WRK, lambda: _wrk(*load))]
        samples = interleaved(contenders, given.rounds, given.warm_up)
    about = {
        "server": f"answers after {given.delay:g} ms",
        "connections": given.connections,
        "processors": len(os.sched_getaffinity(0)),
    }
    rows = agreement(samples)
    document = {**report("load", samples, (), about), "agreement": rows}
    show(document)
    print()
    for row in rows:
        unit = "of wrk's" if row["figure"] == "requests_per_s" else "ms"
        verdict = "met" if row["met"] else "MISSED"
        print(f"  {row['figure']}: {row['apart']:.3f} {unit} apart, at most {row['at_most']:g}: {verdict}")
    keep(document, given, "load")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
