"""One deadline for stopping everything, split between the programs; what one does not use, the next one may."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from supervisor.states import ProcessStates

# Kept of the deadline, as a share, for our own last word.
LAST_WORD = 0.05
LAST_WORD_S = 1.0
KILL_S = 1.0


class Stopping:
    """From the moment that supervisord begins to stop all."""

    def __init__(self, deadline_s: float, shares_s: Mapping[str, float]) -> None:
        """`shares_s`: each program's share in seconds, in the order in which they are stopped."""
        self._deadline_s = deadline_s
        self._until_s: dict[str, float] = {}
        until = 0.0
        for program, share in shares_s.items():
            until += share
            self._until_s[program] = until
        self._began = 0.0
        self._killed: list[str] = []

    def begin(self, processes: list[Any]) -> None:
        """Everything is to be stopped; what is being stopped by itself already gets no longer than in this."""
        self._began = time.time()
        for process in processes:
            if process.state == ProcessStates.STOPPING:
                self.limit(process)

    def limit(self, process: Any) -> None:
        """A process has got its stop signal: from here to its SIGKILL it has until its share ends."""
        until = self._until_s.get(process.config.name)
        if self._began and until is not None:
            left = max(self._began + until - time.time(), 0.0)
            process.delay = time.time() + left
            # Also how long a SIGKILL may take before there is another one, and a line that says so.
            process.config.stopwaitsecs = max(left, KILL_S)

    def had_to_kill(self, program: str) -> None:
        """It has ended by our SIGKILL."""
        if self._began:
            self._killed.append(program)

    def describe(self) -> str:
        """What had to be killed, "" if nothing."""
        if not self._killed:
            return ""
        names = " and the ".join(self._killed)
        return f"stopped after {time.time() - self._began:.1f} s: the {names} had to be killed"

    def left_s(self) -> float:
        """For our last words."""
        if not self._began:
            return LAST_WORD_S
        return min(max(self._began + self._deadline_s - time.time(), LAST_WORD * self._deadline_s), LAST_WORD_S)
