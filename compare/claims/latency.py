"""Claim 2: what a sidecar adds to the latency is negligible, in whichever container it is."""

from __future__ import annotations

from pillion.compare.claims.claim import FAILS, HOLDS, UNSETTLED, Claim, Judgement, pair_of, said
from pillion.compare.result import Comparison
from pillion.compare.statistics.figures import P50, P99
from pillion.compare.statistics.verdict import DIFFERENT, SAME


def judge(comparison: Comparison) -> Judgement:
    """Against `direct`, the backend without a sidecar."""
    found = [
        each
        for layout in ("shared", "separate")
        for figure in (P50, P99)
        if (each := pair_of(comparison, figure, layout, "direct")) is not None
    ]
    if not found:
        return Judgement(UNSETTLED, why="it takes direct, and shared or separate")
    evidence = tuple(map(said, found))
    if any(each.outcome == DIFFERENT and (each.estimate or 0) > 0 for each in found):
        return Judgement(FAILS, evidence)
    if all(each.outcome == SAME for each in found):
        return Judgement(HOLDS, evidence)
    return Judgement(UNSETTLED, evidence, "more rounds or a quieter machine settle it")


CLAIM = Claim(
    number=2,
    name="latency",
    says="the extra latency of a sidecar is negligible",
    measured={
        "direct": "open loop to the backend itself, from the intended send time to the last byte",
        "shared": "the same requests through the proxy in the one container",
        "separate": "the same requests through the proxy in a container of its own",
    },
    rule=(
        "holds where p50 and p99 of every layout with a sidecar are the same as direct's within the margin; does not "
        "hold where one of them is different and above"
    ),
    judge=judge,
)
