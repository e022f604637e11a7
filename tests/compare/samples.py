"""Rounds made up for tests of what is said of them."""

from __future__ import annotations

from pillion.compare.histogram import Histogram
from pillion.compare.load import GeneratorHealth, LoadResult
from pillion.compare.machine import Conditions
from pillion.compare.result import Sample


def sample(
    latency_us: int,
    memory: float = 2**20,
    cpu_s: float = 0.5,
    count: int = 100,
    failed: int = 0,
    late: float = 0.0,
    conditions: Conditions | None = None,
) -> Sample:
    """A round in which every request took the same time."""
    load = LoadResult(
        latency=Histogram.of([latency_us] * count),
        requests=count,
        failed={"reset": failed},
        statuses={"200": count - failed},
        rate=50.0,
        queued=0,
        unsent=0,
        resent=0,
        offered_rate=50.0,
        generator=GeneratorHealth(late, {"p50": 1.0, "p99": 2.0, "max": 3.0}, 0.1, 1.0, 3),
    )
    return Sample(load, int(memory), cpu_s, 3, 0.25, 0.1, conditions=conditions)
