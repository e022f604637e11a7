"""What the machine makes of the same thing measured twice, before anything is said of two things (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from pillion.compare.result import Margins, Sample
from pillion.compare.statistics.figures import PRIMARY, Figure
from pillion.compare.statistics.verdict import FEWEST_ROUNDS, Difference, difference


class Noise(NamedTuple):
    """By how much two rounds of one layout, one after the other, differ in a figure: the median of all layouts."""

    figure: Figure
    typical: float


def noise(samples: Mapping[str, Sequence[Sample]]) -> list[Noise]:
    """Of every primary figure that at least two rounds of one layout have."""
    found = []
    for figure in PRIMARY:
        apart = [
            abs(one - other)
            for rounds in samples.values()
            for one, other in pairwise(map(figure.value, rounds))
            if one is not None and other is not None
        ]
        if apart:
            found.append(Noise(figure, median(apart)))
    return found


def against_itself(samples: Mapping[str, Sequence[Sample]], margins: Margins) -> list[Difference]:
    """Each layout's odd rounds against its even ones, as if they were two layouts; where there are rounds enough."""
    return [
        difference(figure, (layout, rounds[0::2]), (layout, rounds[1::2]), margins)
        for layout, rounds in samples.items()
        if len(rounds) // 2 >= FEWEST_ROUNDS
        for figure in PRIMARY
    ]
