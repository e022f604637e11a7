"""The account of what each program has used, kept from the container's start to its end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pillion.image.launch import LaunchRecord
from pillion.image.supervise.memory import GroupMemory, group_memory, own_memory
from pillion.image.supervise.processes import Living, families, living, parents
from pillion.image.usage import ContainerUsage, ProgramUsage, Usage

# Whatever is reparented to supervisord is the backend's: the proxy never leaves anything behind.
ADOPTED = "backend"


class Accounts:
    """One for all lives of the programs, also when both are started afresh by SIGHUP."""

    def __init__(self) -> None:
        self._cpu_s: dict[str, float] = {}
        self._peak_bytes: dict[str, int] = {}
        self._ooms: dict[str, int] = {}
        self._kills_at_first = own_memory().oom_kills or 0
        # By control group, "" for the container's: its OOM killer's strikes when we last looked.
        self._kills: dict[str, int | None] = {"": self._kills_at_first}

    def ended(self, program: str, usage: Any) -> None:
        """A process of it, or one that it left behind, has ended with these resources (struct_rusage)."""
        self._cpu_s[program] = self._cpu_s.get(program, 0.0) + usage.ru_utime + usage.ru_stime
        self._peak_bytes[program] = max(self._peak_bytes.get(program, 0), usage.ru_maxrss * 1024)

    def adopted_ended(self, usage: Any) -> None:
        """One that nobody waited for."""
        self.ended(ADOPTED, usage)

    def out_of_memory(self, program: str, cgroup: str, killed: bool) -> bool:
        """Whether the kernel has struck since this was last asked, in the program's group or else in the container's;
        `killed`: the program's first process ended by a SIGKILL that was not ours."""
        kills = _memory(cgroup).oom_kills
        before = self._kills.get(cgroup, 0)
        self._kills[cgroup] = kills
        struck = killed and kills is not None and kills > (before or 0)
        self._ooms[program] = self._ooms.get(program, 0) + struck
        return struck

    def report(self, records: Mapping[str, LaunchRecord], starts: Mapping[str, int], pids: Mapping[str, int]) -> Usage:
        """What was used so far. `starts`: how often each program was started; `pids`: the first process of each that
        runs."""
        now = families({name: pids.get(name, 0) for name in records}, ADOPTED, parents(), os.getpid())
        programs = (self._program(record, starts.get(name, 0), living(now[name])) for name, record in records.items())
        own = own_memory()
        kills = None if own.oom_kills is None else own.oom_kills - self._kills_at_first
        return Usage(tuple(programs), ContainerUsage(own.peak, own.limit, own.limit_hits, kills))

    def _program(self, record: LaunchRecord, starts: int, now: Living) -> ProgramUsage:
        name = record.program
        group = _memory(record.cgroup) if record.cgroup else GroupMemory()
        largest = max(self._peak_bytes.get(name, 0), now.peak_bytes)
        return ProgramUsage(
            program=name,
            starts=starts,
            cpu_s=round(self._cpu_s.get(name, 0.0) + now.cpu_s, 3),
            # Kernels before 5.19 keep no peak of a group.
            peak_bytes=largest if group.peak is None else group.peak,
            now_bytes=now.now_bytes,
            grouped=group.peak is not None,
            oom_kills=self._ooms.get(name, 0) if group.oom_kills is None else group.oom_kills,
            limits=record.limits,
            unmet=record.unmet,
        )


def _memory(cgroup: str) -> GroupMemory:
    return group_memory(Path(cgroup)) if cgroup else own_memory()
