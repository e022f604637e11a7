"""Contenders measured side by side: interleaved rounds, medians with their spread, ratios within one run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results"
Figures = Mapping[str, float]


class Contender(NamedTuple):
    """`measure` makes ready what it needs, measures once and clears up; it gives figures by name."""

    name: str
    measure: Callable[[], Figures]


class Reach(NamedTuple):
    """What is to hold: `ours` of this figure is at most `most` times the peer's; without a peer, at most `most`, or at
    most `most` more than the one it is `over`."""

    ours: str
    figure: str
    most: float
    peer: str = ""
    over: str = ""


def interleaved(contenders: Sequence[Contender], rounds: int, warm_up: int) -> dict[str, list[Figures]]:
    """Each contender once a round, each round begun by another: what drifts meets all alike. The warm-up is dropped."""
    samples: dict[str, list[Figures]] = {each.name: [] for each in contenders}
    for at in range(warm_up + rounds):
        turn = at % len(contenders)
        for each in (*contenders[turn:], *contenders[:turn]):
            figures = each.measure()
            shown = ", ".join(f"{key} {value:.2f}" for key, value in figures.items())
            name = "warm-up" if at < warm_up else f"round {at - warm_up + 1}"
            print(f"{name}: {each.name}: {shown}", file=sys.stderr)
            if at >= warm_up:
                samples[each.name].append(figures)
    return samples


def judged(reach: Reach, samples: Mapping[str, Sequence[Figures]]) -> dict[str, Any] | None:
    """The ratio, difference or figure of every round, their median and spread; None if one of the two is not there."""
    names = [reach.ours, *filter(None, (reach.peer, reach.over))]
    if any(not samples.get(name) for name in names):
        return None
    series = [[figures[reach.figure] for figures in samples[name]] for name in names]
    if reach.peer:
        values = [ours / peer for ours, peer in zip(*series, strict=True)]
    elif reach.over:
        values = [ours - other for ours, other in zip(*series, strict=True)]
    else:
        values = series[0]
    median = statistics.median(values)
    return {
        **reach._asdict(),
        "kind": "ratio" if reach.peer else "difference" if reach.over else "figure",
        "median": median,
        "low": min(values),
        "high": max(values),
        "met": median <= reach.most,
    }


def report(
    title: str,
    samples: Mapping[str, Sequence[Figures]],
    reaches: Sequence[Reach],
    about: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """The document that is written as JSON and shown as tables."""
    processors, load = os.cpu_count() or 1, os.getloadavg()[1]
    if load > processors:
        busy = f"the machine was busy (load {load:.1f} on {processors} processors): ratios say little, run it again"
        notes = [*notes, busy]
    return {
        "benchmark": title,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "processors": processors,
            "load_5_minutes": load,
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
        "about": dict(about),
        "samples": {name: [dict(figures) for figures in rounds] for name, rounds in samples.items()},
        "reach": [found for reach in reaches if (found := judged(reach, samples))],
        "not_measured": [reach._asdict() for reach in reaches if judged(reach, samples) is None],
        "notes": list(notes),
    }


def show(document: Mapping[str, Any]) -> None:
    """Medians with the spread of the rounds, then what is to be reached."""
    print(f"\n{document['benchmark']}")
    for key, value in document["about"].items():
        print(f"  {key}: {value}")
    samples = {name: rounds for name, rounds in document["samples"].items() if rounds}
    figures = list(dict.fromkeys(key for rounds in samples.values() for key in rounds[0]))
    rows = [["", *(figure.replace("_", " ") for figure in figures)]]
    for name, rounds in samples.items():
        rows.append([name, *(_spread([each[key] for each in rounds if key in each]) for key in figures)])
    table(rows)
    rows = [["reach", "measured", "at most", ""]]
    for each in document["reach"]:
        against = f" / {each['peer']}" if each["peer"] else f" - {each['over']}" if each["over"] else ""
        figure = "" if each["figure"] == "seconds" else f", {each['figure'].replace('_', ' ')}"
        values = [each[key] for key in ("median", "low", "high")]
        verdict = "met" if each["met"] else "MISSED"
        rows.append([f"{each['ours']}{against}{figure}", _three(*values), _plain(each["most"]), verdict])
    if len(rows) > 1:
        table(rows)
    for each in document["not_measured"]:
        print(f"  not measured: {each['ours']} against {each['peer'] or each['over'] or 'its limit'}")
    for note in document["notes"]:
        print(f"  {note}")


def _spread(values: Sequence[float]) -> str:
    return _three(statistics.median(values), min(values), max(values)) if values else ""


def _plain(most: float) -> str:
    return f"{most:.0f}" if most >= 1000 else f"{most:g}"


def _three(median: float, low: float, high: float) -> str:
    if median >= 1000:
        return f"{median:.0f}" if low == high else f"{median:.0f} ({low:.0f} to {high:.0f})"
    return f"{median:.2f}" if low == high else f"{median:.2f} ({low:.2f} to {high:.2f})"


def table(rows: Sequence[Sequence[str]]) -> None:
    """The first row is the head, the first column the names."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for at, row in enumerate(rows):
        first, *others = (
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "   ".join((first, *others)).rstrip())
        if at == 0:
            print("  " + "-" * (sum(widths) + 3 * len(widths) - 3))


def arguments(what: str, rounds: int | None) -> argparse.ArgumentParser:
    """The options that all benchmarks have; no `rounds` where nothing is timed."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    if rounds is not None:
        parser.add_argument(
            "--rounds", type=int, default=rounds, metavar="N", help="how often each is measured (%(default)s)"
        )
        parser.add_argument("--warm-up", type=int, default=1, metavar="N", help="rounds before, dropped (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep every figure (benchmarks/results/)")
    return parser


def keep(document: Mapping[str, Any], given: argparse.Namespace, name: str) -> None:
    """Write the JSON and say where."""
    path: Path = given.json or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\n  every figure: {path}")
