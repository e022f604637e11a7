"""The check of the load generator against wrk: that it runs, reads wrk right, and knows agreement when it sees it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load import OURS, WRK, agreement, wrk_figures
from tests.conftest import ORDERS, cannot_test

SAID = """\
Running 1s test @ http://127.0.0.1:1/
  1 threads and 16 connections
  Latency Distribution
     50%  950.00us
     75%    1.25ms
     90%    2.50ms
     99%    1.20s
  1400 requests in 1.00s, 57.42KB read
Requests/sec:   1399.50
Transfer/sec:     57.40KB
"""


def test_what_wrk_says_is_read_in_its_units() -> None:
    """Microseconds, milliseconds and seconds; something else is no figure."""
    expected = {"requests_per_s": 1399.5, "p50_ms": 0.95, "p90_ms": 2.5, "p99_ms": 1200.0}
    assert wrk_figures(SAID) == pytest.approx(expected)
    with pytest.raises(ValueError, match="something else"):
        wrk_figures("unable to connect to 127.0.0.1:1 Connection refused")


def test_agreement_is_within_five_percent_and_a_millisecond() -> None:
    """Of the medians; one figure that is off is told by its name."""
    wrk = {"requests_per_s": 1000.0, "p50_ms": 10.0, "p90_ms": 11.0, "p99_ms": 15.0}
    near = {"requests_per_s": 960.0, "p50_ms": 10.9, "p90_ms": 11.0, "p99_ms": 14.5}
    assert all(row["met"] for row in agreement({OURS: [near], WRK: [wrk]}))
    off = {**near, "requests_per_s": 940.0, "p99_ms": 17.0}
    assert [row["figure"] for row in agreement({OURS: [off], WRK: [wrk]}) if not row["met"]] == [
        "requests_per_s",
        "p99_ms",
    ]


@pytest.mark.usefixtures("nothing_left")
def test_it_runs(tmp_path: Path) -> None:
    """Both against a server of 10 ms, and neither sees less; how near they are is for a quiet machine."""
    if shutil.which("wrk") is None:
        cannot_test("the load generator cannot be checked: wrk is not installed")
    file = tmp_path / "load.json"
    command = [sys.executable, "-m", "benchmarks.load", "--rounds=1", "--warm-up=0", "--seconds=1", f"--json={file}"]
    done = subprocess.run(command, cwd=ORDERS.parent.parent, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(file.read_text())
    for name in (OURS, WRK):
        (figures,) = document["samples"][name]
        assert figures["p50_ms"] >= 9.5 and 0 < figures["requests_per_s"] <= 1600
