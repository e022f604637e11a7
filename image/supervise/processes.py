"""What the kernel says of living processes: who descends from whom, what they have used."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Living(NamedTuple):
    """Processes together: CPU time, with that of the children they have reaped; memory now, and the most that one of
    them ever held, in bytes."""

    cpu_s: float = 0.0
    now_bytes: int = 0
    peak_bytes: int = 0


def parents(processes: Path = Path("/proc")) -> dict[int, int]:
    """Every process's parent (proc_pid_stat(5), field 4)."""
    found = {}
    for folder in processes.iterdir():
        if folder.name.isdigit() and (fields := _stat(folder)):
            found[int(folder.name)] = int(fields[1])
    return found


def families(programs: Mapping[str, int], rest: str, family: Mapping[int, int], own: int) -> dict[str, set[int]]:
    """Each program's living processes: those that descend from its first one (`programs`: name to pid), and for the
    program `rest` what else descends from `own`, which adopts what is left behind. `family` is process to parent."""
    roots = {pid: name for name, pid in programs.items() if pid}
    found: dict[str, set[int]] = {name: set() for name in (*programs, rest)}
    for pid in family:
        at, steps = pid, 0
        while at in family and at not in roots and family[at] != own and steps < len(family):
            at, steps = family[at], steps + 1
        if at in roots:
            found[roots[at]].add(pid)
        elif family.get(at) == own:
            found[rest].add(pid)
    return found


def living(pids: Iterable[int], processes: Path = Path("/proc")) -> Living:
    """What they have used; who has gone meanwhile counts as nothing."""
    cpu, now, peak = 0.0, 0, 0
    for pid in pids:
        if fields := _stat(processes / str(pid)):
            cpu += sum(map(int, fields[11:15])) / _TICKS_PER_S
        sizes = _sizes(processes / str(pid))
        now += sizes.get("VmRSS", 0)
        peak = max(peak, sizes.get("VmHWM", 0))
    return Living(cpu, now, peak)


def _stat(folder: Path) -> list[str]:
    """The fields behind the command's name, which may hold anything, so that [0] is the state."""
    return _read(folder / "stat").rpartition(")")[2].split()


def _sizes(folder: Path, names: Collection[str] = ("VmRSS", "VmHWM")) -> dict[str, int]:
    pairs = (line.partition(":") for line in _read(folder / "status").splitlines())
    return {name: int(value.split()[0]) * 1024 for name, _, value in pairs if name in names}


def _read(file: Path) -> str:
    """A file of /proc, "" if its process has gone."""
    try:
        return file.read_text()
    except OSError:
        return ""
