"""Intervals for a difference, from few rounds and without a belief about how their noise is distributed (pure).

Both are inverted rank tests with exact tables, no approximation for large numbers and no chance in them: the same
samples give the same interval. Each covers the true difference at least as often as it says: the paired one if the
noise of a difference is symmetric, as it is when it comes alike on both; ties make it wider, never narrower.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import median
from typing import NamedTuple


class Interval(NamedTuple):
    """The estimate and the two ends. `level` is how often such an interval covers, at least; `asked` or more."""

    estimate: float
    low: float
    high: float
    level: float


def paired(differences: Sequence[float], level: float) -> Interval | None:
    """For the centre of differences, one a round: Hodges and Lehmann's estimate, and Wilcoxon's signed-rank interval.

    None where there are too few rounds for the level, as even all of the same sign could be chance.
    """
    count = len(differences)
    cut = _cut(_signed_rank(count), 1 << count, level)
    if cut is None:
        return None
    # Walsh averages: every round's difference, and the middle of every two.
    averages = sorted((one + other) / 2 for place, one in enumerate(differences) for other in differences[place:])
    return _ends(averages, *cut)


def unpaired(these: Sequence[float], those: Sequence[float], level: float) -> Interval | None:
    """For the shift from `those` to `these`, rounds of two runs that have nothing to do with each other: Hodges and
    Lehmann's estimate, and the interval of Wilcoxon's rank-sum test (Mann and Whitney's). None: too few rounds."""
    counts = _rank_sum(len(these), len(those))
    cut = _cut(counts, sum(counts), level)
    if cut is None:
        return None
    return _ends(sorted(this - that for this in these for that in those), *cut)


def fewest_rounds(level: float) -> int:
    """With how many rounds `paired` begins to give an interval."""
    count = 1
    while _cut(_signed_rank(count), 1 << count, level) is None:
        count += 1
    return count


def _ends(ordered: Sequence[float], cut: int, level: float) -> Interval:
    return Interval(median(ordered), ordered[cut], ordered[-1 - cut], level)


def _cut(counts: Sequence[int], total: int, level: float) -> tuple[int, float] | None:
    """How many values may be left out at either end, and the level that is kept; None if not even none may."""
    beyond = 0
    for place, count in enumerate(counts):
        if 2 * (beyond + count) > (1 - level) * total:
            return (place - 1, 1 - 2 * beyond / total) if place else None
        beyond += count
    return None


@lru_cache(maxsize=256)
def _signed_rank(count: int) -> tuple[int, ...]:
    """In how many ways the ranks 1 to `count`, each taken or not, sum to 0, 1, 2 ...: of 2 ** count."""
    ways = [1] + [0] * (count * (count + 1) // 2)
    for rank in range(1, count + 1):
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    return tuple(ways)


@lru_cache(maxsize=256)
def _rank_sum(one: int, other: int) -> tuple[int, ...]:
    """In how many orders of two samples exactly 0, 1, 2 ... pairs have the first one's value below the other's.

    The coefficients of a Gaussian binomial: multiplied up and divided down factor by factor.
    """
    ways = [1] + [0] * (one * other)
    for factor in range(1, other + 1):
        for total in range(len(ways) - 1, one + factor - 1, -1):
            ways[total] -= ways[total - one - factor]
        for total in range(factor, len(ways)):
            ways[total] += ways[total - factor]
    return tuple(ways)
