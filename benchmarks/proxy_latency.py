"""What a proxy adds to a request's latency at a steady rate, beside nginx and HAProxy.

    python -m benchmarks.proxy_latency

Open loop at 1,000 small GETs a second: latency runs from the intended send time. One processor for the proxy, the other
for the load generator of `pillion compare` and a static nginx as backend. What is added is a percentile of the round
through the proxy less the same percentile of the same round without one.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.proxies import HAPROXY, LOAD_PROCESSOR, NGINX, NONE, OURS, start
from benchmarks.proxies import Contender as Process
from benchmarks.rounds import Contender, Figures, Reach, arguments, interleaved, keep, report, show
from pillion.compare.load import LoadJob, run_load

RATE = 1000  # requests per second
REACHES = (Reach(OURS, "added_p50_us", 2, peer=NGINX), Reach(OURS, "added_p99_us", 2, peer=NGINX))


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", 10)
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement (%(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pillion-bench-") as folder, ExitStack() as stack:
        processes = start(Path(folder), stack, lambda name: name in (OURS, NGINX, HAPROXY))
        contenders = [Contender(each.name, partial(measure, each, given.seconds)) for each in processes]
        samples = interleaved(contenders, given.rounds, given.warm_up)
    about = {"load": f"open loop, {RATE} small GETs a second, {given.seconds:g} s a round"}
    document = report("proxy_latency", with_added(samples), REACHES, about)
    show(document)
    keep(document, given, "proxy_latency")
    return 0


def measure(process: Process, seconds: float) -> Figures:
    """One run; microseconds."""
    done = run_load(
        LoadJob(
            port=process.port,
            rate=RATE,
            duration_s=seconds,
            path="/small",
            warmup_s=0.5,
            connections=32,
            expect_status=200,
            cpus=(int(LOAD_PROCESSOR),),
        )
    )
    found = done.latency.percentiles()
    return {"p50_us": found["p50"], "p99_us": found["p99"], "failed": done.failures}


def with_added(samples: dict[str, list[Figures]]) -> dict[str, list[Figures]]:
    """Each round's figures, with what was added to those of no proxy in the same round."""
    return {
        name: [
            {**each, **{f"added_{key}": each[key] - bare[key] for key in ("p50_us", "p99_us") if name != NONE}}
            for each, bare in zip(rounds, samples[NONE], strict=True)
        ]
        for name, rounds in samples.items()
    }


if __name__ == "__main__":
    sys.exit(main())
