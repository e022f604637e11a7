"""`pillion compare`: the main job, from the pair file to the table and the JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pillion.compare.histogram import Histogram
from pillion.compare.proc import descendants
from tests.conftest import ENTRY, PairFile, argv_of, eventually, listens

pytestmark = pytest.mark.usefixtures("nothing_left")
SHORT = ("--rounds", "2", "--duration", "0.5", "--rate", "100")
LAYOUTS = ["direct", "shared", "separate"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What a short comparison prints and writes."""
    folder = tmp_path_factory.mktemp("compared")
    written = folder / "result.json"
    command = [ENTRY, "compare", PairFile(folder).write(), *SHORT, "--json", written]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, json.loads(written.read_text())


def test_every_layout_is_measured(compared: tuple[str, dict[str, Any]]) -> None:
    """With no failed request, at the rate asked for, and figures that are real."""
    printed, document = compared
    assert list(document["layouts"]) == LAYOUTS and document["engine"] == "process"
    for layout, found in document["layouts"].items():
        assert found["failed"] == 0 and found["requests"] == 100, layout
        latency = found["latency_us"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"]
        assert found["memory_bytes"] > 2**20 and found["cpu_s_per_1000"] > 0 and found["ready_s"] > 0
        assert found["rate"] == pytest.approx(100, rel=0.1)
        rounds = [Histogram.decode(each["histogram"]) for each in found["rounds"]]
        assert Histogram.merged(rounds).percentiles() == latency
    processes = {name: found["processes"] for name, found in document["layouts"].items()}
    # The backend; with the proxy's master and worker; with supervisord, too.
    assert processes == {"direct": 1, "separate": 3, "shared": 4}
    assert all(name in printed for name in LAYOUTS)
    # A terminal of 80 columns shows the tables whole; only the path of the pair may be longer.
    assert [line for line in printed.splitlines() if len(line) > 80 and "pod.yaml" not in line] == []
    assert "Not measured on this engine" in printed


def test_conflicts_are_reported_with_their_resolution(compared: tuple[str, dict[str, Any]]) -> None:
    """And are no failure: exit code 0."""
    printed, document = compared
    by_name = {conflict["name"]: conflict for conflict in document["conflicts"]}
    assert by_name["PORT"]["severity"] == "S1" and by_name["LOG_LEVEL"]["severity"] == "S2"
    assert by_name["LOG_LEVEL"]["programs"] == ["proxy", "backend"] and by_name["LOG_LEVEL"]["resolution"]
    assert "LOG_LEVEL" in printed and "loud" not in printed + json.dumps(document)


def test_failed_requests_are_counted(pair_file: PairFile, tmp_path: Path) -> None:
    """A path that the backend answers with 404 fails every request, and the comparison still ran: exit code 0."""
    written = tmp_path / "result.json"
    command = [ENTRY, "compare", pair_file.write(), *SHORT, "--json", written, "--path", "/missing"]
    assert subprocess.run(command, capture_output=True, timeout=100, check=False).returncode == 0
    layouts = json.loads(written.read_text())["layouts"]
    assert {name: found["failed"] for name, found in layouts.items()} == dict.fromkeys(LAYOUTS, 100)
    assert layouts["direct"]["latency_us"] is None and layouts["direct"]["failures"]["status"] == 100


def test_a_link_is_followed_and_a_pipe_is_written_to(pair_file: PairFile, tmp_path: Path) -> None:
    """`--json` replaces nothing but a regular file."""
    real, link, pipe = tmp_path / "real.json", tmp_path / "link.json", tmp_path / "pipe.json"
    real.touch()
    link.symlink_to(real)
    os.mkfifo(pipe)
    short = ("--layout", "direct", "--rounds", "1", "--duration", "0.2")
    for where in (link, pipe):
        command = [ENTRY, "compare", pair_file.write(), *short, "--json", where]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        written = pipe.read_text() if where is pipe else ""
        assert process.wait(60) == 0
        assert json.loads(written or real.read_text())["layouts"]["direct"]["failed"] == 0
    assert link.is_symlink() and pipe.is_fifo()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_comparison_leaves_nothing(pair_file: PairFile, tmp_path: Path, number: int) -> None:
    """In the middle of the load: no process, no port, no half of a result."""
    written = tmp_path / "result.json"
    command = [ENTRY, "compare", pair_file.write(), "--json", written, "--layout", "shared"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually(lambda: any("pillion.compare.load" in argv_of(pid) for pid in descendants([process.pid])))
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "Traceback" not in errors
    assert not listens(pair_file.front) and not listens(pair_file.inner)
    assert list(tmp_path.iterdir()) == [pair_file.path]
