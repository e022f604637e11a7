"""Comparisons made up for tests of what is shown of them: one with everything in it, and what can be missing."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pillion.compare.evidence.evidence import Distance, Edit, Evidence
from pillion.compare.histogram import Histogram
from pillion.compare.host import Host
from pillion.compare.report.document import document
from pillion.compare.result import MIB, Comparison, Image, Layer, Processors, Program, Sample, Schedule
from pillion.image.environ.conflicts import conflicts
from pillion.image.pair import Container, Pair
from tests.compare.samples import sample

HOSTILE = "<script>alert('x')</script>"
MEMORY = {
    "direct": {"pod": 1, "backend": 66},
    "embedded": {"pod": 1, "backend": 71},
    "shared": {"pod": 1, "supervisord": 19, "proxy": 35, "backend": 66},
    "separate": {"pod": 1, "proxy": 43, "backend": 67},
}
MEDIAN_US = {"direct": 950, "embedded": 1010, "shared": 1300, "separate": 1200}
LAYOUTS = tuple(MEMORY)


def pair(name: str = "orders", variables: int = 7) -> Pair:
    """With so many conflicts or a few more."""
    shared = {f"COLLIDING_SETTING_{number:02}": "1" for number in range(variables)}
    other = dict.fromkeys(shared, "2")
    backend = Container("backend", "containers[0]", "orders", env={"PORT": "1", "SECRET_KEY": "the-value", **shared})
    proxy = Container("proxy", "containers[1]", "sidecar", env={"PORT": "2", "SECRET_KEY": "other-value", **other})
    return Pair(name, f"{name}.yaml", Path(), backend, proxy)


def measured(layout: str, chance: random.Random, failed: int = 0) -> Sample:
    """A round: a long tail, programs, memory that differs a little from round to round."""
    median = MEDIAN_US[layout] * chance.uniform(0.9, 1.15)
    latency = Histogram.of(round(median * math.exp(abs(chance.gauss(0, 0.55)))) for _ in range(300))
    programs = {
        name: Program(int(size * MIB * chance.uniform(0.995, 1.005)), 0.25 * chance.uniform(0.9, 1.1), 2)
        for name, size in MEMORY[layout].items()
    }
    found = sample(1, sum(each.memory_bytes for each in programs.values()), 0.25 * len(programs), 300, failed)
    load = found.load.__class__(**{**vars(found.load), "latency": latency, "requests": 300})
    return found._replace(
        load=load,
        programs=programs,
        processes=2 * len(programs),
        ready_s=0.3 + 0.1 * len(programs) * chance.uniform(0.98, 1.02),
        cgroup_bytes=found.memory_bytes - 12 * MIB,
        engine_bytes=2 * MIB,
    )


def images(layers: int = 5) -> dict[str, Sequence[Image]]:
    """The backend's layers are alike in all; the sidecar has one."""
    own = tuple(
        Layer(f"sha256:{number:064x}", round(MIB * (140 if number == 0 else 40 / number)), "backend")
        for number in range(layers)
    )
    side = (Layer("sha256:" + "f" * 64, 34 * MIB, "proxy"),)
    size = sum(layer.size for layer in own)
    backend, proxy = (
        Image("example/orders", "backend", size, own),
        Image("pillion/sidecar", "proxy", side[0].size, side),
    )
    combined = Image("combined", "shared", size + side[0].size, own + side)
    return {"direct": (backend,), "embedded": (backend,), "shared": (combined,), "separate": (backend, proxy)}


def gathered() -> Evidence:
    """Of edits and of a backend that is far away."""
    edits = [
        Edit(layout, program, "incremental", seconds, None, seconds - 0.2, seconds + 0.3)
        for layout, program, seconds in (
            ("shared", "backend", 3.1), ("shared", "proxy", 2.6), ("separate", "backend", 1.9),
            ("separate", "proxy", 1.2), ("remote", "backend", 0.6),
        )
    ]  # fmt: skip
    far = [
        Distance(way, 20.0, 120, 0, p50, p50 + 900, p50 - 80, p50 + 60)
        for way, p50 in (("plain", 21400.0), ("http", 21900.0), ("https", 22300.0))
    ]
    return Evidence(edits=edits, distances=far)


