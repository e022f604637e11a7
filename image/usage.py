"""What each program of a running pair has used, as supervisord tells it and a person reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

# Answered by supervisord's own control socket.
USAGE_PATH = "/pillion/usage"
MIB = 1 << 20


class ProgramUsage(NamedTuple):
    """One program, its children included, since the container's start.

    `peak_bytes` is the most that its control group held, where it has one of its own (`grouped`), else the most that
    one of its processes held. `now_bytes` is what its processes hold now, memory that they share counted in each; 0 if
    none lives. `oom_kills` counts processes that the kernel ended for want of memory: without a group of its own, only
    those that were the program's first. `unmet` says what of `limits` cannot be had here.
    """

    program: str
    starts: int
    cpu_s: float
    peak_bytes: int
    now_bytes: int
    grouped: bool
    oom_kills: int
    limits: str
    unmet: str

    def __str__(self) -> str:
        where = "" if self.grouped else " in one process"
        parts = [f"{self.cpu_s:.1f} s of CPU, at most {self.peak_bytes / MIB:.0f} MiB{where}"]
        if self.now_bytes:
            parts.append(f"{self.now_bytes / MIB:.0f} MiB now")
        if self.starts != 1:
            parts.append(f"started {_times(self.starts)}")
        if self.oom_kills:
            parts.append(f"ended {_times(self.oom_kills)} by the kernel for want of memory")
        if self.limits:
            parts.append(f"limits: {self.limits}")
        if self.unmet:
            parts.append(self.unmet)
        return f"the {self.program} used {'; '.join(parts)}"


class ContainerUsage(NamedTuple):
    """The container's control group: what it held at most and may hold, how often it was at that limit and how many of
    its processes the kernel ended since we started. None: the kernel does not say."""

    peak_bytes: int | None
    limit_bytes: int | None
    limit_hits: int | None
    oom_kills: int | None

    def __str__(self) -> str:
        peak = "an unknown peak" if self.peak_bytes is None else f"at most {self.peak_bytes / MIB:.0f} MiB"
        limit = "" if self.limit_bytes is None else f" of {self.limit_bytes / MIB:.0f} MiB"
        hits = f"; at its limit {_times(self.limit_hits)}" if self.limit_hits else ""
        kills = f"; the kernel ended {self.oom_kills} of its processes for want of memory" if self.oom_kills else ""
        return f"the container held {peak}{limit}{hits}{kills}"


class Usage(NamedTuple):
    """Of the pair."""

    programs: tuple[ProgramUsage, ...]
    container: ContainerUsage

    def lines(self) -> Iterator[str]:
        """A sentence for each program, and one for the container if it says something of it alone."""
        yield from map(str, self.programs)
        if self.container.limit_bytes is not None or self.container.oom_kills:
            yield str(self.container)

    def to_json(self) -> str:
        """The inverse of `read_usage`."""
        programs = {each.program: _without_name(each) for each in self.programs}
        return json.dumps({"programs": programs, "container": self.container._asdict()})


def read_usage(text: str | bytes) -> Usage:
    """What `Usage.to_json` gave. Raises ValueError or TypeError for anything else."""
    document = json.loads(text)
    programs = tuple(ProgramUsage(name, **each) for name, each in dict(document["programs"]).items())
    return Usage(programs, ContainerUsage(**document["container"]))


def _without_name(usage: ProgramUsage) -> dict[str, object]:
    fields = usage._asdict()
    del fields["program"]
    return fields


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
