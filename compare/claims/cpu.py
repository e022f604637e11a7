"""Claim 1, processor time: one container instead of two costs less for the same requests."""

from __future__ import annotations

from pillion.compare.claims.claim import SHARED_HAS_LESS, Claim, shared_has_less
from pillion.compare.statistics.figures import CPU

_ALL = "user and system seconds of all its processes under the load, per 1,000 requests sent, the warm-up in both"

CLAIM = Claim(
    number=1,
    name="processor time",
    says="the shared container uses less processor time for the same requests",
    measured={"direct": _ALL, "shared": f"{_ALL}; supervisord's copying of the logs is in it", "separate": _ALL},
    rule=SHARED_HAS_LESS,
    judge=shared_has_less(CPU),
)
