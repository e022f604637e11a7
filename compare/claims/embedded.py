"""Claims 1 and 2 once more, of the third way: the concerns in the backend's own process, and no sidecar at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pillion.compare.claims.claim import FAILS, HOLDS, NO_DIFFERENCE, UNSETTLED, Claim, Judgement, pair_of, said
from pillion.compare.result import Comparison
from pillion.compare.statistics.figures import CPU, MEMORY, P50, P99, Figure
from pillion.compare.statistics.verdict import DIFFERENT, SAME

LAYOUT = "embedded"


def _less(figure: Figure, others: Sequence[str]) -> Callable[[Comparison], Judgement]:
    def judge(comparison: Comparison) -> Judgement:
        found = [each for other in others if (each := pair_of(comparison, figure, LAYOUT, other)) is not None]
        if not found:
            return Judgement(UNSETTLED, why=f"it takes embedded, and {' or '.join(others)}")
        evidence = tuple(map(said, found))
        if all(each.outcome == SAME for each in found):
            return Judgement(NO_DIFFERENCE, evidence)
        if all(each.outcome == DIFFERENT and (each.estimate or 0) < 0 for each in found):
            return Judgement(HOLDS, evidence)
        if any(each.outcome == DIFFERENT and (each.estimate or 0) > 0 for each in found):
            return Judgement(FAILS, evidence)
        return Judgement(UNSETTLED, evidence, "more rounds or a quieter machine settle it")

    return judge


def _negligible(comparison: Comparison) -> Judgement:
    found = [each for figure in (P50, P99) if (each := pair_of(comparison, figure, LAYOUT, "direct")) is not None]
    if not found:
        return Judgement(UNSETTLED, why="it takes embedded and direct")
    evidence = tuple(map(said, found))
    if any(each.outcome == DIFFERENT and (each.estimate or 0) > 0 for each in found):
        return Judgement(FAILS, evidence)
    if all(each.outcome == SAME for each in found):
        return Judgement(HOLDS, evidence)
    return Judgement(UNSETTLED, evidence, "more rounds or a quieter machine settle it")


_WITH = ("shared", "separate")
_RULE = (
    "holds where embedded is different from and below every layout with a sidecar that was measured, does not hold "
    "where it is different from and above one; no measurable difference where it is the same as all within the margin"
)


def _measured(what: str) -> dict[str, str]:
    return dict.fromkeys(("direct", "shared", "separate", LAYOUT), what)


MEMORY_CLAIM = Claim(
    number=1,
    name="memory, embedded",
    says="the concerns in the backend's own process use less memory than a sidecar",
    measured=_measured("PSS of all its processes, right after the load; median of the rounds"),
    rule=_RULE,
    judge=_less(MEMORY, _WITH),
    about=LAYOUT,
)
CPU_CLAIM = Claim(
    number=1,
    name="processor time, embedded",
    says="the concerns in the backend's own process use less processor time than a sidecar",
    measured=_measured("user and system seconds of all its processes under the load, per 1,000 requests sent"),
    rule=_RULE,
    judge=_less(CPU, _WITH),
    about=LAYOUT,
)
LATENCY_CLAIM = Claim(
    number=2,
    name="latency, embedded",
    says="the extra latency of the concerns in the backend's own process is negligible",
    measured=_measured("open loop, from the intended send time to the last byte"),
    rule="holds where p50 and p99 are the same as direct's within the margin, does not hold where one is above",
    judge=_negligible,
    about=LAYOUT,
)
