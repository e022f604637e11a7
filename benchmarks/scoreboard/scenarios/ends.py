"""What happens when a program ends unasked."""

from __future__ import annotations

import os
import signal

from benchmarks.scoreboard.running import Missed, Running
from benchmarks.scoreboard.stage import NoNotionError, Scenario, Stage

FAILS = ("/bin/sh", "-c", "echo no database >&2; exit 3")
LIVES = ("/bin/sh", "-c", "echo up; sleep 1.2; echo down; exit 4")


def ends_with(running: Running, code: int, within_s: float) -> None:
    """The container."""
    found = running.wait(within_s)
    if found is None:
        raise Missed(f"the container is still there after {within_s:g} s")
    if found != code:
        raise Missed(f"the container ended with {found} and not with {code}")


def spent(stage: Stage) -> str:
    running = stage.start(command=FAILS, restarts=1)
    ends_with(running, 3, 8)
    if not any("backend" in line.text for line in running.log[-3:]):
        raise Missed("exit code 3, but no line at the end names the program")
    return ""


def killed(stage: Stage) -> str:
    running = stage.start(restarts=0)
    running.ready()
    os.kill(running.backend(), signal.SIGKILL)
    ends_with(running, 137, 6)
    return ""


def crashes_again_and_again(stage: Stage) -> str:
    """1.2 seconds each: longer than supervisord takes for a start."""
    running = stage.start(command=LIVES, restarts=2, pause_s=0.6)
    code = running.wait(14)
    ups = [line.when for line in running.log if line.stream == "stdout" and line.text.endswith("up")]
    downs = [line.when for line in running.log if line.stream == "stdout" and line.text.endswith("down")]
    pauses = [up - down for down, up in zip(downs, ups[1:], strict=False)]
    shown = ", ".join(f"{pause:.1f}" for pause in pauses)
    if code is None:
        raise Missed(f"never given up; {len(ups)} starts, pauses of {shown} s")
    if not pauses:
        raise NoNotionError("it never starts a program again")
    if code != 4:
        raise Missed(f"the container ended with {code} and not with 4")
    if pauses[-1] < 1.15 * pauses[0]:
        raise Missed(f"given up with 4, but the pauses do not grow ({shown} s)")
    return f"pauses of {shown} s"


SCENARIOS = (
    Scenario("S3", "retries spent: the container ends with the code, and says whose", spent),
    Scenario("S4", "kill -9, restarts off: the container ends with 137", killed),
    Scenario("S19", "crashes after it was up: pauses grow, then the container ends", crashes_again_and_again),
)
