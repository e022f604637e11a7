"""Claim 1, start to ready: one container instead of two is up sooner."""

from __future__ import annotations

from pillion.compare.claims.claim import SHARED_HAS_LESS, Claim, shared_has_less
from pillion.compare.statistics.figures import START

_ALL = "from the start of its first container to the first good answer to the readiness probe, from outside"

CLAIM = Claim(
    number=1,
    name="start to ready",
    says="the shared container is ready sooner",
    measured={"direct": _ALL, "shared": _ALL, "separate": f"{_ALL}, through the proxy"},
    rule=SHARED_HAS_LESS,
    judge=shared_has_less(START),
    unmeasurable={"process": "there are no containers to start; these are the programs alone"},
)
