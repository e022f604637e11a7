"""What else the machine did meanwhile: time stolen by its host, throttling, other programs' processor time.

proc_stat(5), proc_loadavg(5); cpu.stat of control groups, v1 and v2. All of the machine's processors together.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from pillion.compare.cgroup import throttled_s

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Reading(NamedTuple):
    """The counters at one moment, in seconds. None: this machine does not tell."""

    wall_s: float
    busy_s: float | None
    stolen_s: float | None
    throttled_s: float | None
    processors: int


class Conditions(NamedTuple):
    """Of one round's load: `other_cpu_s` is what neither the layout, nor the generator, nor this program used; of
    `processors` for `wall_s` seconds. None: this machine does not tell."""

    wall_s: float
    processors: int
    other_cpu_s: float | None
    stolen_s: float | None
    throttled_s: float | None
    load_average: float


def read(proc: Path = Path("/proc")) -> Reading:
    """Now."""
    cpu = _first_line(proc / "stat").split()
    # user nice system idle iowait irq softirq steal; guest time is in user's
    ticks = [int(each) for each in cpu[1:9]] if cpu[:1] == ["cpu"] and len(cpu) > 8 else []
    return Reading(
        wall_s=time.monotonic(),
        busy_s=sum(ticks[place] for place in (0, 1, 2, 5, 6)) / _TICKS_PER_S if ticks else None,
        stolen_s=ticks[7] / _TICKS_PER_S if ticks else None,
        throttled_s=throttled_s(os.getpid()),
        processors=os.cpu_count() or 1,
    )


def between(before: Reading, after: Reading, own_cpu_s: float) -> Conditions:
    """What happened from one reading to the other, `own_cpu_s` being what we know who used."""
    busy = _apart(before.busy_s, after.busy_s)
    return Conditions(
        wall_s=after.wall_s - before.wall_s,
        processors=after.processors,
        other_cpu_s=None if busy is None else max(busy - own_cpu_s, 0.0),
        stolen_s=_apart(before.stolen_s, after.stolen_s),
        throttled_s=_apart(before.throttled_s, after.throttled_s),
        load_average=os.getloadavg()[0],
    )


def clock_offset_s() -> float:
    """The time of day less a clock that nobody sets: it moves only when somebody sets the time of day."""
    return time.time() - time.monotonic()


def _apart(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(after - before, 0.0)


def _first_line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0]
    except OSError:
        return ""
