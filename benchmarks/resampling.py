"""Recorded rounds of one layout, drawn again as pairs of runs: how often each pair is called what (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from statistics import fmean
from typing import NamedTuple

from benchmarks.fresh_runs import LAYOUT
from pillion.compare.histogram import Histogram
from pillion.compare.result import MIB, Margins, Sample
from pillion.compare.statistics.figures import PRIMARY
from pillion.compare.statistics.verdict import DIFFERENT, INCONCLUSIVE, by_round

MORE_US, MORE_BYTES = 200, 20 * MIB
# Where every request takes so much longer, so does every percentile.
MORE = {"latency_us.p50": MORE_US, "latency_us.p99": MORE_US, "memory_bytes": MORE_BYTES}


class Tally(NamedTuple):
    """Of `pairs` pairs of runs: how often each figure of a layout against itself was called what, and found changed."""

    pairs: int
    different: Mapping[str, int]
    inconclusive: Mapping[str, int]
    found: Mapping[str, int]


def resample(samples: Sequence[Sample], rounds: int, pairs: int, block: int, seed: int) -> Tally:
    """Pairs of runs of `rounds` rounds each, drawn from `samples` by blocks of `block` rounds that stood side by side.

    Of two neighbours in time one goes to the one run and one to the other, by a coin: the rounds of a comparison
    alternate in the same way.
    """
    chance = Random(seed)
    counts = {kind: {figure.name: 0 for figure in PRIMARY} for kind in ("different", "inconclusive", "found")}
    as_is = {figure: list(map(figure.value, samples)) for figure in PRIMARY}
    for _ in range(pairs):
        one, other = _two_runs(len(samples), rounds, block, chance)
        for figure, values in as_is.items():
            those = (LAYOUT, [values[place] for place in other])
            found = by_round(figure, (LAYOUT, [values[place] for place in one]), those, Margins())
            counts["different"][figure.name] += found.outcome == DIFFERENT
            counts["inconclusive"][figure.name] += found.outcome == INCONCLUSIVE
            found = by_round(
                figure, (LAYOUT, [_plus(values[place], MORE.get(figure.name, 0)) for place in one]), those, Margins()
            )
            counts["found"][figure.name] += found.outcome == DIFFERENT and (found.estimate or 0) > 0
    return Tally(pairs, **counts)


def merged(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Each `count` rounds that stood side by side as if they had been one, as long as they are together."""
    found = []
    for start in range(0, len(samples) - count + 1, count):
        those = samples[start : start + count]
        found.append(
            those[0]._replace(
                load=replace(those[0].load, latency=Histogram.merged(each.load.latency for each in those)),
                memory_bytes=round(fmean(each.memory_bytes for each in those)),
                cpu_s_per_1000=fmean(each.cpu_s_per_1000 for each in those),
            )
        )
    return found


def _plus(value: float | None, more: float) -> float | None:
    return None if value is None else value + more


def _two_runs(count: int, rounds: int, block: int, chance: Random) -> tuple[list[int], list[int]]:
    """Which of `count` recorded rounds are the one run's, and which the other's."""
    one: list[int] = []
    other: list[int] = []
    while len(one) < rounds:
        start = chance.randrange(count - 2 * block + 1)
        for place in range(start, start + 2 * block, 2):
            this, that = chance.sample((place, place + 1), 2)
            one.append(this)
            other.append(that)
    return one[:rounds], other[:rounds]
