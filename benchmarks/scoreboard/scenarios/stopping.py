"""How all is stopped."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.scoreboard.running import Missed, Running, below, eventually, get
from benchmarks.scoreboard.stage import Scenario, Stage, stop_processes
from pillion.compare.proc import descendants

SIGTERM_BIT = 1 << 14


def stopped(running: Running, within_s: float) -> int:
    """The container's exit code."""
    code = running.wait(within_s)
    if code is None:
        raise Missed(f"it has not ended within {within_s:g} s")
    return code


def in_flight(stage: Stage) -> str:
    """A backend that ends at once on SIGTERM, as one without a handler does: who is stopped first decides."""
    running = stage.start()
    running.ready()
    answers = set()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(get, running.front, "/slow", 20)
        running.says("slow begins")
        running.signal()
        deadline = time.monotonic() + running.pair.grace_s
        while running.process.poll() is None and time.monotonic() < deadline:
            try:
                answers.add(get(running.front, timeout_s=5).status)
            except OSError:
                answers.add(0)  # refused or closed
            time.sleep(0.05)
        stopped(running, 1)
        try:
            answer = slow.result(20).status
        except OSError as error:
            raise Missed("the request in flight got no answer") from error
    if answer != 200:
        raise Missed(f"the request in flight got {answer}")
    if 502 in answers:
        raise Missed("new requests got 502")
    return ""


def clean(stage: Stage) -> str:
    running = stage.start()
    running.ready()
    running.signal()
    if code := stopped(running, running.pair.grace_s):
        raise Missed(f"exit code {code}")
    return ""


def deaf(stage: Stage) -> str:
    """Both programs: a stopped process hears nothing but SIGKILL."""
    running = stage.start("deaf")
    running.ready()
    stop_processes(descendants([running.proxy()]))
    began = time.monotonic()
    running.signal()
    stopped(running, running.pair.grace_s)
    took = time.monotonic() - began
    if not any("SIGKILL" in line.text or "killed" in line.text for line in running.log):
        raise Missed(f"ended after {took:.1f} s, and no line says that anything was killed")
    return f"{took:.1f} s"


def during_start(stage: Stage) -> str:
    """Three times: as soon as the first process takes the signal, while a program starts, while one waits to be started
    again."""
    early = stage.start("late", "60")
    # Who waits for signals has them in no mask meanwhile, but has started something by then.
    eventually(lambda: _takes_sigterm(early.first) or below(early.first, 1), "SIGTERM is taken")
    starting = stage.start("late", "60")
    starting.backend()
    waiting = stage.start(command=("/bin/sh", "-c", "echo no database; exit 3"), restarts=5, pause_s=20)
    waiting.says("no database")
    for running, when in ((early, "before the first spawn"), (starting, "during the start"), (waiting, "in backoff")):
        if running.process.poll() is None:
            running.signal()
        if running.wait(5) is None:
            raise Missed(f"SIGTERM {when}: it has not ended within 5 s")
    return ""


def _takes_sigterm(pid: int) -> bool:
    """The kernel drops what the first process has no handler for; blocked, it waits."""
    if not pid:
        return False
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = (int(line.split()[1], 16) for line in lines if line.startswith(("SigBlk:", "SigCgt:")))
    return any(mask & SIGTERM_BIT for mask in masks)


SCENARIOS = (
    Scenario("S1", "SIGTERM: what is in flight gets its 200, nobody a 502", in_flight, by_proxy=True),
    Scenario("S5", "a clean stop is exit code 0", clean),
    Scenario("S6", "both deaf: ended within the grace, and a line says by SIGKILL", deaf),
    Scenario("S7", "SIGTERM before the first spawn, in a start, in backoff: prompt", during_start),
)
