"""A command, run and measured: wall time, processor time, peak memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Measured(NamedTuple):
    """What one command cost. `peak_mib` is of its largest process (getrusage(2), ru_maxrss)."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def measure(command: Sequence[str | Path], environ: Mapping[str, str] = {}, timeout_s: float = 300) -> Measured:
    """Run it to its end. Raises RuntimeError, with what it said, if it fails."""
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        child = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**os.environ, **environ}
        )
        late = threading.Timer(timeout_s, child.kill)
        late.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        finally:
            late.cancel()
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(map(str, command))}: {said.read().decode(errors='replace')}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run(*command: str | Path, timeout_s: float = 600) -> str:
    """Run it unmeasured; gives what it prints. Raises RuntimeError, with what it said, if it fails."""
    done = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, errors="replace", timeout=timeout_s
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout.strip()
