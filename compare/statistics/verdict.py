"""Whether two layouts differ: three outcomes, each with its number and its interval (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import ceil
from statistics import median
from typing import NamedTuple

from pillion.compare.result import MOST_ROUNDS, Margins, Sample
from pillion.compare.statistics.figures import PRIMARY, Figure
from pillion.compare.statistics.interval import Interval, fewest_rounds, paired, unpaired

DIFFERENT, SAME, INCONCLUSIVE = "different", "the same within the margin", "inconclusive"

# All four primary figures of two layouts together call something different that is not in at most 5 of 100 runs.
FAMILY_LEVEL = 0.95
LEVEL = 1 - (1 - FAMILY_LEVEL) / len(PRIMARY)
FEWEST_ROUNDS = fewest_rounds(LEVEL)

# Which of two stands first in a difference.
ORDER = ("shared", "separate", "embedded", "direct")


class Difference(NamedTuple):
    """`one - other` in a figure, per round paired. `margin` is the one that was applied; `interval` is None where there
    were too few rounds for one, and `estimate` where there was none at all. `why` says what kept it from a verdict."""

    figure: Figure
    one: str
    other: str
    rounds: int
    estimate: float | None
    interval: Interval | None
    margin: float
    outcome: str
    why: str = ""

    def sentence(self) -> str:
        """As a person reads it, the two layouts' names left out."""
        figure = self.figure
        if self.estimate is None:
            return f"{figure.label}: {self.outcome}, {self.why}"
        number = f"{figure.label} {figure.said(self.estimate, sign=True)} {figure.unit}"
        margin = f"{figure.said(self.margin)} {figure.unit}"
        if self.interval is None:
            return f"{number}: {self.outcome}, {self.why}"
        number += f" [{figure.said(self.interval.low, sign=True)}, {figure.said(self.interval.high, sign=True)}]"
        if self.outcome == SAME:
            return f"{number}: the same within {margin}"
        if self.outcome == INCONCLUSIVE:
            return f"{number}: inconclusive, neither 0 nor more than {margin} is ruled out{self._more()}"
        return f"{number}: different"

    def _more(self) -> str:
        if not self.rounds_to_settle:
            return ""
        if self.rounds_to_settle > MOST_ROUNDS:
            return f"; not even {MOST_ROUNDS} rounds would likely settle it"
        return f"; {self.rounds_to_settle} rounds would likely settle it"

    @property
    def rounds_to_settle(self) -> int:
        """How many rounds would likely have been enough for a verdict, in tens; 0 where that cannot be told.

        Intervals shrink with the root of the rounds; then 0 or the margin is left out, whichever is farther from the
        estimate, with a quarter to spare for chance.
        """
        if self.outcome != INCONCLUSIVE or self.interval is None or self.estimate is None:
            return 0
        half = (self.interval.high - self.interval.low) / 2
        room = max(abs(self.estimate), self.margin - abs(self.estimate)) * 0.75
        if not 0 < half < float("inf") or not room:
            return 0
        return max(ceil(self.rounds * (half / room) ** 2 / 10) * 10, self.rounds)


def differences(samples: Mapping[str, Sequence[Sample]], margins: Margins) -> list[Difference]:
    """Every primary figure of every two layouts, their rounds paired by when they were."""
    known = [layout for layout in ORDER if layout in samples]
    layouts = [*known, *(layout for layout in samples if layout not in known)]
    return [
        difference(figure, (one, samples[one]), (other, samples[other]), margins)
        for one, other in combinations(layouts, 2)
        for figure in PRIMARY
    ]


def difference(
    figure: Figure, one: tuple[str, Sequence[Sample]], other: tuple[str, Sequence[Sample]], margins: Margins
) -> Difference:
    """One figure of two layouts."""
    these, those = list(map(figure.value, one[1])), list(map(figure.value, other[1]))
    return by_round(figure, (one[0], these), (other[0], those), margins)


def by_round(
    figure: Figure,
    one: tuple[str, Sequence[float | None]],
    other: tuple[str, Sequence[float | None]],
    margins: Margins,
) -> Difference:
    """The same, from the figure's values. A round where one has none (no good answer) is left out for both."""
    rounds = [
        (this, that) for this, that in zip(one[1], other[1], strict=False) if this is not None and that is not None
    ]
    these, those = [this for this, _ in rounds], [that for _, that in rounds]
    apart = [this - that for this, that in rounds]
    return _judged(figure, (one[0], these), (other[0], those), margins, apart, lambda: paired(apart, LEVEL))


def since(
    figure: Figure, new: tuple[str, Sequence[float]], old: tuple[str, Sequence[float]], margins: Margins
) -> Difference:
    """One figure of two runs, whose rounds have nothing to do with each other."""
    apart = [this - that for this in new[1] for that in old[1]]
    return _judged(figure, new, old, margins, apart, lambda: unpaired(new[1], old[1], LEVEL))


def _judged(
    figure: Figure,
    one: tuple[str, Sequence[float]],
    other: tuple[str, Sequence[float]],
    margins: Margins,
    apart: Sequence[float],
    interval_of: Callable[[], Interval | None],
) -> Difference:
    these, those = one[1], other[1]
    rounds = min(len(these), len(those))
    said = (figure, one[0], other[0], rounds)
    if not rounds:
        return Difference(
            *said, None, None, figure.margin(margins, 0.0), INCONCLUSIVE, "no round has the figure of both"
        )
    margin = figure.margin(margins, min(median(these), median(those)))
    interval = interval_of()
    if interval is None:
        why = f"{rounds} round{'s are' if rounds > 1 else ' is'} too few for a verdict"
        return Difference(*said, median(apart), None, margin, INCONCLUSIVE, why)
    if -margin <= interval.low and interval.high <= margin:
        outcome = SAME
    else:
        outcome = INCONCLUSIVE if interval.low <= 0 <= interval.high else DIFFERENT
    return Difference(*said, interval.estimate, interval, margin, outcome)