def full(layouts: Sequence[str] = LAYOUTS, rounds: int = 15, **fields: Any) -> Comparison:
    """On podman, with all that it can tell."""
    chance = random.Random(1)
    samples = {layout: [measured(layout, chance) for _ in range(rounds)] for layout in layouts}
    found = {layout: each for layout, each in images().items() if layout in layouts}
    base = Comparison(
        pair=pair(),
        engine="podman",
        schedule=Schedule(rounds=rounds),
        processors=Processors((0,), (1,)),
        samples=samples,
        conflicts=conflicts(pair()),
        not_measured=["how a cluster's scheduler and its kubelet's restarts would behave"],
        notices=["one container stays outside"],
        facts={"podman": "4.3.1 (each layout in a pod of its own)"},
        image_bytes={name: sum(image.size for image in each) for name, each in found.items()},
        images=found,
        host=Host("Debian GNU/Linux 12", "6.1.0-18", "AMD EPYC 9B14", 2, 2, True, 8 * 2**30, "3.11.2"),
        began=1795554000.0,
        took_s=201.0,
        command=("pillion", "compare", "pod.yaml", "--engine", "podman"),
        evidence=gathered(),
    )
    return base._replace(**fields)


def experiment(name: str, program: str, layout: str, kind: str = "fault", down_s: float = 0.6) -> dict[str, Any]:
    """Four seconds at a hundred requests a second, down after one and a half."""
    timeline = [
        [step / 10, 0 if 15 <= step < 15 + down_s * 10 else 10, 10 if 15 <= step < 15 + down_s * 10 else 0]
        for step in range(40)
    ]
    failed = sum(each[2] for each in timeline)
    return {
        "name": name,
        "says": f"the {program} gets SIGKILL under load",
        "kind": kind,
        "program": program,
        "layout": layout,
        "asked": 400,
        "failed": int(failed),
        "failures": {"connect": 0, "status": int(failed)},
        "down_s": down_s,
        "detected_s": 0.1 if layout == "shared" else None,
        "restarts": {"proxy": 0, "backend": 1 if layout == "shared" else 0},
        "logs": ["supervisord | backend exited: 137; started again", "a line with <b>markup</b>"],
        "timeline": timeline,
        "at_s": 1.5,
        "slowest_ms": 48.0,
        "bytes_shipped": 34 * MIB if kind == "change" else None,
        "note": "podman starts a container again only if it was told to" if layout == "separate" else "",
    }


UNMEASURED = {
    **experiment("full_disk", "backend", "shared"),
    **{"asked": 0, "failed": 0, "failures": {}, "timeline": [], "down_s": 0.0, "detected_s": None, "logs": []},
    "note": "cannot be measured here: there is no disk of the program's own",
}


def experiments() -> list[dict[str, Any]]:
    """A fault and a change."""
    return [
        experiment("kill", "backend", "shared"),
        experiment("kill", "backend", "separate", down_s=2.4),
        experiment("new_version", "proxy", "shared", "change", 0.9),
        experiment("new_version", "proxy", "separate", "change", 0.0),
        UNMEASURED,
    ]


def documents() -> dict[str, dict[str, Any]]:
    """By what is special in each."""
    everything = document(full())
    hostile = pair(HOSTILE, 60)
    many = full(
        ("shared", "separate"), pair=hostile, conflicts=conflicts(hostile), images=images(40), command=(HOSTILE,)
    )
    chance = random.Random(2)
    broken = [sample(1, count=0, failed=3)] * 3
    failing = {"direct": broken, "shared": [measured("shared", chance, failed=40) for _ in range(2)]}
    partial = full(samples=failing, engine="process", images={}, image_bytes={}, host=None, began=0.0, command=())
    return {
        "everything": {**everything, "experiments": experiments()},
        "hostile": {**document(many), "experiments": [{**each, "note": HOSTILE} for each in experiments()]},
        "one layout": document(full(("direct",), 3)),
        "partial": document(partial._replace(partial=f"cannot compare {HOSTILE}: the backend ended with 137")),
        "nothing": {
            **everything,
            "layouts": {},
            "differences": [],
            "other_differences": [],
            "claims": [],
            "conflicts": [],
        },
        "old": {name: everything[name] for name in OLD},
    }


# What a document of version 1 had from the beginning.
OLD = (
    "version", "pair", "engine", "engine_facts", "machine", "schedule", "processors", "layouts", "margins", "noise",
    "level", "differences", "against_itself", "claims", "conflicts", "not_measured", "notices", "image_bytes",
)  # fmt: skip
