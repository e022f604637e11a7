"""What a claim is: the argument as people make it, how it is measured, and by which rule it is judged (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pillion.compare.result import MIB, Comparison
from pillion.compare.statistics.figures import Figure
from pillion.compare.statistics.verdict import DIFFERENT, SAME, Difference, difference

HOLDS, FAILS, NO_DIFFERENCE = "holds", "does not hold", "no measurable difference"
UNSETTLED, CANNOT = "not settled by this run", "cannot be measured on this engine"


class Judgement(NamedTuple):
    """One of the five outcomes, the numbers that it rests on, and, where it is no verdict, why."""

    outcome: str
    evidence: tuple[str, ...] = ()
    why: str = ""


class Claim(NamedTuple):
    """`number` is its place in the list of claims, of which one can have several measures; `says` is the argument.

    `measured` tells how, by layout; `unmeasurable` names the engines that cannot, and why; `rule` is in words what
    `judge` does. `about` is the layout without which nobody makes the argument, "" for none.
    """

    number: int
    name: str
    says: str
    measured: Mapping[str, str]
    rule: str
    judge: Callable[[Comparison], Judgement]
    unmeasurable: Mapping[str, str] = {}
    about: str = ""


def pair_of(comparison: Comparison, figure: Figure, one: str, other: str) -> Difference | None:
    """The difference of two layouts in a figure; None if one of them was not measured."""
    if one not in comparison.samples or other not in comparison.samples:
        return None
    sides = ((one, comparison.samples[one]), (other, comparison.samples[other]))
    return difference(figure, *sides, comparison.margins)


def said(found: Difference) -> str:
    """The evidence as a sentence, with both names."""
    return f"{found.one} - {found.other}: {found.sentence()}"


def size_said(size: int) -> str:
    """Of layers, from some bytes to many."""
    return f"{size / MIB:.1f} MiB" if size >= MIB / 10 else f"{size / 1024:.1f} KiB"


def by_range(low: float, high: float, margin: float) -> str:
    """For what was measured a few times only: `low` and `high` are the least and the most that one can be above the
    other. An outcome only where all of that lies on one side of the margin, or within it."""
    if low > margin:
        return HOLDS
    if high < -margin:
        return FAILS
    return NO_DIFFERENCE if -margin <= low and high <= margin else UNSETTLED


A_FEW = "the few runs do not agree; a quieter machine settles it"


def shared_has_less(figure: Figure) -> Callable[[Comparison], Judgement]:
    """The rule of a claim that the shared container takes less of something than two."""

    def judge(comparison: Comparison) -> Judgement:
        found = pair_of(comparison, figure, "shared", "separate")
        if found is None:
            return Judgement(UNSETTLED, why="it takes both shared and separate")
        if found.outcome == SAME:
            return Judgement(NO_DIFFERENCE, (said(found),))
        if found.outcome == DIFFERENT and found.estimate is not None:
            return Judgement(HOLDS if found.estimate < 0 else FAILS, (said(found),))
        return Judgement(UNSETTLED, (said(found),), "more rounds or a quieter machine settle it")

    return judge


SHARED_HAS_LESS = (
    "holds where shared - separate is different and below 0, does not hold where it is different and above; no "
    "measurable difference where the interval lies inside the margin"
)
