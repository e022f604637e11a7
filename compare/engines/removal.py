"""Removing what an engine holds: asked again where it is too busy to, and never given up in silence."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pillion.image.engine import Engine, complaint
from pillion.image.refusal import Failure

# On a busy machine docker's daemon refuses at times: it did not hear in time that what it killed had ended.
ATTEMPTS, PAUSE_S = 6, 0.5
_ABSENT = ("no such container", "no such pod")


def remove(engine: Engine, removals: Sequence[Sequence[str]], pause_s: float = PAUSE_S) -> None:
    """`removals` are the client's words, each ending with a name; what is not there is not missed.

    All are tried; Failure names those that are left after `ATTEMPTS`.
    """
    left, why = list(removals), ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause_s)
        refused = []
        for words in left:
            done = engine.run(*words)
            if done.returncode and not any(absent in done.stderr.lower() for absent in _ABSENT):
                refused.append(words)
                why = complaint(done.stderr)
        left = refused
        if not left:
            return
    names = ", ".join(words[-1] for words in left)
    raise Failure(f"remove {names}", f"{engine.name}: {why}", f"look at {engine.name}'s own state")
