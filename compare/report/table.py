"""A comparison for people: tables that a terminal of 80 columns shows whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pillion.compare.comparison import Processors, Schedule
from pillion.compare.stats import Spread, Summary
from pillion.image.environ.conflicts import Conflict
from pillion.image.pair import Pair

# Below this many requests beyond the percentile, it is rather one request's luck than a property of the layout.
FEW_BEYOND = 10
LATE_IS_MUCH = 0.02

_SEVERITY_STYLE = {"S0": "bold red", "S1": "red", "S2": "yellow", "S3": "dim"}


def report(
    pair: Pair,
    engine: str,
    schedule: Schedule,
    processors: Processors,
    summaries: Mapping[str, Summary],
    found: Sequence[Conflict],
    not_measured: Sequence[str],
) -> RenderableType:
    """All that a person is told at the end of a comparison."""
    parts: list[RenderableType] = [
        Text(),
        _headline(pair, engine, schedule),
        _measures(summaries),
        *[Padding(Text(note, style="dim"), (0, 1)) for note in _notes(processors, summaries)],
        Text(),
        _conflicts(found),
        Text(),
        Text("Not measured on this engine", style="bold"),
        *[Text(f"  {subject}", style="dim") for subject in not_measured],
    ]
    return Group(*parts)


def _headline(pair: Pair, engine: str, schedule: Schedule) -> Text:
    text = Text.assemble((pair.name, "bold"), f" ({pair.source}), engine {engine}\n")
    text.append(
        f"{schedule.rounds} rounds of {schedule.duration_s:g} s at {schedule.rate:g} requests/s, open loop, "
        f"{schedule.method} {schedule.path}",
        style="dim",
    )
    return text


def _measures(summaries: Mapping[str, Summary]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    table.add_column("")
    for layout in summaries:
        table.add_column(layout, justify="right", style="bold" if layout == "shared" else "")
    compared = "shared" in summaries and "separate" in summaries
    if compared:
        table.add_column("shared / separate", justify="right", style="dim")
    for label, form, read in _rows(summaries):
        cells = [form(read(summary)) for summary in summaries.values()]
        if compared:
            cells.append(_ratio(read(summaries["shared"]), read(summaries["separate"])))
        table.add_row(label, *cells, end_section=label in ("latency p99.9, ms", "failed requests"))
    return table


Row = tuple[str, Callable[[float], str], Callable[[Summary], float]]


def _rows(summaries: Mapping[str, Summary]) -> list[Row]:
    percentiles = next(iter(summaries.values())).percentiles
    latency: list[Row] = [
        (f"latency {name}, ms", lambda us: f"{us / 1000:.2f}", partial(_latency, name)) for name in percentiles
    ]
    return [
        *latency,
        ("achieved rate, 1/s", lambda rate: f"{rate:.1f}", lambda summary: summary.rate.median),
        ("requests", lambda count: f"{count:.0f}", lambda summary: summary.requests),
        ("failed requests", lambda count: f"{count:.0f}", lambda summary: summary.failed),
        ("memory (PSS), MiB", lambda size: f"{size / 2**20:.1f}", lambda summary: summary.memory_bytes.median),
        ("CPU per 1,000 requests, s", lambda s: f"{s:.2f}", lambda summary: summary.cpu_s_per_1000.median),
        ("processes", lambda count: f"{count:.0f}", lambda summary: summary.processes.median),
        ("start to ready, s", lambda s: f"{s:.2f}", lambda summary: summary.ready_s.median),
    ]


def _latency(name: str, summary: Summary) -> float:
    return summary.latency.percentiles()[name]


def _ratio(shared: float, separate: float) -> str:
    return f"{shared / separate:.2f}" if separate else "-"


def _notes(processors: Processors, summaries: Mapping[str, Summary]) -> list[str]:
    """What must be known to read the figures."""
    notes = [
        "Latencies run from the intended send time to the last byte. The rest are medians of the rounds.",
        f"The load generator ran on processor {_numbers(processors.generator)}, the programs on "
        f"{_numbers(processors.programs)}."
        if processors.generator
        else "The load generator and the programs shared one processor.",
        "Between rounds p50 was "
        + ", ".join(f"{name} {_range(summary.percentiles['p50'])}" for name, summary in summaries.items())
        + " ms.",
    ]
    fewest = min(summary.requests for summary in summaries.values())
    if fewest * 0.001 < FEW_BEYOND:
        notes.append(
            f"p99.9 rests on {max(round(fewest * 0.001), 1)} of {fewest} requests a layout: read it as a hint; "
            "more with --rounds, --duration or --rate."
        )
    late = {name: summary.late_share for name, summary in summaries.items() if summary.late_share > LATE_IS_MUCH}
    if late:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in late.items())
        notes.append(
            f"The load generator sent more than 100 us late: {shares}; the processors are too few or too busy."
        )
    return notes


def _numbers(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus))


def _range(found: Spread) -> str:
    return f"{found.least / 1000:.2f} to {found.greatest / 1000:.2f}"


def _conflicts(found: Sequence[Conflict]) -> RenderableType:
    if not found:
        return Text("Environment: nothing would collide in one container.", style="bold")
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=f"Environment: {len(found)} conflicts in a naive merge, and what the split does",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("variable", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("set by", no_wrap=True)
    table.add_column("merged, it would be", style="dim")
    table.add_column("in shared")
    for conflict in found:
        severity = Text(conflict.severity, style=_SEVERITY_STYLE[conflict.severity])
        who = "both" if len(conflict.programs) > 1 else conflict.programs[0]
        table.add_row(conflict.name, severity, who, conflict.happens, conflict.resolution)
    return table
