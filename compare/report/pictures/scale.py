"""From values to places on an axis, and the round numbers that stand at it (pure)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple


class Scale(NamedTuple):
    """From `low` to `high`, drawn from `start` to `end`; a value outside is drawn at the edge."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Where it is drawn."""
        low, high, here = (self._on_axis(each) for each in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.0
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def _on_axis(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.logarithmic else value


def ticks(high: float, about: int = 4) -> list[float]:
    """Round numbers from 0 to no more than `high`."""
    if not high > 0 or math.isinf(high):
        return [0.0]
    rough = high / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [step * number for number in range(int(high / step * 1.0001) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten that lie between; the powers alone where that would be too many."""
    if not 0 < low <= high:
        return []
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 4 else (1,)
    found = [factor * 10.0**power for power in powers for factor in factors]
    return [each for each in found if low * 0.999 <= each <= high * 1.001]


def apart(places: list[float], least: float, low: float, high: float) -> list[float]:
    """The same places, in the same order from top to bottom, at least so far from each other, and if there is room
    for them all between `low` and `high`."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for one, other in pairwise(order):
        moved[other] = max(moved[other], moved[one] + least)
    if order and (over := moved[order[-1]] - high) > 0:
        moved[order[-1]] -= over
        for other, one in pairwise(reversed(order)):
            moved[one] = max(min(moved[one], moved[other] - least), low)
    return moved
