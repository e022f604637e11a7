"""The benchmark of the statistics: that it tells good rounds from bad ones, and records real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from benchmarks.intervals import METHODS, NOISES, ROUNDS, simulate
from benchmarks.resampling import merged, resample
from benchmarks.spread import spread, windows
from benchmarks.statistics import recorded
from pillion.compare.result import MIB, Sample
from tests.compare.samples import sample
from tests.conftest import ORDERS

ROOT = ORDERS.parent.parent


def rounds_of(spread_us: float) -> list[Sample]:
    """Two hundred rounds of one layout."""
    chance = Random(7)
    return [
        sample(int(900 + chance.gauss(0, spread_us)), 90 * MIB + chance.gauss(0, MIB), 0.7 + chance.gauss(0, 0.02), 5)
        for _ in range(200)
    ]


def test_resampling_tells_a_quiet_machine_from_a_noisy_one() -> None:
    """On the quiet one everything is found and nothing is made up; the noisy one is told by what stays open."""
    quiet = resample(rounds_of(40), rounds=12, pairs=40, block=2, seed=1)
    assert set(quiet.different.values()) == {0} and set(quiet.inconclusive.values()) == {0}
    assert quiet.found["latency_us.p50"] == quiet.found["memory_bytes"] == 40
    assert quiet.found["cpu_s_per_1000"] == 0  # nobody made it dearer
    noisy = resample(rounds_of(400), rounds=12, pairs=40, block=2, seed=1)
    assert noisy.inconclusive["latency_us.p50"] > 30 and noisy.different["latency_us.p50"] <= 2
    assert noisy == resample(rounds_of(400), rounds=12, pairs=40, block=2, seed=1)


def test_rounds_are_merged_as_if_they_had_been_longer() -> None:
    """All their requests count; a rest that is not whole is left out."""
    rounds = [
        sample(latency, 90 * MIB + number, cpu, 5) for number, (latency, cpu) in enumerate([(100, 1.0), (300, 2.0)] * 2)
    ]
    (first, second) = merged([*rounds, rounds[0]], 2)
    assert first.load.latency.count == 2 * rounds[0].load.latency.count and first.load.latency.max >= 300
    assert (first.cpu_s_per_1000, second.cpu_s_per_1000) == (1.5, 1.5) and second.memory_bytes == 90 * MIB + 2
    assert [each.load.latency.max for each in merged(rounds, 1)] == [each.load.latency.max for each in rounds]


def test_noise_of_windows_is_told_from_noise_of_starts() -> None:
    """The first window warms up, the last is not whole, and what failed has no latency."""
    each = [(at / 10, "ok", 1000 if at < 15 else 100 + at) for at in range(70)] + [(2.0, "timeout", 10**7)]
    assert windows(sorted(each)) == [122.0, 137.0, 152.0]
    restless = spread([[90.0, 110.0, 90.0, 110.0], [110.0, 90.0, 110.0, 90.0]])
    assert (restless.windows, restless.within, restless.between, restless.by_chance) == (4, 10.0, 0.0, 5.0)
    assert spread([[90.0, 90.0], [110.0, 110.0]]).within == 0.0 < spread([[90.0, 90.0], [110.0, 110.0]]).between


def test_coverage_is_simulated_for_every_method() -> None:
    """The signed rank has none below its least number of rounds, and holds what it says where it has."""
    rows = simulate(3, 0.95, 3, draws=2001)
    assert len(rows) == len(METHODS) * len(NOISES) * len(ROUNDS)
    ranks = [each for each in rows if each.method == "signed rank"]
    assert all(each.width != each.width for each in ranks if each.rounds == 5)
    assert sum(each.coverage for each in ranks if each.rounds > 5) / (4 * len(NOISES)) > 0.9


@pytest.mark.usefixtures("nothing_left")
def test_real_rounds_are_recorded_and_resampled(tmp_path: Path) -> None:
    """What `record` writes, `resample` reads; a time that is over ends it, and keeps what was measured."""
    file = tmp_path / "rounds.json"
    command = [sys.executable, "-m", "benchmarks.statistics"]
    more = ["--record=3", "--duration=0.3", "--at-most=40", f"--json={file}"]
    done = subprocess.run(
        [*command, "record", *more], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    samples = recorded(file)
    assert 1 <= len(samples) <= 3 and all(each.load.requests == 60 for each in samples)
    assert all(each["conditions"]["wall_s"] > 0 for each in json.loads(file.read_text())["rounds"])
    done = subprocess.run(
        [*command, "resample", "--block=1", "--pairs=5", f"--json={file}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ("5 pairs of runs" in done.stdout) == (len(samples) > 1), done.stderr


@pytest.mark.usefixtures("nothing_left")
def test_fresh_runs_notice_a_proxy_that_is_really_fatter(tmp_path: Path) -> None:
    """One round is too few for a verdict, but the difference is there to be seen; each run is kept."""
    command = [sys.executable, "-m", "benchmarks.statistics", "fresh", "--runs=1", "--rounds=1", "--duration=0.3"]
    done = subprocess.run(
        [*command, f"--json={tmp_path / 'x.json'}"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 1 and "MISSED" in done.stdout, done.stderr
    (run,) = json.loads((tmp_path / "fresh-runs.json").read_text())["runs"]
    (memory,) = [float(said.split()[2]) for said in run["changed"] if said.startswith("memory")]
    assert 15 < memory < 25, run
