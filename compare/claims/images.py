"""Claim 1, image bytes: one image instead of two takes less room. Counted, and so without an interval."""

from __future__ import annotations

from pillion.compare.claims.claim import FAILS, HOLDS, NO_DIFFERENCE, UNSETTLED, Claim, Judgement
from pillion.compare.result import MIB, Comparison

MARGIN = 0.01


def judge(comparison: Comparison) -> Judgement:
    """By a hundredth, as what an engine counts for a file or a layer is not the same everywhere."""
    shared, separate = (comparison.image_bytes.get(layout) for layout in ("shared", "separate"))
    if shared is None or separate is None:
        return Judgement(UNSETTLED, why="it takes both shared and separate")
    apart = shared - separate
    evidence = f"shared - separate: images {apart / MIB:+.1f} MiB of {separate / MIB:.1f}, counted once"
    if abs(apart) <= MARGIN * separate:
        return Judgement(NO_DIFFERENCE, (evidence,))
    return Judgement(HOLDS if apart < 0 else FAILS, (evidence,))


CLAIM = Claim(
    number=1,
    name="image bytes",
    says="the shared image takes less room than the two: they have an operating system each",
    measured={
        "direct": "the backend's image, unpacked in the engine's store",
        "shared": "the combined image",
        "separate": "both images; one that both containers share counts once",
    },
    rule=f"holds where shared has fewer bytes, does not hold where it has more, by over {MARGIN:.0%} of separate's",
    judge=judge,
    unmeasurable={"process": "there is no image"},
)
