"""What programs leave behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from benchmarks.scoreboard.running import Missed, Running, eventually, gone
from benchmarks.scoreboard.stage import NoNotionError, Scenario, Stage
from pillion.compare.proc import cpu_seconds

MANY = 3000


def left_behind(stage: Stage) -> str:
    """A process in a session of its own, when its backend is killed and started again."""
    running = stage.start("orphan", restarts=3)
    running.ready()
    backend = running.backend()
    orphan = eventually(lambda: running.find(("sleep", "300")), "the orphan is there")
    os.kill(backend, signal.SIGKILL)
    try:
        running.backend(other_than=backend, within_s=6)
    except Missed:
        if running.wait(0.1) is not None:
            raise NoNotionError("it never starts a program again; the container ends, and all with it") from None
        raise
    if not gone(orphan):
        raise Missed("it lives beside the next backend")
    return ""


def many(stage: Stage) -> str:
    running = stage.start("orphans", str(MANY))
    running.says(f"{MANY} orphans made", 60)
    eventually(lambda: not _zombies(running), "no zombie left", 10)
    eventually(lambda: _quiet(running), "the first process is idle", 10)
    own = [line for line in running.log if "orphans" not in line.text]
    if len(own) > 30:
        raise Missed(f"{len(own)} lines in the log")
    return ""


def _quiet(running: Running) -> bool:
    before = cpu_seconds([running.first])
    time.sleep(0.3)
    return cpu_seconds([running.first]) == before


def _zombies(running: Running) -> list[int]:
    found = []
    for pid in running.family():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                found.append(pid)
    return found


SCENARIOS = (
    Scenario("S8", "a backend's orphan (setsid) is gone before the backend is back", left_behind),
    Scenario("S9", f"{MANY} orphans: no zombie, idle again, no flood in the log", many),
)
