"""The proxy against nginx, HAProxy, aiohttp on uvloop, a WSGI proxy on requests, a bare gevent byte pump, and nothing.

    python -m benchmarks.proxy

One processor for the proxy, the other for wrk and a static nginx as backend; all contenders run at once, one is asked
at a time, interleaved. Two figures of each: requests per second, which need a quiet machine, and the processor time of
the proxy's own processes per request, which needs less of one. Needs wrk, nginx and haproxy from the distribution's
packages; aiohttp, uvloop and requests are installed into a venv of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.proxies import (
    AIOHTTP,
    HAPROXY,
    HAPROXY_TUNED,
    LOAD_PROCESSOR,
    LOGGED,
    NGINX,
    NONE,
    OURS,
    PUMP,
    REQUESTS,
    UNIX,
    Contender,
    cpu_seconds,
    start,
)


class Load(NamedTuple):
    """What wrk asks for: a path, on so many connections, with a script for what is not a plain GET."""

    name: str
    path: str
    connections: int
    script: str = ""


LOADS = (
    Load("small GET", "/small", 32),
    Load(
        "small GET, other fields each time",
        "/small",
        32,
        'local n = 0 request = function() n = n + 1 return wrk.format(nil, nil, {["Host"] = "h", ["X-Request-Id"] = '
        '"4bf92f3577b34da6a3ce929d0e0e" .. n, ["Accept"] = "*/*", ["User-Agent"] = "wrk"}) end',
    ),
    Load("1 MiB response", "/large", 8),
    Load("1 MiB upload", "/upload", 8, 'wrk.method = "POST" wrk.body = string.rep("a", 1048576)'),
)
# What is to be reached: ours is at least so many times the peer's requests per second.
REACHES = (
    (OURS, PUMP, "small GET", 0.85),
    (OURS, NGINX, "small GET", 0.5),
    (OURS, AIOHTTP, "small GET", 3),
    (OURS, REQUESTS, "small GET", 20),
    (LOGGED, OURS, "small GET", 0.8),
    (UNIX, OURS, "small GET", 1.1),
    (OURS, HAPROXY, "1 MiB response", 1.5),
    (OURS, HAPROXY_TUNED, "1 MiB response", 1),
    (OURS, HAPROXY, "1 MiB upload", 1),
)


class Sample(NamedTuple):
    """One round. `cpu_us` is the proxy's processor time per request, in microseconds."""

    requests_per_s: float
    cpu_us: float
    failed: int


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="after a warm-up (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (%(default)s)")
    parser.add_argument("--tree", metavar="DIR", help="another checkout of this repository, to be measured beside ours")
    parser.add_argument("--only", metavar="TEXT", default="", help="contenders with this in their name, and ours")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep every figure")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pillion-bench-") as folder, ExitStack() as stack:
        contenders = start(Path(folder), stack, lambda name: given.only in name or name in (OURS, NONE), given.tree)
        samples = interleaved(contenders, given.rounds, given.seconds, Path(folder))
    document = report(samples)
    show(document)
    if given.json is not None:
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


# Measuring


def interleaved(
    contenders: Sequence[Contender], rounds: int, seconds: float, work: Path
) -> dict[str, dict[str, list[Sample]]]:
    """By load and contender. The first of a round changes; a first round, which warms up, is dropped."""
    samples: dict[str, dict[str, list[Sample]]] = {
        load.name: {each.name: [] for each in contenders} for load in LOADS
    }  # fmt: skip
    for at in range(-1, rounds):
        turn = at % len(contenders)
        for load in LOADS:
            for each in (*contenders[turn:], *contenders[:turn]):
                sample = measure(each, load, seconds if at >= 0 else 0.5, work)
                if at >= 0:
                    samples[load.name][each.name].append(sample)
                sys.stderr.write(f"round {at + 1}: {load.name}: {each.name}: {sample}\n")
    return samples


def measure(contender: Contender, load: Load, seconds: float, work: Path) -> Sample:
    script = work / "load.lua"
    script.write_text(load.script)
    before = cpu_seconds(contender.pid)
    done = subprocess.run(
        ["taskset", "-c", LOAD_PROCESSOR, "wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}",
         "-s", str(script), f"http://127.0.0.1:{contender.port}{load.path}"],
        capture_output=True, text=True, check=True, timeout=seconds + 30,
    )  # fmt: skip
    used = cpu_seconds(contender.pid) - before
    requests = int(re.findall(r"(\d+) requests in", done.stdout)[0])
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", done.stdout)[0])
    failed = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", done.stdout)))
    for counts in re.findall(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done.stdout):
        failed += sum(map(int, counts))
    return Sample(rate, used * 1e6 / max(1, requests), failed)


# Reporting


def report(samples: dict[str, dict[str, list[Sample]]]) -> dict[str, Any]:
    """Every figure, and what is to be reached: ratios of the same round, their median and spread."""
    reaches = []
    for name, peer, load, least in REACHES:
        ours, theirs = samples[load].get(name), samples[load].get(peer)
        if ours and theirs:
            pairs = list(zip(ours, theirs, strict=True))
            rates = [one.requests_per_s / other.requests_per_s for one, other in pairs]
            costs = [other.cpu_us / one.cpu_us for one, other in pairs if one.cpu_us and other.cpu_us]
            reaches.append(
                {"ours": name, "peer": peer, "load": load, "least": least, "rates": rates, "by_processor_time": costs}
            )
    return {
        "benchmark": "proxy",
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"processors": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "load_average_at_end": os.getloadavg()[0],
        "samples": {
            load: {name: [each._asdict() for each in rounds] for name, rounds in by_name.items()}
            for load, by_name in samples.items()
        },
        "reaches": reaches,
    }


def show(document: dict[str, Any]) -> None:
    """A table for each load, and one of what is to be reached."""
    for load, by_name in document["samples"].items():
        _say(f"\n{load}")
        _say(f"  {'':40}{'requests/s':>12}{'spread':>18}{'CPU us/request':>16}{'spread':>18}{'failed':>8}")
        for name, rounds in by_name.items():
            rates, costs = ([each[key] for each in rounds] for key in ("requests_per_s", "cpu_us"))
            failed = sum(each["failed"] for each in rounds)
            _say(f"  {name:40}{_of(rates, 0):>30}{_of(costs, 1) if any(costs) else '':>34}{failed or '':>8}")
    _say(f"\n{'to be reached, as ratios of the same round':70}{'requests/s':>24}{'by CPU time':>24}{'at least':>10}")
    for each in document["reaches"]:
        what = f"{each['ours']} / {each['peer']}, {each['load']}"
        by_time = _of(each["by_processor_time"], 2) if each["by_processor_time"] else ""
        _say(f"  {what:68}{_of(each['rates'], 2):>24}{by_time:>24}{each['least']:>10g}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _of(values: Sequence[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
