"""What each program of a layout uses by itself, from its living processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pillion.compare.proc import cpu_seconds, proportional_set_size
from pillion.compare.result import Program

Programs = Mapping[str, Collection[int]]


def cpu_by_program(programs: Programs) -> dict[str, float]:
    """Processor seconds so far, those of the children that its processes have reaped included."""
    return {name: cpu_seconds(pids) for name, pids in programs.items()}


def use_by_program(programs: Programs, cpu_before: Mapping[str, float], thousands: float) -> dict[str, Program]:
    """Since `cpu_before`, in which so many thousand requests were sent. A program without a process is left out."""
    return {
        name: Program(
            memory_bytes=proportional_set_size(pids),
            # Less than before if a process has gone and nobody of the program has reaped it.
            cpu_s_per_1000=max(cpu_seconds(pids) - cpu_before.get(name, 0.0), 0.0) / thousands,
            processes=len(pids),
        )
        for name, pids in programs.items()
        if pids
    }
