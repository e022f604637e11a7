"""Every claim that the comparison measures, and what it makes of one run."""

from __future__ import annotations

from pillion.compare.claims import (
    bases,
    changes,
    cost,
    cpu,
    culprit,
    distance,
    edits,
    embedded,
    environ,
    faults,
    ide,
    images,
    latency,
    memory,
    start,
)
from pillion.compare.claims.claim import CANNOT, Claim, Judgement
from pillion.compare.result import Comparison

CLAIMS = (
    memory.CLAIM,
    cpu.CLAIM,
    images.CLAIM,
    start.CLAIM,
    embedded.MEMORY_CLAIM,
    embedded.CPU_CLAIM,
    latency.CLAIM,
    embedded.LATENCY_CLAIM,
    edits.CLAIM,
    environ.CLAIM,
    bases.CLAIM,
    faults.CLAIM,
    changes.CLAIM,
    culprit.CLAIM,
    ide.CLAIM,
    distance.CLAIM,
    cost.CLAIM,
)


def settle(comparison: Comparison) -> list[tuple[Claim, Judgement]]:
    """Each claim with its judgement. What an engine cannot measure is said with the reason; the figures that are there
    all the same stay beside it. A claim about a layout that was left out is left out with it."""
    found = []
    for claim in CLAIMS:
        if claim.about and claim.about not in comparison.samples:
            continue
        judgement = claim.judge(comparison)
        if why := claim.unmeasurable.get(comparison.engine):
            judgement = Judgement(CANNOT, judgement.evidence, why)
        found.append((claim, judgement))
    return found
