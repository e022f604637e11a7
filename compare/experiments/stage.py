"""A layout under load to which something is done: the watch over it, and the platform that restarts what has ended.

In `shared` supervisord restarts a program. Of a container of its own, and of a process without one, nobody does under a
plain engine; there the stage acts as Kubernetes does: the first time it is started again at once, and a second time
after ten seconds, which no experiment lasts (kubernetes.io, "Container restarts").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from pillion.compare.engines.programs import first_processes
from pillion.compare.engines.running import Prepared, Running
from pillion.compare.proc import command_line, parents, process_group
from pillion.image.pair import PROGRAMS

LOOK_S = 0.02
SECOND_RESTART_S = 10.0
MOST_LINES = 6
COMES_BACK_S = 15.0


class Pace(NamedTuple):
    """The load in requests a second, a client's patience, and how the seconds of an experiment are spent: before the
    event, on what lasts (a hang, a hog), and from the event to the end."""

    rate: float = 50.0
    timeout_s: float = 1.0
    before_s: float = 2.0
    lasts_s: float = 3.0
    after_s: float = 8.0


class Line(NamedTuple):
    """What a program wrote, and when it was heard, on the monotonic clock."""

    at: float
    program: str
    text: str


class Lines(list[Line]):
    """Heard as a sink of the engines."""

    def __call__(self, program: str, channel: str, text: str) -> None:
        self.append(Line(time.monotonic(), program, text))


class Stage:
    """Made when the layout is ready; `event` marks when it happens. `successor` is what a change puts in its place."""

    def __init__(self, running: Running, lines: Lines, pace: Pace, check: Callable[[], None]) -> None:
        """`check` is called all the time, and may raise to end it."""
        self.running, self.lines, self.pace = running, lines, pace
        self.notes: list[str] = []
        self.bytes_shipped: int | None = None
        self.successor: Prepared | None = None
        self.event_at: float | None = None
        self._check = check
        self._firsts: dict[str, set[int]] = {program: set() for program in PROGRAMS}
        self._noticed: float | None = None
        self._revived: dict[str, float] = {}
        self.look()

    def event(self) -> None:
        """It happens now."""
        self.event_at = time.monotonic()

    def pids(self, program: str) -> set[int]:
        """Its living processes."""
        return set(self.running.programs().get(program, ()))

    def first(self, program: str) -> int:
        """Its first process; 0 if it has none now."""
        return max(self._first_ones(self.running.programs()).get(program, ()), default=0)

    def sleep(self, seconds: float) -> None:
        """Watching all the while."""
        self.until(time.monotonic() + seconds)

    def until(self, moment: float, done: Callable[[], object] = lambda: False) -> None:
        """Watch until then, or until it is done."""
        while time.monotonic() < moment and not done():
            self._check()
            self.look()
            time.sleep(LOOK_S)

    def look(self) -> None:
        """See who lives, and do what the platform would."""
        for program, pids in self._first_ones(self.running.programs()).items():
            self._firsts[program] |= pids
        if lost := self.running.lost():
            self._revive(*lost)

    def wait_whole(self) -> None:
        """Give what was started again the time to be seen; what does not come back is said."""
        self.until(time.monotonic() + COMES_BACK_S, lambda: not self._missing())
        for program in self._missing():
            self._note(f"the {program} had not come back {COMES_BACK_S:g} s after the load")

    def _missing(self) -> list[str]:
        programs = self.running.programs()
        firsts = self._first_ones(programs)
        return [program for program in PROGRAMS if program in programs and not firsts[program]]

    def restarts(self) -> dict[str, int]:
        """How often each was started again."""
        return {program: max(len(pids) - 1, 0) for program, pids in self._firsts.items()}

    def detected_s(self, program: str) -> float | None:
        """From the event to when the platform knew, or, in `shared`, supervisord said so."""
        if self.event_at is None:
            return None
        said = [
            line.at
            for line in self.lines
            if line.program == "pillion" and line.at >= self.event_at and program in line.text
        ]
        times = [*said[:1], *([self._noticed] if self._noticed else [])]
        return round(min(times) - self.event_at, 3) if times else None

    def said(self) -> tuple[str, ...]:
        """The lines that were written after the event; each has its program's name only in `shared`."""
        since = [line for line in self.lines if self.event_at and line.at >= self.event_at and line.text.strip()]
        form = "{} | {}" if self.running.layout == "shared" else "[{}] {}"
        return tuple(form.format(line.program, line.text) for line in since[:MOST_LINES])

    def _first_ones(self, programs: Mapping[str, Collection[int]]) -> dict[str, set[int]]:
        above = parents()
        found = {}
        for program in PROGRAMS:
            ones = first_processes(programs.get(program, ()), above)
            # What an earlier backend left behind leads no group of its own; what has ended has no command line.
            found[program] = {pid for pid in ones if process_group(pid) == pid and command_line(pid)}
        return found

    def _revive(self, name: str, code: int) -> None:
        now = time.monotonic()
        if self._noticed is None and self.event_at is not None:
            self._noticed = now
        if why := self.running.cannot_restart(name):
            self._note(f"the {name} ended with {code} and stayed away: {why}")
        elif name not in self._revived:
            self._revived[name] = now
            self.running.revive(name)
            self._note(f"the {name} ended with {code}; compare started it again at once, as a kubelet does at first")
        elif now > self._revived[name] + SECOND_RESTART_S:
            self._revived[name] = now
            self.running.revive(name)
        else:
            self._note(f"the {name} ended again with {code}; a kubelet waits {SECOND_RESTART_S:g} s then")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
