"""When a program is lost for good, what is said of it, and what the container's exit code then is."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

CANNOT_START = 127


class End(NamedTuple):
    """How a program's process ended: its wait status, the CPU time and the largest memory that it and its reaped
    children took, and whether the kernel ended a process of this control group for want of memory meanwhile."""

    status: int
    cpu_s: float = 0.0
    memory_kib: int = 0
    oom: bool = False

    def __str__(self) -> str:
        code = os.waitstatus_to_exitcode(self.status)
        if code >= 0:
            return f"it exited with {code}"
        try:
            how = f"{signal.Signals(-code).name} ended it"
        except ValueError:
            how = f"signal {-code} ended it"
        return how + (", the kernel's for want of memory" if self.oom else "")

    @property
    def used(self) -> str:
        """`it used 0.1 s of CPU and 12 MiB`."""
        return f"it used {self.cpu_s:.1f} s of CPU and {self.memory_kib / 1024:.0f} MiB"


class Verdict:
    """The first loss decides; without one the container was asked to stop and its exit code is 0."""

    def __init__(self) -> None:
        self.program = ""
        self.exit_code = 0
        self.starts: dict[str, int] = {}
        self._ends: dict[str, End] = {}

    def started(self, program: str) -> None:
        """It is about to be started, for the first time or again."""
        self.starts[program] = self.starts.get(program, 0) + 1
        self._ends.pop(program, None)

    def ended(self, program: str, end: End) -> None:
        """Remember how a program's process ended."""
        self._ends[program] = end

    def end_of(self, program: str) -> End | None:
        """How its last process ended; None if there was none since it was last started."""
        return self._ends.get(program)

    def lost(self, program: str) -> bool:
        """Call a program lost. True if it is the first one."""
        if self.program:
            return False
        self.program = program
        end = self._ends.get(program)
        self.exit_code = exit_code(end.status) if end else CANNOT_START
        return True

    def describe(self, last_line: str = "") -> str:
        """One sentence for the log: which program, how it ended, how often it was started, what it used and said."""
        starts = self.starts.get(self.program, 0)
        end = self._ends.get(self.program)
        how = str(end) if end else "it could not be started"
        times = f" in its last of {starts} starts" if starts > 1 else ""
        verb = "has ended" if end and end.status == 0 else "is lost"
        used = f"; {end.used}" if end else ""
        said = f"; its last line: {last_line}" if last_line else ""
        return f"the {self.program} {verb}: {how}{times}; the container ends with {self.exit_code}{used}{said}"


def exit_code(wait_status: int) -> int:
    """A shell's exit code for a wait status: the process's own, or 128 + signal."""
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 128 - code
