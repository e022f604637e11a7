"""What the kernel says of processes under /proc: who descends from whom, their memory and their CPU time."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

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
    family = parents()
    tree = {pid for pid in roots if pid in family}
    while grown := {pid for pid, parent in family.items() if parent in tree and pid not in tree}:
        tree |= grown
    return tree


def proportional_set_size(pids: Iterable[int]) -> int:
    """Bytes of memory: private pages whole, shared pages divided by those who share them (PSS)."""
    return sum(_pss(pid) for pid in pids)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor seconds that the living threads of these processes have used, user and system."""
    return sum(_cpu(pid) for pid in pids)


def _pss(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu(pid: int) -> float:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return 0.0
    # Nanoseconds where the kernel keeps them (sched-stats.rst), ticks of 10 ms where it does not.
    exact = [_read(thread / "schedstat").split() for thread in threads]
    if all(exact):
        return sum(int(fields[0]) for fields in exact) / 1e9
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields behind the command's name, which may hold anything, so that [0] is the state."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _read(path: str | Path) -> str:
    """A file of /proc, "" if its process has gone."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""
