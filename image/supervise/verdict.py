"""When a program is lost for good, and what the container's exit code then is."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field

CANNOT_START = 127
# supervisord alone would restart a program that crashes after it was running for ever.
MOST_CRASHES, CRASH_WINDOW_S = 5, 60.0


@dataclass
class Verdict:
    """The first loss decides; without one the container was asked to stop and its exit code is 0."""

    program: str = ""
    exit_code: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    crashes: dict[str, list[float]] = field(default_factory=dict)
    restarted: bool = False

    def ended(self, program: str, wait_status: int) -> None:
        """Remember how a program's process ended (a status as `waitpid` gives it)."""
        self.statuses[program] = wait_status

    def crashed(self, program: str, now: float) -> bool:
        """Remember that a program ended unasked at `now` (seconds, monotonic). True if it did so too often."""
        recent = [when for when in self.crashes.get(program, []) if now - when < CRASH_WINDOW_S]
        self.crashes[program] = [*recent, now]
        return len(self.crashes[program]) >= MOST_CRASHES

    def lost(self, program: str) -> bool:
        """Call a program lost. True if it is the first one."""
        if self.program:
            return False
        self.program = program
        self.exit_code = exit_code(self.statuses[program]) if program in self.statuses else CANNOT_START
        return True

    def describe(self) -> str:
        """One sentence for the log: which program, how it ended, how often it was started."""
        starts = self.starts.get(self.program, 0)
        status = self.statuses.get(self.program)
        how = "it could not be started" if status is None else how_it_ended(status)
        times = f" in its last of {starts} starts" if starts > 1 else ""
        verb = "has ended" if status == 0 else "is lost"
        return f"the {self.program} {verb}: {how}{times}; the container ends with {self.exit_code}"


def exit_code(wait_status: int) -> int:
    """A shell's exit code for a wait status: the process's own, or 128 + signal."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code


def how_it_ended(wait_status: int) -> str:
    """`it exited with 3`, or `SIGKILL ended it`."""
    code = os.waitstatus_to_exitcode(wait_status)
    if code >= 0:
        return f"it exited with {code}"
    try:
        return f"{signal.Signals(-code).name} ended it"
    except ValueError:
        return f"signal {-code} ended it"
