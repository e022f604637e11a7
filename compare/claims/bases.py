"""Claim 5: base images are hard to standardise when two languages share one."""

from __future__ import annotations

from pillion.compare.claims.claim import FAILS, HOLDS, UNSETTLED, Claim, Judgement
from pillion.compare.result import MIB, Comparison


def judge(comparison: Comparison) -> Judgement:
    """Whether the backend's base had to be another for the sidecar's sake."""
    base = comparison.evidence.base
    if base is None:
        why = comparison.evidence.why_not.get("seen", "it takes shared, and a look at the combined image (--claims 5)")
        return Judgement(UNSETTLED, why=why)
    evidence = (
        f"shared: {base.kept} of {base.layers} layers of the backend's image are at the bottom, byte for byte",
        f"shared: the sidecar adds {base.added_bytes / MIB:.1f} MiB, unpacked, its own interpreter and loader in it",
        f"shared: interpreters in the image: {', '.join(base.interpreters) or 'none found'}",
        "the backend may have any Linux base, scratch too, of the sidecar's processor (docs of `pillion build`)",
    )
    return Judgement(FAILS if base.kept == base.layers else HOLDS, evidence)


CLAIM = Claim(
    number=5,
    name="base images",
    says="base images are hard to standardise when two languages share one",
    measured={
        "direct": "not looked at",
        "shared": "the layers of the combined image beside those of the backend's; the interpreters in the container",
        "separate": "each has its own base; the bytes of both are claim 1's",
    },
    rule=(
        "does not hold where the combined image has every layer of the backend's own, unchanged and in order, so that "
        "the two need no common base; else holds. That there are two runtimes then is said beside it"
    ),
    judge=judge,
    unmeasurable={"process": "there is no image"},
)
