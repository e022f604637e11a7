"""Claim 3: one image for both slows the update, build and test cycle."""

from __future__ import annotations

from pillion.compare.claims.claim import (
    A_FEW,
    FAILS,
    HOLDS,
    NO_DIFFERENCE,
    UNSETTLED,
    Claim,
    Judgement,
    by_range,
    size_said,
)
from pillion.compare.evidence.evidence import INCREMENTAL, Edit
from pillion.compare.result import Comparison

# Of the median of three cycles nobody notices less; a cycle's own noise is a good part of it.
MARGIN_S, MARGIN_SHARE = 1.0, 0.25


def judge(comparison: Comparison) -> Judgement:
    """By the incremental cycles of both programs."""
    evidence = comparison.evidence
    edits = {(each.layout, each.program, each.kind): each for each in evidence.edits}
    said = tuple(map(sentence, (each for each in evidence.edits if each.layout != "remote")))
    outcomes = []
    for program in ("backend", "proxy"):
        shared, separate = (edits.get((layout, program, INCREMENTAL)) for layout in ("shared", "separate"))
        if shared is None or separate is None:
            why = evidence.why_not.get("edits", "--claims 3 measures it, and it takes both shared and separate")
            return Judgement(UNSETTLED, said, why)
        margin = max(MARGIN_S, MARGIN_SHARE * separate.seconds)
        outcomes.append(by_range(shared.least - separate.most, shared.most - separate.least, margin))
    if HOLDS in outcomes:
        return Judgement(HOLDS, said)
    if UNSETTLED in outcomes:
        return Judgement(UNSETTLED, said, A_FEW)
    return Judgement(FAILS if FAILS in outcomes else NO_DIFFERENCE, said)


def sentence(edit: Edit) -> str:
    """`shared: edit of the backend to the first 200, incremental: 3.10 s (2.90 to 3.20), 2.6 KiB new`."""
    program = "sidecar" if edit.program == "proxy" else "backend"
    new = "" if edit.bytes is None else f", {size_said(edit.bytes)} new"
    spread = f" ({edit.least:.2f} to {edit.most:.2f})" if edit.most > edit.least else ""
    return f"{edit.layout}: edit of the {program} to the first 200, {edit.kind}: {edit.seconds:.2f} s{spread}{new}"


_SIDECAR = "of the sidecar: the same image under another name, as its source is not the user's"
CLAIM = Claim(
    number=3,
    name="edit cycle",
    says="one image for both slows the update, build and test cycle",
    measured={
        "direct": "not measured: there is nothing to combine",
        "shared": f"the backend's image with one more file, combined anew, started, to the first 200; {_SIDECAR}",
        "separate": f"the same without combining; {_SIDECAR}",
    },
    rule=(
        f"by three cycles after the first: holds where all of them take over {MARGIN_S:g} s and {MARGIN_SHARE:.0%} "
        "longer in shared than in separate, for either program; does not hold where they are that much faster for one "
        "and for neither slower; no measurable difference where all lie within that; else it is not settled"
    ),
    judge=judge,
    unmeasurable={"process": "there is no image to build; an edit is a restart, and these are its seconds"},
)
