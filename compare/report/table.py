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

from pillion.compare.claims import settle
from pillion.compare.decision import Decision, decision_lines
from pillion.compare.report.experiments import experiment_parts
from pillion.compare.report.notes import counted, notes, pace
from pillion.compare.report.verdicts import method_line, noise_lines, verdict_lines
from pillion.compare.result import Comparison
from pillion.compare.statistics.summary import Spread, Summary, summaries
from pillion.compare.statistics.verdict import differences
from pillion.image.environ.conflicts import Conflict

_SEVERITY_STYLE = {"S0": "bold red", "S1": "red", "S2": "yellow", "S3": "dim"}


class Row(NamedTuple):
    """One line of the table: a figure of each layout (None if there is none), and, where a ratio makes sense, how it
    differed by round."""

    label: str
    form: str
    figure: Callable[[Summary], float | None]
    rounds: Callable[[Summary], Spread | None] | None = None


def report(comparison: Comparison, decision: Decision | None = None) -> RenderableType:
    """All that a person is told at the end of a comparison; what would decide between the layouts is the last."""
    found = summaries(comparison)
    parts: list[RenderableType] = [
        Text(),
        _headline(comparison),
        *[Padding(Text(line, style="dim"), (0, 1)) for line in noise_lines(comparison)],
        _measures(found, comparison.image_bytes),
        *_verdicts(comparison),
        *experiment_parts(comparison.experiments),
        *_claims(comparison),
        *[Padding(Text(note, style="dim"), (0, 1)) for note in notes(comparison, found)],
        Text(),
        _conflicts(comparison.conflicts),
        Text(),
        Text("Not measured on this engine", style="bold"),
        *[Text(f"  {subject}", style="dim") for subject in comparison.not_measured],
        *(_decision(decision) if decision else ()),
    ]
    return Group(*parts)


def _headline(comparison: Comparison) -> Text:
    pair = comparison.pair
    text = Text.assemble((pair.name, "bold"), f" ({pair.source}), engine {comparison.engine}\n")
    if comparison.partial:
        measured = ", ".join(f"{layout} {len(rounds)}" for layout, rounds in comparison.samples.items())
        text.append(f"Partial, rounds measured: {measured}. {comparison.partial}\n", style="bold red")
    if comparison.facts:
        text.append("".join(f"{name} {said}; " for name, said in comparison.facts.items())[:-2] + "\n", style="dim")
    text.append(pace(comparison.schedule), style="dim")
    return text


def _verdicts(comparison: Comparison) -> list[RenderableType]:
    found = verdict_lines(differences(comparison.samples, comparison.margins))
    if not found:
        return []
    lines: list[RenderableType] = []
    for which, sentences in found.items():
        lines += [Text(f" {which}", style="bold"), *[Padding(Text(each), (0, 1, 0, 3)) for each in sentences], Text()]
    method = method_line(comparison.margins, comparison.schedule.rounds)
    return [*lines, Padding(Text(method, style="dim"), (0, 1))]


def _claims(comparison: Comparison) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(), Text("Claims", style="bold")]
    for claim, judgement in settle(comparison):
        outcome = judgement.outcome + (f" ({judgement.why})" if judgement.why else "")
        text = Text.assemble(f"{claim.number}. {claim.says}: ", (outcome, "bold"))
        lines.append(Padding(text, (0, 1, 0, 1)))
        lines += [Padding(Text(each, style="dim"), (0, 1, 0, 4)) for each in judgement.evidence]
    return [*lines, Text()]


def _decision(decision: Decision) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(), Text("What would have to matter to you", style="bold")]
    lines.append(Padding(Text(decision.summary), (0, 1)))
    for heading, sentences in decision_lines(decision):
        lines.append(Padding(Text(heading, style="bold"), (1, 1, 0, 1)))
        lines += [Padding(Text(each), (0, 1, 0, 3)) for each in sentences]
    return lines


def _rows(percentiles: Iterable[str]) -> list[Row]:
    return [
        *(
            Row(f"latency {name}, ms", "{:.2f}", partial(_latency, name), partial(_by_round, name))
            for name in percentiles
        ),
        Row("achieved rate, 1/s", "{:.1f}", lambda found: found.rate.median),
        Row("requests", "{:.0f}", lambda found: found.requests),
        Row("failed requests", "{:.0f}", lambda found: found.failed),
        Row("memory (PSS), MiB", "{:.1f}", _mib(lambda found: found.memory_bytes), lambda found: found.memory_bytes),
        Row("memory (cgroup), MiB", "{:.1f}", _mib(lambda found: found.cgroup_bytes), lambda found: found.cgroup_bytes),
        Row(
            "the engine's own, MiB", "{:.1f}", _mib(lambda found: found.engine_bytes), lambda found: found.engine_bytes
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


def _mib(spread: Callable[[Summary], Spread | None]) -> Callable[[Summary], float | None]:
    def figure(summary: Summary) -> float | None:
        found = spread(summary)
        return None if found is None else found.median / 2**20

    return figure


def _latency(name: str, found: Summary) -> float | None:
    return found.latency.percentiles()[name] / 1000 if found.latency.count else None


def _by_round(name: str, found: Summary) -> Spread:
    return found.percentiles[name]


def _measures(found: Mapping[str, Summary], image_bytes: Mapping[str, int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for layout in found:
        table.add_column(layout, justify="right", style="bold" if layout == "shared" else "")
    compared = "shared" in found and "separate" in found
    if compared:
        # Four layouts and this are what 80 columns hold.
        heading = "shared / separate" if len(found) < 4 else "shared /\nseparate"
        table.add_column(heading, justify="right", style="dim")
    for row in _rows(next(iter(found.values())).percentiles):
        figures = [row.figure(summary) for summary in found.values()]
        if row.rounds and all(figure is None for figure in figures):
            continue  # this engine has no such figure
        cells = ["-" if figure is None else row.form.format(figure) for figure in figures]
        if compared:
            cells.append(_ratio(row, found["shared"], found["separate"]))
        table.add_row(row.label, *cells, end_section=row.label.startswith(("latency p99.9", "failed")))
    if image_bytes:
        cells = [f"{image_bytes[layout] / 2**20:.1f}" if layout in image_bytes else "-" for layout in found]
        both = (image_bytes.get("shared"), image_bytes.get("separate"))
        ratio = [f"{both[0] / both[1]:.2f}" if both[0] and both[1] else ""] if compared else []
        table.add_row("images, MiB", *cells, *ratio)
    return table


def _ratio(row: Row, shared: Summary, separate: Summary) -> str:
    numerator, denominator = row.figure(shared), row.figure(separate)
    if row.rounds is None or numerator is None or not denominator:
        return ""
    return f"{numerator / denominator:.2f}"


def _conflicts(found: Sequence[Conflict]) -> RenderableType:
    if not found:
        return Text("Environment: nothing would collide in one container.", style="bold")
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=f"Environment: {counted(len(found), 'conflict')} in a naive merge, and what the split does",
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
