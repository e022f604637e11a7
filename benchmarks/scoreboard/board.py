"""Every scenario put to every peer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.scoreboard.pair import Peer
from benchmarks.scoreboard.peers import pillion, s6, supervisor, tini
from benchmarks.scoreboard.running import Missed
from benchmarks.scoreboard.scenarios import ends, environment, latency, logs, memory, orphans, stopping, traffic
from benchmarks.scoreboard.stage import NoNotionError, Scenario, Stage

PEERS: tuple[Peer, ...] = (pillion, supervisor, s6, tini)
SUBJECTS = (stopping, ends, orphans, environment, logs, traffic, memory, latency)
SCENARIOS = tuple(
    sorted((each for subject in SUBJECTS for each in subject.SCENARIOS), key=lambda each: int(each.number[1:]))
)
# What is no question to a supervisor.
NOT_PUT = {"S18": "a default of `pillion run`, not of a supervisor"}
PASS, FAIL, NONE, BROKEN = "pass", "fail", "-", "?"


class Outcome(NamedTuple):
    """`verdict`: pass, fail, - (the peer has no such thing) or ? (the harness failed); `why` in words."""

    verdict: str
    why: str
    seconds: float


def play(scenario: Scenario, peer: Peer) -> Outcome:
    """One scenario, one peer."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sb-") as name:
        Path(name).chmod(0o755)
        stage = Stage(peer, Path(name))
        try:
            verdict, why = PASS, scenario.run(stage)
        except Missed as missed:
            verdict, why = FAIL, str(missed)
        except NoNotionError as none:
            verdict, why = NONE, str(none)
        except Exception as error:  # noqa: BLE001 (one broken scenario must not take the others' results with it)
            verdict, why = BROKEN, repr(error)
        finally:
            stage.end()
    return Outcome(verdict, why, time.monotonic() - began)


def play_all(
    scenarios: Sequence[Scenario], peers: Sequence[Peer], at_once: int, told: Callable[[Scenario, Peer, Outcome], None]
) -> dict[str, dict[str, Outcome]]:
    """Scenario to peer to outcome; `told` as each is known. Those that are timed run alone."""
    found: dict[str, dict[str, Outcome]] = {each.number: {} for each in scenarios}

    def one(job: tuple[Scenario, Peer]) -> None:
        scenario, peer = job
        outcome = found[scenario.number][peer.NAME] = play(scenario, peer)
        told(scenario, peer, outcome)

    jobs = [(scenario, peer) for scenario in scenarios for peer in peers]
    for job in (job for job in jobs if job[0].timed):
        one(job)
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, (job for job in jobs if not job[0].timed)))
    return found
