"""Claim 7: with separate containers either can be changed and deployed without touching the other."""

from __future__ import annotations

from pillion.compare.claims.claim import FAILS, HOLDS, UNSETTLED, Claim, Judgement, size_said
from pillion.compare.claims.faults import pairs_of
from pillion.compare.experiments.outcome import CHANGE, Outcome
from pillion.compare.result import Comparison

NAMES = "proxy-setting,proxy-version,backend-version"


def judge(comparison: Comparison) -> Judgement:
    """By the restarts of the program that was not changed."""
    both = pairs_of(comparison.experiments, CHANGE)
    if not both:
        return Judgement(UNSETTLED, why=f"it takes shared and separate, and --experiments {NAMES}")
    evidence = tuple(_sentence(each) for pair in both for each in pair)
    apart = all(separate.restarts[separate.other] == 0 for _, separate in both)
    together = any(shared.restarts[shared.other] for shared, _ in both)
    return Judgement(HOLDS if apart and together else FAILS, evidence)


def _sentence(each: Outcome) -> str:
    shipped = "" if each.bytes_shipped is None else f", {size_said(each.bytes_shipped)} shipped"
    times = each.restarts[each.other]
    touched = f"{times} restart{'' if times == 1 else 's'} of the {each.other}"
    return f"{each.name} in {each.layout}: {touched}, {each.failed} failed, {each.down_s:.1f} s down{shipped}"


_RUN = "the container is replaced under a load of 50 requests a second; the images are there before"
CLAIM = Claim(
    number=7,
    name="changes",
    says="with separate containers either can be changed and deployed without touching the other",
    measured={
        "direct": f"{_RUN}; the backend alone",
        "shared": f"{_RUN}; it is both programs' container",
        "separate": _RUN,
    },
    rule=(
        "holds where in separate no change restarted the other program and in shared one did; else does not hold. A "
        "cluster replaces the whole pod in either layout, which is not in these figures"
    ),
    judge=judge,
)
