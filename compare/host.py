"""The machine that a comparison ran on, as far as a reader needs to know it to repeat it or to doubt it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple


class Host(NamedTuple):
    """`processor` is the model's name, "" where the kernel does not tell; `processors` of them are there, and `allowed`
    for us. `virtual`: a hypervisor stands below."""

    system: str
    kernel: str
    processor: str
    processors: int
    allowed: int
    virtual: bool
    memory_bytes: int
    python: str


def describe(proc: Path = Path("/proc"), etc: Path = Path("/etc")) -> Host:
    """This one."""
    cpu = _fields(proc / "cpuinfo", ":")
    memory = _fields(proc / "meminfo", ":").get("MemTotal", "0").split()
    release = _fields(etc / "os-release", "=")
    return Host(
        system=release.get("PRETTY_NAME", platform.system()).strip('"'),
        kernel=platform.release(),
        processor=cpu.get("model name") or cpu.get("Model") or platform.processor() or platform.machine(),
        processors=os.cpu_count() or 1,
        allowed=len(os.sched_getaffinity(0)),
        virtual="hypervisor" in cpu.get("flags", "").split(),
        memory_bytes=int(memory[0]) * 1024 if memory and memory[0].isdigit() else 0,
        python=platform.python_version(),
    )


def _fields(path: Path, between: str) -> dict[str, str]:
    """Of lines of names and values the first of each name; {} where there is no such file."""
    found: dict[str, str] = {}
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return found
    for line in lines:
        name, _, value = line.partition(between)
        found.setdefault(name.strip(), value.strip())
    return found
