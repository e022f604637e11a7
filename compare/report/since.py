"""What changed since another run, from the JSON that it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pillion.compare.report.document import schedule_fields
from pillion.compare.report.reading import read_document
from pillion.compare.result import MIB, Comparison
from pillion.compare.statistics.figures import PRIMARY, Figure
from pillion.compare.statistics.verdict import Difference, since

# What must be the same for the two runs to have measured the same.
_CONDITIONS = (
    "rate",
    "duration_s",
    "warmup_s",
    "method",
    "path",
    "targets",
    "headers",
    "connections",
    "arrivals",
    "closed_loop",
    "keep_alive",
)


class Old(NamedTuple):
    """The run that is compared against: of each layout every figure by round, None where a round has none."""

    source: str
    engine: str
    schedule: Mapping[str, Any]
    figures: Mapping[str, Mapping[str, Sequence[float | None]]]
    image_bytes: Mapping[str, int]
    conflicts: frozenset[str]


class Changes(NamedTuple):
    """`unlike` says where the two runs did not measure the same; `figures` are by layout, new less old; `others` are
    what is counted and not measured."""

    unlike: tuple[str, ...]
    figures: Mapping[str, Sequence[Difference]]
    others: tuple[str, ...]


def read_old(path: Path) -> Old:
    """The run that `--json` wrote. Raises OSError where it cannot be read, ValueError, with the reason, if it is not
    such a file."""
    found = read_document(path)
    try:
        return Old(
            source=str(found["pair"]["source"]),
            engine=str(found["engine"]),
            schedule=dict(found["schedule"]),
            figures={
                layout: {figure.name: [_value(figure, each) for each in said["rounds"]] for figure in PRIMARY}
                for layout, said in found["layouts"].items()
            },
            image_bytes=dict(found.get("image_bytes") or {}),
            conflicts=frozenset(each["name"] for each in found["conflicts"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not what --json writes: {error!r}") from None


def _value(figure: Figure, said: Mapping[str, Any]) -> float | None:
    where, _, percentile = figure.name.partition(".")
    value = said[where][percentile] if percentile else said[where]
    # Of a round without a good answer the percentiles are 0.
    return None if percentile and not value else float(value)


def changes(comparison: Comparison, old: Old) -> Changes:
    """What is different, the same, or open, of every layout that both have."""
    figures = {
        layout: [
            since(
                figure,
                (layout, [value for each in samples if (value := figure.value(each)) is not None]),
                (layout, [value for value in old.figures[layout][figure.name] if value is not None]),
                comparison.margins,
            )
            for figure in PRIMARY
        ]
        for layout, samples in comparison.samples.items()
        if layout in old.figures
    }
    return Changes(tuple(_unlike(comparison, old)), figures, tuple(_others(comparison, old)))


def _unlike(comparison: Comparison, old: Old) -> list[str]:
    new = schedule_fields(comparison.schedule)
    said = [
        f"{name}: {old.schedule[name]} then, {new[name]} now"
        for name in _CONDITIONS
        if name in old.schedule and old.schedule[name] != new[name]
    ]
    if old.engine != comparison.engine:
        said.insert(0, f"engine: {old.engine} then, {comparison.engine} now")
    if old.source != comparison.pair.source:
        said.insert(0, f"pair: {old.source} then, {comparison.pair.source} now")
    for names, when in (
        (old.figures.keys() - comparison.samples.keys(), "only then"),
        (comparison.samples.keys() - old.figures.keys(), "only now"),
    ):
        said += [f"layout {layout}: measured {when}" for layout in sorted(names)]
    return said


def _others(comparison: Comparison, old: Old) -> list[str]:
    said = [
        f"images of {layout}: {(size - old.image_bytes[layout]) / MIB:+.1f} MiB"
        for layout, size in comparison.image_bytes.items()
        if layout in old.image_bytes and size != old.image_bytes[layout]
    ]
    names = {conflict.name for conflict in comparison.conflicts}
    for found, what in ((names - old.conflicts, "new"), (old.conflicts - names, "gone")):
        if found:
            said.append(f"conflicts {what}: {', '.join(sorted(found))}")
    return said


def change_lines(found: Changes) -> list[tuple[str, list[str]]]:
    """For a person: headings, and the sentences under each."""
    parts = [(f"{layout}, now - then", [each.sentence() for each in said]) for layout, said in found.figures.items()]
    if found.others:
        parts.append(("counted", list(found.others)))
    if found.unlike:
        parts.append(("the two runs did not measure the same", list(found.unlike)))
    return parts
