"""The intervals that were considered for a paired difference, and how often each covers the truth, simulated.

Every contender gets the same rounds. A centre means another thing to each (mean, median, pseudomedian): where the noise
is lopsided these differ, and each is held to its own, taken from many draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from statistics import NormalDist, fmean, median, stdev
from typing import NamedTuple

from pillion.compare.statistics.interval import paired

Ends = tuple[float, float]
RESAMPLES = 399
TRUTH_DRAWS = 40_001
_NORMAL = NormalDist()
# Student's t at 97.5 and 99.375 % for n - 1 degrees of freedom.
_T = {
    0.95: {5: 2.776, 8: 2.365, 10: 2.262, 15: 2.145, 20: 2.093},
    0.9875: {5: 4.315, 8: 3.347, 10: 3.111, 15: 2.864, 20: 2.759},
}
ROUNDS = (5, 8, 10, 15, 20)


class Method(NamedTuple):
    """`interval` gives None where it has none for so few rounds. `centre` is what it estimates."""

    name: str
    interval: Callable[[Sequence[float], float, Random], Ends | None]
    centre: Callable[[Sequence[float]], float]


class Covered(NamedTuple):
    """One row: of so many intervals this share held the truth; their median width in units of the noise's spread."""

    noise: str
    rounds: int
    method: str
    coverage: float
    width: float


def _percentile(
    centre: Callable[[Sequence[float]], float], values: Sequence[float], level: float, chance: Random
) -> Ends:
    found = sorted(centre(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return _quantile(found, (1 - level) / 2), _quantile(found, (1 + level) / 2)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(max(math.ceil(share * (len(ordered) + 1)) - 1, 0), len(ordered) - 1)]


def _bca(values: Sequence[float], level: float, chance: Random) -> Ends:
    """Efron's bias-corrected and accelerated interval for the mean."""
    count, centre = len(values), fmean(values)
    found = sorted(fmean(chance.choices(values, k=count)) for _ in range(RESAMPLES))
    below = sum(each < centre for each in found)
    bias = _NORMAL.inv_cdf(min(max(below / RESAMPLES, 1 / RESAMPLES), 1 - 1 / RESAMPLES))
    spread = sum((value - centre) ** 2 for value in values)
    skew = sum((value - centre) ** 3 for value in values) / (6 * spread**1.5) if spread else 0.0

    def end(share: float) -> float:
        moved = bias + _NORMAL.inv_cdf(share)
        return _quantile(found, _NORMAL.cdf(bias + moved / (1 - skew * moved)))

    return end((1 - level) / 2), end((1 + level) / 2)


def _bootstrap_t(values: Sequence[float], level: float, chance: Random) -> Ends | None:
    """The studentised bootstrap of the mean; resamples without spread are drawn again, as they have no t."""
    count, centre = len(values), fmean(values)
    error = stdev(values) / math.sqrt(count)
    if not error:
        return None
    found: list[float] = []
    while len(found) < RESAMPLES:
        drawn = chance.choices(values, k=count)
        if spread := stdev(drawn):
            found.append((fmean(drawn) - centre) / (spread / math.sqrt(count)))
    found.sort()
    return centre - _quantile(found, (1 + level) / 2) * error, centre - _quantile(found, (1 - level) / 2) * error


def _student(values: Sequence[float], level: float, _: Random) -> Ends:
    half = _T[level][len(values)] * stdev(values) / math.sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def _ranks(values: Sequence[float], level: float, _: Random) -> Ends | None:
    found = paired(values, level)
    return (found.low, found.high) if found else None


def _pseudomedian(values: Sequence[float]) -> float:
    """The median of the middles of two independent draws."""
    half = len(values) // 2
    return median((one + other) / 2 for one, other in zip(values[:half], values[half:], strict=False))


METHODS = (
    Method("percentile, median", lambda *given: _percentile(median, *given), median),
    Method("percentile, mean", lambda *given: _percentile(fmean, *given), fmean),
    Method("BCa, mean", _bca, fmean),
    Method("bootstrap-t, mean", _bootstrap_t, fmean),
    Method("Student's t", _student, fmean),
    Method("signed rank", _ranks, _pseudomedian),
)

# The difference of two layouts in one round. Both have the same noise but in the last.
NOISES: dict[str, Callable[[Random], float]] = {
    "normal": lambda chance: chance.gauss(0, 1),
    "lognormal, of both": lambda chance: chance.lognormvariate(0, 1) - chance.lognormvariate(0, 1),
    "stalls of one in ten": lambda chance: _stalling(chance) - _stalling(chance),
    "Cauchy": lambda chance: math.tan(math.pi * (chance.random() - 0.5)),
    "whole numbers": lambda chance: float(round(chance.gauss(0, 1.5))),
    "lognormal, of one": lambda chance: chance.lognormvariate(0, 1),
}


def _stalling(chance: Random) -> float:
    return chance.gauss(0, 1) + (chance.expovariate(0.1) if chance.random() < 0.1 else 0)


def simulate(runs: int, level: float, seed: int, draws: int = TRUTH_DRAWS) -> list[Covered]:
    """Every contender on every noise and number of rounds, `runs` times each; the truth is taken from `draws`."""
    rows = []
    for name, noise in NOISES.items():
        chance = Random(f"{seed} {name}")
        drawn = [noise(chance) for _ in range(draws)]
        truths = {each.name: each.centre(drawn) if name.endswith("one") else 0.0 for each in METHODS}
        scale = _quantile(sorted(drawn), 0.75) - _quantile(sorted(drawn), 0.25)
        for rounds in ROUNDS:
            for method in METHODS:
                rows.append(_covered(method, name, rounds, runs, level, seed, truths[method.name], scale))
    return rows


def _covered(
    method: Method, noise: str, rounds: int, runs: int, level: float, seed: int, truth: float, scale: float
) -> Covered:
    held, widths = 0, []
    for run in range(runs):
        chance = Random(f"{seed} {noise} {rounds} {run}")
        found = method.interval([NOISES[noise](chance) for _ in range(rounds)], level, chance)
        if found is not None:
            held += found[0] <= truth <= found[1]
            widths.append((found[1] - found[0]) / scale)
    if not widths:
        return Covered(noise, rounds, method.name, math.nan, math.nan)
    return Covered(noise, rounds, method.name, held / len(widths), median(widths))
