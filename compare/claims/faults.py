"""Claim 6: a separate container is isolated. By what a fault in the one program did to the pair in each layout."""

from __future__ import annotations

from collections.abc import Sequence

from pillion.compare.claims.claim import FAILS, HOLDS, NO_DIFFERENCE, UNSETTLED, Claim, Judgement
from pillion.compare.experiments.outcome import FAULT, Outcome
from pillion.compare.result import Comparison

# One run of each, whose clients wait for up to a second: less is not told apart from another run's.
MARGIN_S, MARGIN_SHARE = 1.0, 0.25
NAMES = "kill,hang,memory-hog,cpu-hog,full-disk,slow-start"


def pairs_of(outcomes: Sequence[Outcome], kind: str) -> list[tuple[Outcome, Outcome]]:
    """Of each experiment that both layouts have figures of: shared's and separate's."""
    found = {(each.name, each.program, each.layout): each for each in outcomes if each.kind == kind and each.measured}
    return [
        (shared, found[name, program, "separate"])
        for (name, program, layout), shared in found.items()
        if layout == "shared" and (name, program, "separate") in found
    ]


def judge(comparison: Comparison) -> Judgement:
    """Down for longer, or the other program restarted too."""
    both = pairs_of(comparison.experiments, FAULT)
    if not both:
        return Judgement(UNSETTLED, why=f"it takes shared and separate, and --experiments {NAMES}")
    worse = [pair for pair in both if _worse(*pair)]
    better = [pair for pair in both if _worse(pair[1], pair[0])]
    alike = [pair for pair in both if pair not in worse + better]
    evidence = tuple(_sentence(*pair) for pair in (*worse, *better, *alike))
    if worse and better:
        why = "some faults were worse in the one and some in the other layout, once each"
        return Judgement(UNSETTLED, evidence, why)
    if worse:
        return Judgement(HOLDS, evidence)
    return Judgement(FAILS if better else NO_DIFFERENCE, evidence)


def _worse(one: Outcome, other: Outcome) -> bool:
    touched = one.restarts[one.other] > other.restarts[other.other]
    return touched or one.down_s - other.down_s > max(MARGIN_S, MARGIN_SHARE * other.down_s)


def _sentence(shared: Outcome, separate: Outcome) -> str:
    said = []
    for each in (shared, separate):
        text = f"{each.layout} {each.failed} failed, {each.down_s:.1f} s down"
        if count := each.restarts[each.other]:
            text += f", the {each.other} restarted {count} time{'s' if count > 1 else ''}"
        said.append(text)
    return f"{shared.name} of the {shared.program}: {'; '.join(said)}"


_RUN = "each fault under a load of 50 requests a second, once; docs/experiments.md says what each does"
CLAIM = Claim(
    number=6,
    name="isolation",
    says="a separate container is isolated from the other one's faults",
    measured={"direct": f"{_RUN}; the backend alone", "shared": _RUN, "separate": _RUN},
    rule=(
        f"holds where a fault put shared down for over {MARGIN_S:g} s and {MARGIN_SHARE:.0%} longer than separate, or "
        "restarted the other program only there; does not hold where that is so the other way round; not settled where "
        "both occur, as each was done once; else no measurable difference"
    ),
    judge=judge,
    unmeasurable={"process": "there are no containers to isolate; these are the programs alone"},
)
