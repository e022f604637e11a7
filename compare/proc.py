"""What the kernel says of processes under /proc: who descends from whom, their memory and their CPU time."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

# The clock of another process's CPU time: how the kernel encodes its id (clock_getcpuclockid(3)).
_CPUCLOCK_SCHED = 2
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def parents() -> dict[int, int]:
    """Every process's parent (proc_pid_stat(5), field 4)."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(int(folder.name))):
            found[int(folder.name)] = int(fields[1])
    return found


def descendants(roots: Collection[int]) -> set[int]:
    """The living processes among `roots` and all that descend from them."""
    return family_of(roots, parents())


def family_of(roots: Collection[int], family: Mapping[int, int]) -> set[int]:
    """The same, by what `parents` gave before."""
    tree = {pid for pid in roots if pid in family}
    while grown := {pid for pid, parent in family.items() if parent in tree and pid not in tree}:
        tree |= grown
    return tree


def command_line(pid: int) -> list[str]:
    """A process's arguments; [] if it has gone."""
    return _read(f"/proc/{pid}/cmdline").split("\0")[:-1]


def process_group(pid: int) -> int:
    """0 if it has gone (proc_pid_stat(5), field 5)."""
    fields = _stat(pid)
    return int(fields[2]) if fields else 0


def proportional_set_size(pids: Iterable[int]) -> int:
    """Bytes of memory: private pages whole, shared pages divided by those who share them (PSS)."""
    return sum(_pss(pid) for pid in pids)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor seconds that these processes and the children they have reaped have used, user and system."""
    return sum(_cpu(pid) for pid in pids)


def _pss(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu(pid: int) -> float:
    """The process's own clock counts nanoseconds of every thread it ever had; its reaped children come in ticks."""
    fields = _stat(pid)
    if not fields:
        return 0.0
    try:
        own = time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED) / 1e9
    except OSError:
        own = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return own + (int(fields[13]) + int(fields[14])) / _TICKS_PER_S


def _stat(pid: int) -> list[str]:
    """The fields behind the command's name, which may hold anything, so that [0] is the state."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _read(path: str) -> str:
    """A file of /proc, "" if its process has gone."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""
