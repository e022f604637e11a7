"""`pillion compare` that fails or is stopped half-way: what was measured is kept, and it says that it is a part."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BACKEND, ENTRY, PairFile, eventually

pytestmark = pytest.mark.usefixtures("nothing_left")
SHORT = ("--layout", "direct", "--rounds", "4", "--duration", "0.4", "--warm-up", "0.1", "--rate", "50")


def starting(pair: PairFile, then: str, third: str) -> Path:
    """A backend that notes each of its starts in the file that is given back, and is another from the third on."""
    starts = pair.path.with_name("starts")
    script = f'echo >> {starts}; [ "$(wc -l < {starts})" -lt 3 ] || exec {third}; exec {then}'
    pair.backend["command"] = ["sh", "-c", script]
    pair.write()
    return starts


def lines(file: Path) -> int:
    """How many it has, 0 if it is not there."""
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_a_backend_that_dies_half_way_leaves_the_rounds_before(pair_file: PairFile, tmp_path: Path) -> None:
    """In the JSON, in the page, in the Markdown, on the terminal; exit code 1, with what killed it."""
    backend = f"{sys.executable} {BACKEND}"
    starting(pair_file, backend, f"{backend} crash 0.4 9")
    files = {name: tmp_path / f"result.{name}" for name in ("json", "html", "markdown")}
    options = [word for name, file in files.items() for word in (f"--{name}", file)]
    command = [ENTRY, "compare", pair_file.path, *SHORT, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    document = json.loads(files["json"].read_text())
    assert len(document["layouts"]["direct"]["rounds"]) == 2 and document["layouts"]["direct"]["requests"] == 40
    assert "the backend ended with 9" in document["partial"]
    for said in (done.stderr, files["html"].read_text(), files["markdown"].read_text(), " ".join(done.stdout.split())):
        assert "partial" in said.lower() and "the backend ended with 9" in said


def test_a_comparison_that_is_stopped_keeps_its_whole_rounds(pair_file: PairFile, tmp_path: Path) -> None:
    """Exit code 1: there is a result, and it is a part."""
    backend = f"{sys.executable} {BACKEND}"
    starts = starting(pair_file, backend, backend)
    command = [ENTRY, "compare", pair_file.path, *SHORT, "--rounds", "50", "--json", tmp_path / "result.json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually(lambda: lines(starts) >= 2, 60)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert (tmp_path / "result.json").exists(), (errors, printed)
    document: dict[str, Any] = json.loads((tmp_path / "result.json").read_text())
    assert document["partial"] == "stopped by SIGINT" and document["layouts"]["direct"]["rounds"]
    assert "the comparison is partial: stopped by SIGINT" in errors and "Partial" in printed


def test_what_cannot_be_written_keeps_nothing_else_from_it(pair_file: PairFile, tmp_path: Path) -> None:
    """A full disk under one file: the others are written, the table is shown, exit code 1, no half of a file."""
    written = tmp_path / "page.html"
    command = [ENTRY, "compare", pair_file.write(), *SHORT, "--rounds", "1", "--json", "/dev/full", "--html", written]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1 and "cannot write /dev/full: No space left on device" in done.stderr
    assert "latency p50" in done.stdout and written.read_text().endswith("</html>\n")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["page.html", "pod.yaml"]
