"""What else the machine did, from the kernel's counters; and environments of random length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from pillion.compare import machine
from pillion.compare.cgroup import throttled_s
from pillion.compare.machine import Conditions, Reading
from pillion.compare.padding import MOST, VARIABLE, pad
from pillion.compare.report.verdicts import conditions_line
from pillion.image.pair import Container, Pair
from tests.compare.samples import sample

BUSY = "import time\nuntil = time.process_time() + 0.5\nwhile time.process_time() < until: pass"


def test_what_others_use_is_seen() -> None:
    """Another process burns half a second, which is not ours; and ours is taken off."""
    before = machine.read()
    subprocess.run([sys.executable, "-c", BUSY], check=True, timeout=60)
    after = machine.read()
    found = machine.between(before, after, 0.0)
    assert found.other_cpu_s is not None and found.other_cpu_s >= 0.4 and found.stolen_s is not None
    assert machine.between(before, after, 10**6).other_cpu_s == 0
    assert found.wall_s > 0 and found.processors >= 1


def test_the_counters_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    """Idle and I/O wait are not work; what is not told is None and never 0."""
    (tmp_path / "stat").write_text("cpu  100 10 50 9999 7 5 5 300 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    found = machine.read(tmp_path)
    assert (found.busy_s, found.stolen_s) == pytest.approx((1.7, 3.0))
    nothing = machine.read(tmp_path / "missing")
    assert nothing.busy_s is None and nothing.stolen_s is None
    assert machine.between(nothing, found, 1.0).other_cpu_s is None
    before = Reading(0.0, 1.0, 1.0, None, 2)
    assert machine.between(before, Reading(2.0, 3.5, 1.25, None, 2), 1.0)[:5] == (2.0, 2, 1.5, 0.25, None)


@pytest.mark.parametrize(("text", "expected"), [("throttled_time 2500000000\n", 2.5), ("usage_usec 3\n", None)])
def test_throttling_is_read_from_version_1(tmp_path: Path, text: str, expected: float | None) -> None:
    """Its controller cpu may be mounted apart from cpuacct."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/7").mkdir()
    (tmp_path / "cpu/a").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(f"32 25 0:28 / {tmp_path}/cpu rw - cgroup cgroup rw,cpu\n")
    (tmp_path / "proc/7/cgroup").write_text("3:cpuacct:/b\n2:cpu:/a\n")
    (tmp_path / "cpu/a/cpu.stat").write_text(f"nr_periods 1\n{text}")
    assert throttled_s(7, tmp_path / "proc") == expected


def test_throttling_is_read_from_version_2(tmp_path: Path) -> None:
    """In microseconds."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/7").mkdir()
    (tmp_path / "proc/self/mountinfo").write_text(f"30 25 0:26 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "proc/7/cgroup").write_text("0::/\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 9\nnr_throttled 2\nthrottled_usec 1500000\n")
    assert throttled_s(7, tmp_path / "proc") == 1.5


def line(*conditions: Conditions) -> str:
    """What is said of rounds under these."""
    return conditions_line({"direct": [sample(1, conditions=each) for each in conditions]})


def test_load_steal_and_throttling_are_said() -> None:
    """And that there was none, and what this machine cannot tell."""
    quiet = Conditions(10.0, 2, 0.1, 0.01, 0.0, 0.5)
    assert line(quiet) == "While under load, no other load or steal time or throttling was noticed."
    busy = line(quiet._replace(other_cpu_s=12.0), quiet)
    assert "other programs used 0.60 of 2 processors, 1.20 in the worst round" in busy and "steal" not in busy
    assert "the host took 5.0% of the processors' time" in line(quiet._replace(stolen_s=1.0))
    assert "throttled this program's control group for 0.50 s" in line(quiet._replace(throttled_s=0.5))
    blind = line(quiet._replace(throttled_s=None))
    assert blind.endswith("other load or steal time was noticed; throttling cannot be seen here.")
    assert line().endswith("cannot be seen here.")


def test_environments_are_padded_by_chance_and_repeatably() -> None:
    """Each program by an amount of its own, anew each time; nothing else of the pair changes."""
    pair = Pair("a", "a.yaml", Path(), Container("backend", "b", env={"A": "1"}), Container("proxy", "p"))
    chance = Random(1)
    drawn = [pad(pair, chance) for _ in range(50)]
    assert drawn[0] == pad(pair, Random(1))
    for padded, lengths in drawn:
        assert padded.backend.env == {"A": "1", VARIABLE: "x" * lengths["backend"]}
        assert padded.proxy.env == {VARIABLE: "x" * lengths["proxy"]} and max(lengths.values()) < MOST
        assert padded._replace(backend=pair.backend, proxy=pair.proxy) == pair
    assert len({lengths["backend"] for _, lengths in drawn}) > 30
    assert any(lengths["backend"] != lengths["proxy"] for _, lengths in drawn)
