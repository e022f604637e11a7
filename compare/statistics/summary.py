"""From the samples of the rounds to one summary a layout (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from pillion.compare.histogram import Histogram
from pillion.compare.result import Comparison, Sample


class Spread(NamedTuple):
    """The median of the rounds, and the least and greatest of them."""

    median: float
    least: float
    greatest: float


class Summary(NamedTuple):
    """One layout over all rounds.

    `latency` merges every round's histogram; `percentiles` says how each percentile, in microseconds, differed between
    rounds. `failed` counts requests, `failures` by kind; `rate` is good answers per second; memory in bytes;
    `late_share` is the part of the requests that the load generator itself sent more than 100 us late. The last two are
    None where there are no containers.
    """

    latency: Histogram
    percentiles: dict[str, Spread]
    requests: int
    failed: int
    failures: Mapping[str, int]
    rate: Spread
    memory_bytes: Spread
    cpu_s_per_1000: Spread
    processes: Spread
    ready_s: Spread
    late_share: float
    cgroup_bytes: Spread | None = None
    engine_bytes: Spread | None = None


def spread(values: Sequence[float]) -> Spread:
    """Median, least and greatest of at least one value."""
    return Spread(median(values), min(values), max(values))


def summarise(samples: Sequence[Sample]) -> Summary:
    """The summary of one layout's rounds, of which there is at least one."""
    loads = [sample.load for sample in samples]
    by_round = [load.latency.percentiles() for load in loads]
    requests = sum(load.requests for load in loads)
    late = sum(load.generator.late_share * load.requests for load in loads)
    return Summary(
        latency=Histogram.merged(load.latency for load in loads),
        percentiles={name: spread([found[name] for found in by_round]) for name in by_round[0]},
        requests=requests,
        failed=sum(load.failures for load in loads),
        failures=sum((Counter(load.failed) for load in loads), Counter()),
        rate=spread([load.rate for load in loads]),
        memory_bytes=spread([sample.memory_bytes for sample in samples]),
        cpu_s_per_1000=spread([sample.cpu_s_per_1000 for sample in samples]),
        processes=spread([sample.processes for sample in samples]),
        ready_s=spread([sample.ready_s for sample in samples]),
        late_share=late / requests if requests else 0.0,
        cgroup_bytes=_spread_if_known([sample.cgroup_bytes for sample in samples]),
        engine_bytes=_spread_if_known([sample.engine_bytes for sample in samples]),
    )


def _spread_if_known(values: Sequence[int | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return spread(known) if len(known) == len(values) else None


def summaries(comparison: Comparison) -> dict[str, Summary]:
    """The summary of each layout, in the order in which they were asked for."""
    return {layout: summarise(samples) for layout, samples in comparison.samples.items()}
