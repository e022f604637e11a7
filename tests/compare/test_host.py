"""What is said of the machine, of its clock, and of the images in an engine's store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pillion.compare.engines.layers import read_image, read_sizes
from pillion.compare.host import describe
from pillion.compare.report.notes import notes
from pillion.compare.result import MIB, Image, Layer
from pillion.compare.statistics.summary import summaries
from tests.compare.made_up import full


def test_the_machine_is_described_as_the_kernel_tells_it(tmp_path: Path) -> None:
    """The first processor's model; a hypervisor below; the name of the distribution."""
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu hypervisor sse\n\nmodel name\t: Other\n"
    )
    (tmp_path / "meminfo").write_text("MemTotal:        8000000 kB\nMemFree: 1 kB\n")
    (tmp_path / "os-release").write_text('NAME=x\nPRETTY_NAME="Some Linux 12"\n')
    found = describe(tmp_path, tmp_path)
    assert (found.processor, found.virtual, found.system) == ("Some CPU @ 2 GHz", True, "Some Linux 12")
    assert found.memory_bytes == 8000000 * 1024 and found.processors >= found.allowed >= 1


def test_a_machine_that_does_not_tell_is_described_all_the_same(tmp_path: Path) -> None:
    """As far as Python knows it."""
    found = describe(tmp_path, tmp_path)
    assert found.processor and found.system and found.memory_bytes == 0 and not found.virtual


@pytest.mark.parametrize(("jump", "said"), [(0.05, False), (-3600.0, True), (2.0, True)])
def test_a_clock_that_jumped_is_told(jump: float, said: bool) -> None:
    """With the layout and how far; small steps are how clocks are kept right."""
    found = full(("direct",), 3)
    samples = [found.samples["direct"][0]._replace(clock_jump_s=jump), *found.samples["direct"][1:]]
    found = found._replace(samples={"direct": samples})
    lines = [each for each in notes(found, summaries(found)) if "time of day" in each]
    assert [f"1 of 3 rounds, by {jump:+.1f} s" in each for each in lines] == ([True] if said else [])


def test_memory_that_grows_under_load_is_told() -> None:
    """By how much in a round, where that is more than a program's first requests take."""
    found = full(("direct", "shared"), 3)
    grown = {
        layout: [each._replace(memory_before_bytes=each.memory_bytes - by * MIB) for each in found.samples[layout]]
        for layout, by in (("direct", 40), ("shared", 3))
    }
    found = found._replace(samples=grown)
    (line,) = (each for each in notes(found, summaries(found)) if "memory grew" in each)
    assert line.startswith("In direct memory grew by 40 MiB under the load of a round: a leak, or")


class Told:
    """An engine that says this of an image's history."""

    def __init__(self, name: str, history: str) -> None:
        self.name, self._history = name, history

    def ask(self, *_: str) -> str:
        return self._history


STEPS = [{"size": 0}, {"size": 5}, {"size": 0}, {"size": 300}]


@pytest.mark.parametrize(("engine", "history"), [("podman", json.dumps(STEPS)), ("docker", "0\n5\n0\n300\n")])
def test_layers_are_told_from_the_base_up_with_whose_they_are(engine: str, history: str) -> None:
    """A layer that is in the backend's image too is the backend's."""
    inspected = {"Id": "i", "Size": 305, "RootFS": {"Layers": ["sha256:a", "sha256:b"]}}
    backend = Image("b", "backend", 300, (Layer("sha256:a", 300, "backend"),))
    told: Any = Told(engine, history)
    found = read_image(told, "combined", "proxy", inspected, [backend])
    assert found.layers == (Layer("sha256:a", 300, "backend"), Layer("sha256:b", 5, "proxy")) and found.size == 305
    # With a layer that has nothing in it, it is not known which of the sizes are whose.
    inspected["RootFS"] = {"Layers": ["sha256:a", "sha256:0", "sha256:b"]}
    assert read_image(told, "combined", "proxy", inspected, [backend]).layers == ()
    assert read_sizes(engine, history) == [300, 5]
