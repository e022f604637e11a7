"""When each request is due: decided before the run, whatever the server does (open loop)."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from random import Random

NS = 1_000_000_000


def _constant(count: int, random: Random) -> list[float]:
    phase = random.random()
    return [index + phase for index in range(count)]


def _jitter(count: int, random: Random) -> list[float]:
    return [index + random.random() for index in range(count)]


def _poisson(count: int, random: Random) -> list[float]:
    return sorted(random.uniform(0, count) for _ in range(count))


ARRIVALS: dict[str, Callable[[int, Random], list[float]]] = {
    "constant": _constant,
    "jitter": _jitter,
    "poisson": _poisson,
}


def due_times(arrivals: str, rate: float, seconds: float, seed: int | None = None) -> array[int]:
    """The ascending send times of `rate` requests per second for `seconds`, in nanoseconds from the start.

    There are always `rate * seconds` of them, rounded, at least one, so that rounds can be compared. `constant`: one
    every 1/rate, from a random phase. `jitter`: one at a uniformly random moment of every 1/rate, so that nothing that
    is periodic in the server falls into step with the load. `poisson`: as independent users would come, that is as many
    independent uniform moments (a Poisson process given its count), so with bursts.
    """
    count = max(1, round(rate * seconds))
    interval = seconds / count * NS
    return array("q", (int(slot * interval) for slot in ARRIVALS[arrivals](count, Random(seed))))
