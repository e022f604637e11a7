"""The benchmarks run and keep every figure; what they find is not judged here."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.big_backend import Size, write
from benchmarks.engines import REPOSITORY, engines
from benchmarks.rounds import Contender, Reach, interleaved, judged, report
from tests.conftest import cannot_test
from tests.containers import bases
from tests.images import sidecar, write_layout

TINY = Size(200, 2)


def test_they_need_the_standard_library_and_pillion_only() -> None:
    """And the images and the frozen cases of the tests."""
    ours = ("benchmarks", "pillion")
    for file in (bases.ROOT / "benchmarks").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.split(".")[0]
                of_tests = name in ("tests.containers", "tests.environ_cases")
                assert top in sys.stdlib_module_names or top in ours or of_tests, f"{file.name} imports {name}"


def test_each_takes_its_turn_and_the_warm_up_is_dropped() -> None:
    """Every round begins with another."""
    order: list[str] = []

    def contender(name: str) -> Contender:
        return Contender(name, lambda: order.append(name) or {"seconds": float(len(order))})  # type: ignore[func-returns-value]

    samples = interleaved([contender("a"), contender("b")], rounds=2, warm_up=1)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert samples == {"a": [{"seconds": 4.0}, {"seconds": 5.0}], "b": [{"seconds": 3.0}, {"seconds": 6.0}]}


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that was slow in one round was slow for both."""
    samples = {"ours": [{"seconds": 1.0}, {"seconds": 10.0}], "peer": [{"seconds": 2.0}, {"seconds": 20.0}]}
    found = judged(Reach("ours", "seconds", 0.5, peer="peer"), samples)
    assert found and (found["kind"], found["low"], found["median"], found["high"]) == ("ratio", 0.5, 0.5, 0.5)
    assert found["met"] and not (judged(Reach("ours", "seconds", 5), samples) or {})["met"]
    assert judged(Reach("ours", "seconds", 0.5, peer="nobody"), samples) is None
    document = report("x", samples, [Reach("ours", "seconds", 1, over="nobody")], {})
    assert document["not_measured"] and not document["reach"]


def test_the_big_backend_is_the_same_every_time(tmp_path: Path) -> None:
    """Its digest can be kept as the name of a cached image."""
    for name in ("one", "two"):
        write(tmp_path / name, TINY)
    one, two = (json.loads((tmp_path / name / "index.json").read_text()) for name in ("one", "two"))
    assert one == two
    size = sum(each.stat().st_size for each in (tmp_path / "one" / "blobs" / "sha256").iterdir())
    assert 1.5 < size / (1 << 20) < 3


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A sidecar of some bytes, and the images of the tiny backend gone afterwards."""
    if why := bases.missing():
        cannot_test(f"the benchmarks cannot run: {why}")
    monkeypatch.setenv("PILLION_TEST_CACHE", str(tmp_path / "cache"))
    yield f"oci:{write_layout(tmp_path / 'sidecar', sidecar())}"
    for engine in engines():
        engine.remove(f"{REPOSITORY}/backend:{TINY.tag}")


@pytest.fixture
def real_sidecar() -> str:
    """The sidecar of the tests of containers."""
    if why := bases.missing():
        cannot_test(f"the benchmarks cannot run: {why}")
    return f"containers-storage:{bases.sidecar()}"


def document_of(name: str, tmp_path: Path, *options: str) -> dict[str, Any]:
    """What it writes, when every figure in it is a number."""
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", file, *options]
    done = subprocess.run(
        command, cwd=bases.ROOT, env={**os.environ}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reach" in done.stdout and str(file) in done.stdout
    document: dict[str, Any] = json.loads(file.read_text())
    assert document["samples"] and document["reach"]
    for rounds in document["samples"].values():
        assert rounds and all(math.isfinite(value) for figures in rounds for value in figures.values())
    return document


@pytest.mark.timeout(300)
def test_build(tmp_path: Path, layout: str) -> None:
    """Every contender is measured against every engine that is there, and its memory too."""
    size = [f"--files={TINY.files}", f"--mib={TINY.mib}"]
    document = document_of("build", tmp_path, *size, "--rounds=1", "--warm-up=0", f"--sidecar={layout}")
    peers = {each["peer"] for each in document["reach"] if each["peer"]}
    assert "podman build" in peers and peers == {name for name in document["samples"] if not name.startswith("pillion")}
    assert {each["ours"] for each in document["reach"] if each["figure"] == "peak_mib"} == {
        name for name in document["samples"] if name.startswith("pillion")
    }


@pytest.mark.timeout(300)
def test_layer(tmp_path: Path, layout: str) -> None:
    """An update ships one layer and two documents; files that nobody knows are named."""
    document = document_of("layer", tmp_path, f"--sidecar={layout}")
    assert document["unaccounted"] == ["marker"]
    assert all(each["met"] for each in document["reach"] if each["figure"] in ("layers", "documents"))


@pytest.mark.timeout(600)
def test_start(tmp_path: Path, real_sidecar: str) -> None:
    """One engine says enough."""
    document = document_of(
        "start", tmp_path, "--engine=podman", "--rounds=1", "--warm-up=0", f"--sidecar={real_sidecar}"
    )
    assert all(each["kind"] == "difference" for each in document["reach"])


@pytest.mark.timeout(600)
def test_edit_cycle(tmp_path: Path, real_sidecar: str) -> None:
    """The changed line answers in both ways."""
    document = document_of("edit_cycle", tmp_path, "--rounds=1", "--warm-up=0", f"--sidecar={real_sidecar}")
    for (figures,) in document["samples"].values():
        parts = figures["backend"] + figures["combining"] + figures["run"]
        assert parts == pytest.approx(figures["seconds"])
