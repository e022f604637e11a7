"""The claims about shared against separate that a comparison settles, one file each, as they are told.

`settle(comparison)` is the door.
"""

from pillion.compare.claims.all import CLAIMS, settle
from pillion.compare.claims.claim import Claim, Judgement

__all__ = ["CLAIMS", "Claim", "Judgement", "settle"]
