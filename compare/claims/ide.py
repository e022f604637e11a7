"""Claim 9: with the sidecar in a container of its own the backend can stay in an IDE."""

from __future__ import annotations

from pillion.compare.claims.claim import A_FEW, UNSETTLED, Claim, Judgement, by_range
from pillion.compare.claims.edits import MARGIN_S, sentence
from pillion.compare.evidence.evidence import INCREMENTAL
from pillion.compare.result import Comparison


def judge(comparison: Comparison) -> Judgement:
    """Against the same edit where both share a container."""
    evidence = comparison.evidence
    edits = {(each.layout, each.kind): each for each in evidence.edits if each.program == "backend"}
    said = tuple(map(sentence, (each for each in evidence.edits if each.layout == "remote")))
    outside, inside = edits.get(("remote", INCREMENTAL)), edits.get(("shared", INCREMENTAL))
    if outside is None:
        why = evidence.why_not.get("ide", "--claims 9 measures it, with Pillion's proxy")
        return Judgement(UNSETTLED, said, why)
    if inside is None:
        return Judgement(UNSETTLED, said, "the same edit in shared was not measured (--claims 3,9)")
    said = (*said, sentence(inside))
    outcome = by_range(inside.least - outside.most, inside.most - outside.least, MARGIN_S)
    return Judgement(outcome, said, A_FEW if outcome == UNSETTLED else "")


CLAIM = Claim(
    number=9,
    name="backend in an IDE",
    says="with the sidecar in a container of its own and the backend in an IDE, an edit is seen sooner",
    measured={
        "direct": "not measured: there is no sidecar",
        "shared": "the edit of the backend of claim 3",
        "separate": "layout remote: the sidecar stays up, the backend is a process of this machine and started anew",
    },
    rule=(
        f"by three cycles: holds where all take over {MARGIN_S:g} s less than in shared, does not hold where that much "
        "more; no measurable difference where all lie within that; else it is not settled"
    ),
    judge=judge,
)
