"""A comparison for people: tables that a terminal of 80 columns shows whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pillion.compare.result import Comparison, Processors
from pillion.compare.stats import Spread, Summary, overlap, summaries
from pillion.image.environ.conflicts import Conflict

# Below this many requests beyond the percentile, it is rather one request's luck than a property of the layout.
FEW_BEYOND = 10
LATE_IS_MUCH = 0.02

_SEVERITY_STYLE = {"S0": "bold red", "S1": "red", "S2": "yellow", "S3": "dim"}


class Row(NamedTuple):
    """One line of the table: a figure of each layout (None if there is none), and, where a ratio makes sense, how it
    differed by round."""

    label: str
    form: str
    figure: Callable[[Summary], float | None]
    rounds: Callable[[Summary], Spread] | None = None


def report(comparison: Comparison) -> RenderableType:
    """All that a person is told at the end of a comparison."""
    found = summaries(comparison)
    parts: list[RenderableType] = [
        Text(),
        _headline(comparison),
        _measures(found),
        *[Padding(Text(note, style="dim"), (0, 1)) for note in _notes(comparison.processors, found)],
        Text(),
        _conflicts(comparison.conflicts),
        Text(),
        Text("Not measured on this engine", style="bold"),
        *[Text(f"  {subject}", style="dim") for subject in comparison.not_measured],
    ]
    return Group(*parts)


def _headline(comparison: Comparison) -> Text:
    pair, schedule = comparison.pair, comparison.schedule
    text = Text.assemble((pair.name, "bold"), f" ({pair.source}), engine {comparison.engine}\n")
    text.append(
        f"{_count(schedule.rounds, 'round')} of {schedule.duration_s:g} s at {schedule.rate:g} requests/s, open loop, "
        f"{schedule.method} {schedule.path}",
        style="dim",
    )
    return text


def _rows(percentiles: Iterable[str]) -> list[Row]:
    return [
        *(
            Row(f"latency {name}, ms", "{:.2f}", partial(_latency, name), partial(_by_round, name))
            for name in percentiles
        ),
        Row("achieved rate, 1/s", "{:.1f}", lambda found: found.rate.median),
        Row("requests", "{:.0f}", lambda found: found.requests),
        Row("failed requests", "{:.0f}", lambda found: found.failed),
        Row(
            "memory (PSS), MiB",
            "{:.1f}",
            lambda found: found.memory_bytes.median / 2**20,
            lambda found: found.memory_bytes,
        ),
        Row(
            "CPU per 1,000 requests, s",
            "{:.2f}",
            lambda found: found.cpu_s_per_1000.median,
            lambda found: found.cpu_s_per_1000,
        ),
        Row("processes", "{:.0f}", lambda found: found.processes.median, lambda found: found.processes),
        Row("start to ready, s", "{:.2f}", lambda found: found.ready_s.median, lambda found: found.ready_s),
    ]


def _latency(name: str, found: Summary) -> float | None:
    return found.latency.percentiles()[name] / 1000 if found.latency.count else None


def _by_round(name: str, found: Summary) -> Spread:
    return found.percentiles[name]


def _measures(found: Mapping[str, Summary]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for layout in found:
        table.add_column(layout, justify="right", style="bold" if layout == "shared" else "")
    compared = "shared" in found and "separate" in found
    if compared:
        table.add_column("shared / separate", justify="right", style="dim")
    for row in _rows(next(iter(found.values())).percentiles):
        figures = [row.figure(summary) for summary in found.values()]
        cells = ["-" if figure is None else row.form.format(figure) for figure in figures]
        if compared:
            cells.append(_ratio(row, found["shared"], found["separate"]))
        table.add_row(row.label, *cells, end_section=row.label.startswith(("latency p99.9", "failed")))
    return table


def _ratio(row: Row, shared: Summary, separate: Summary) -> str:
    """With a tilde where the rounds of the two cannot be told apart; two equal counts need none."""
    numerator, denominator = row.figure(shared), row.figure(separate)
    if row.rounds is None or numerator is None or not denominator:
        return ""
    one, other = row.rounds(shared), row.rounds(separate)
    tilde = "~ " if overlap(one, other) and one != other else ""
    return f"{tilde}{numerator / denominator:.2f}"


def _notes(processors: Processors, found: Mapping[str, Summary]) -> list[str]:
    """What must be known to read the figures."""
    notes = [
        "Latencies run from the intended send time to the last byte. The rest are medians of the rounds.",
        f"The load generator ran on processor {_numbers(processors.generator)}, the programs on "
        f"{_numbers(processors.programs)}."
        if processors.generator
        else "The load generator and the programs shared one processor.",
        "Between rounds p50 was "
        + ", ".join(f"{name} {_range(summary.percentiles['p50'])}" for name, summary in found.items())
        + " ms.",
    ]
    if "shared" in found and "separate" in found:
        notes.append("~ marks a ratio whose rounds overlap: this run does not tell the two apart.")
        notes.append(
            "In shared, supervisord copies the logs and is charged for it; in separate an unmeasured reader does."
        )
    for name, summary in found.items():
        if summary.failed:
            kinds = ", ".join(f"{count} {kind}" for kind, count in summary.failures.items() if count)
            notes.append(f"Failed in {name}: {kinds}.")
    fewest = min(summary.requests for summary in found.values())
    if fewest * 0.001 < FEW_BEYOND:
        notes.append(
            f"p99.9 rests on {max(round(fewest * 0.001), 1)} of {fewest} requests a layout: read it as a hint; "
            "more with --rounds, --duration or --rate."
        )
    late = {name: summary.late_share for name, summary in found.items() if summary.late_share > LATE_IS_MUCH}
    if late:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in late.items())
        notes.append(f"Sent more than 100 us late by the load generator: {shares}; the processors are too few or busy.")
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
        title=f"Environment: {_count(len(found), 'conflict')} in a naive merge, and what the split does",
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


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
