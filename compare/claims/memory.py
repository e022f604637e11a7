"""Claim 1, memory: one container instead of two saves what the second one brings along."""

from __future__ import annotations

from pillion.compare.claims.claim import SHARED_HAS_LESS, Claim, shared_has_less
from pillion.compare.statistics.figures import MEMORY

_ALL = "PSS of all its processes, the pod's infra container included, right after the load; median of the rounds"

CLAIM = Claim(
    number=1,
    name="memory",
    says="the shared container uses less memory: an extra container brings an operating system of its own",
    measured={"direct": _ALL, "shared": f"{_ALL}; supervisord is one of them", "separate": _ALL},
    rule=SHARED_HAS_LESS,
    judge=shared_has_less(MEMORY),
    unmeasurable={
        "process": "there are no containers, so what a second one brings is missing; these are the programs alone"
    },
)
