"""A comparison for machines: one JSON document, every round kept."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import combinations, permutations
from typing import Any

from pillion.compare.claims import settle
from pillion.compare.claims.claim import said
from pillion.compare.decision import decide
from pillion.compare.report.notes import notes, pace
from pillion.compare.report.verdicts import method_line, noise_lines
from pillion.compare.result import Comparison, Image, Sample, Schedule
from pillion.compare.statistics.figures import PRIMARY, START
from pillion.compare.statistics.noise import against_itself, noise
from pillion.compare.statistics.summary import Spread, Summary, spread, summaries
from pillion.compare.statistics.verdict import LEVEL, ORDER, Difference, difference, differences

VERSION = 1
# Where the latencies of all rounds together are read off: 90 % is 1 on the axis, 99 % 2, 99.9 % 3.
_PERCENTILES = [100 * (1 - 10 ** (-step / 10)) for step in range(31)]


def document(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison; latencies in microseconds, memory in bytes, durations in seconds."""
    pair = comparison.pair
    found = summaries(comparison)
    primary = differences(comparison.samples, comparison.margins)
    others = _starts(comparison)
    either_way = _either_way(comparison)
    written = {
        "version": VERSION,
        "pillion": version("pillion"),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(comparison.began)) if comparison.began else None,
        "took_s": comparison.took_s,
        "command": list(comparison.command),
        "partial": comparison.partial,
        "pair": {"name": pair.name, "source": pair.source},
        "engine": comparison.engine,
        "engine_facts": dict(comparison.facts),
        "machine": comparison.host._asdict() if comparison.host else None,
        "schedule": schedule_fields(comparison.schedule),
        "processors": comparison.processors._asdict(),
        "layouts": {name: _layout(summary, comparison.samples[name]) for name, summary in found.items()},
        "margins": comparison.margins._asdict(),
        "noise": {each.figure.name: each.typical for each in noise(comparison.samples)},
        "level": LEVEL,
        "differences": [_difference(each) for each in primary],
        "other_differences": [_difference(each) for each in others],
        "against_itself": [_difference(each) for each in against_itself(comparison.samples, comparison.margins)],
        "claims": [
            {
                "number": claim.number,
                "name": claim.name,
                "says": claim.says,
                "rule": claim.rule,
                "measured": dict(claim.measured),
                **judgement._asdict(),
                "differences": [_difference(each) for each in either_way if said(each) in judgement.evidence],
            }
            for claim, judgement in settle(comparison)
        ],
        "conflicts": [{**conflict._asdict(), "programs": list(conflict.programs)} for conflict in comparison.conflicts],
        "not_measured": list(comparison.not_measured),
        "notices": list(comparison.notices),
        "image_bytes": dict(comparison.image_bytes) or None,
        "images": {layout: [_image(each) for each in images] for layout, images in comparison.images.items()},
        "says": {
            "pace": pace(comparison.schedule),
            "noise": noise_lines(comparison),
            "method": method_line(comparison.margins, comparison.schedule.rounds),
            "notes": notes(comparison, found),
        },
        "evidence": comparison.evidence.document(),
        "experiments": [each._asdict() for each in comparison.experiments],
    }
    return {**written, "decision": decide(written).fields()}


def _starts(comparison: Comparison) -> list[Difference]:
    layouts = [layout for layout in ORDER if layout in comparison.samples]
    return [
        difference(START, (one, comparison.samples[one]), (other, comparison.samples[other]), comparison.margins)
        for one, other in combinations(layouts, 2)
    ]


def _either_way(comparison: Comparison) -> list[Difference]:
    """Of every two layouts whichever is taken from the other: a claim says it as it needs it."""
    return [
        difference(figure, (one, comparison.samples[one]), (other, comparison.samples[other]), comparison.margins)
        for one, other in permutations(comparison.samples, 2)
        for figure in (*PRIMARY, START)
    ]


def _image(image: Image) -> dict[str, Any]:
    return {**image._asdict(), "layers": [layer._asdict() for layer in image.layers]}


def schedule_fields(schedule: Schedule) -> dict[str, Any]:
    """As JSON has them."""
    targets = [{**target._asdict(), "body": target.body.decode(errors="replace")} for target in schedule.targets]
    # What a header says may be a token; that there was one is enough.
    return {**schedule._asdict(), "targets": targets, "headers": [name for name, _ in schedule.headers]}


def _layout(summary: Summary, samples: Sequence[Sample]) -> dict[str, Any]:
    spreads: dict[str, Spread] = {
        "rate": summary.rate,
        "memory_bytes": summary.memory_bytes,
        "cpu_s_per_1000": summary.cpu_s_per_1000,
        "processes": summary.processes,
        "ready_s": summary.ready_s,
    }
    for name in ("cgroup_bytes", "engine_bytes"):
        if found := getattr(summary, name):
            spreads[name] = found
    return {
        "latency_us": summary.latency.percentiles() if summary.latency.count else None,
        "latency_curve": [[percent, summary.latency.percentile(percent)] for percent in _PERCENTILES]
        if summary.latency.count
        else [],
        "programs": _programs(samples),
        "requests": summary.requests,
        "failed": summary.failed,
        "failures": dict(summary.failures),
        **{name: found.median for name, found in spreads.items()},
        "generator_late_share": summary.late_share,
        "spread": {
            **{name: list(found[1:]) for name, found in spreads.items()},
            **{f"latency_us.{name}": list(found[1:]) for name, found in summary.percentiles.items()},
        },
        "rounds": [_round(sample) for sample in samples],
    }


def _programs(samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Of each program the median of the rounds, and the least and greatest."""
    found = {}
    for name in dict.fromkeys(name for sample in samples for name in sample.programs):
        each = [sample.programs[name] for sample in samples if name in sample.programs]
        figures: Mapping[str, Spread] = {
            "memory_bytes": spread([one.memory_bytes for one in each]),
            "cpu_s_per_1000": spread([one.cpu_s_per_1000 for one in each]),
            "processes": spread([one.processes for one in each]),
        }
        found[name] = {
            **{figure: values.median for figure, values in figures.items()},
            "spread": {figure: list(values[1:]) for figure, values in figures.items()},
        }
    return found


def _round(sample: Sample) -> dict[str, Any]:
    figures = {name: value for name, value in sample._asdict().items() if name != "load"}
    endings = {name: ending._asdict() for name, ending in sample.endings.items()}
    conditions = sample.conditions._asdict() if sample.conditions else None
    programs = {name: program._asdict() for name, program in sample.programs.items()}
    values = {"endings": endings, "conditions": conditions, "programs": programs}
    return {**json.loads(sample.load.to_json()), **figures, **values}


def _difference(found: Difference) -> dict[str, Any]:
    interval = found.interval
    return {
        "figure": found.figure.name,
        "label": found.figure.label,
        "unit": found.figure.unit,
        "scale": found.figure.scale,
        "digits": found.figure.digits,
        "one": found.one,
        "other": found.other,
        "rounds": found.rounds,
        "estimate": found.estimate,
        "interval": [interval.low, interval.high] if interval else None,
        "margin": found.margin,
        "outcome": found.outcome,
        "says": found.sentence(),
    }
