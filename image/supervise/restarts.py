"""When a program that ended unasked is started again, and when it is given up (pure)."""

from __future__ import annotations

import random
from collections.abc import Callable

from pillion.image.supervision import Supervision

# A pause is shortened by up to this share by chance, so that many containers do not come back in step.
JITTER = 0.25


class Restarts:
    """Each program's budget: so many restarts within a window, each after a longer pause."""

    def __init__(self, supervision: Supervision, chance: Callable[[], float] = random.random) -> None:
        """`chance` gives numbers from 0 to 1."""
        self._supervision = supervision
        self._chance = chance
        self._when: dict[str, list[float]] = {}

    def after_end(self, program: str, now: float) -> float | None:
        """The pause in seconds before it is started again; None if its budget is spent. `now` is monotonic."""
        window = self._supervision.restart_window_s
        recent = [when for when in self._when.get(program, ()) if now - when < window]
        if len(recent) >= self._supervision.restarts:
            return None
        self._when[program] = [*recent, now]
        return self._supervision.delay_s(len(recent) + 1) * (1 - JITTER * self._chance())

    def describe(self, program: str) -> str:
        """`restart 2 of 5 within 120 s`."""
        so_far, most = len(self._when.get(program, ())), self._supervision.restarts
        return f"restart {so_far} of {most} within {self._supervision.restart_window_s:g} s"
