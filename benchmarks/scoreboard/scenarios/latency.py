"""How long a peer itself takes."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.scoreboard.running import Missed, below, eventually
from benchmarks.scoreboard.stage import Scenario, Stage

RECORDER = Path(__file__).parents[2] / "recorder.py"
ROUNDS = 3
FIRST_SPAWN_MS, TERM_MS = 150, 50


def latency(stage: Stage) -> str:
    """The least of three: what else runs on the machine is not the peer's."""
    spawns, terms = [], []
    for number in range(ROUNDS):
        folder = stage.folder / f"recorded-{number}"
        folder.mkdir()
        recorder = (sys.executable, "-I", "-S", str(RECORDER), str(folder))
        running = stage.start(command=recorder, proxy=recorder)
        _until(lambda running=running: running.first)  # type: ignore[misc]
        began = time.monotonic_ns()
        _until(lambda running=running: below(running.first, stage.peer.DEPTH))  # type: ignore[misc]
        spawns.append((time.monotonic_ns() - began) / 1e6)
        eventually(lambda folder=folder: len(list(folder.glob("up-*"))) == 2, "both are up")  # type: ignore[misc]
        asked = time.monotonic_ns()
        running.signal(signal.SIGTERM)
        running.wait(running.pair.grace_s)
        running.end()
        told = [int(file.read_text()) for file in folder.glob("term-*")]
        if not told:
            raise Missed(f"first spawn {min(spawns):.0f} ms, but its programs are never told to stop")
        terms.append((min(told) - asked) / 1e6)
    figures = f"first spawn {min(spawns):.0f} ms, TERM to TERM {min(terms):.1f} ms"
    if min(spawns) > FIRST_SPAWN_MS or min(terms) > TERM_MS:
        raise Missed(figures)
    return figures


def _until(look: Callable[[], object]) -> None:
    """As soon as can be."""
    late = time.monotonic() + 10
    while not look():
        if time.monotonic() > late:
            raise Missed("nothing is started within 10 s")
        time.sleep(0.0003)


SCENARIOS = (
    Scenario("S20", f"first spawn under {FIRST_SPAWN_MS} ms, TERM to TERM under {TERM_MS} ms", latency, timed=True),
)
