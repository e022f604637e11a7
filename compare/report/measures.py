"""The table of figures by layout, from the document of a comparison (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pillion.compare.result import MIB

Layout = Mapping[str, Any]
NONE = "-"


class Row(NamedTuple):
    """A figure of each layout, and shared's as a share of separate's where that makes sense."""

    label: str
    cells: tuple[str, ...]
    ratio: str


def _latency(name: str) -> Callable[[Layout], float | None]:
    return lambda layout: layout["latency_us"][name] / 1000 if layout["latency_us"] else None


def _mib(name: str) -> Callable[[Layout], float | None]:
    return lambda layout: None if layout.get(name) is None else layout[name] / MIB


_ROWS: tuple[tuple[str, str, Callable[[Layout], float | None], bool], ...] = (
    ("latency p50, ms", "{:.2f}", _latency("p50"), True),
    ("latency p90, ms", "{:.2f}", _latency("p90"), True),
    ("latency p99, ms", "{:.2f}", _latency("p99"), True),
    ("latency p99.9, ms", "{:.2f}", _latency("p99.9"), True),
    ("requests", "{:.0f}", lambda layout: layout["requests"], False),
    ("failed requests", "{:.0f}", lambda layout: layout["failed"], False),
    ("achieved rate, 1/s", "{:.1f}", lambda layout: layout["rate"], False),
    ("memory (PSS), MiB", "{:.1f}", _mib("memory_bytes"), True),
    ("memory (cgroup), MiB", "{:.1f}", _mib("cgroup_bytes"), True),
    ("the engine's own, MiB", "{:.1f}", _mib("engine_bytes"), True),
    ("CPU per 1,000 requests, s", "{:.2f}", lambda layout: layout["cpu_s_per_1000"], True),
    ("processes", "{:.0f}", lambda layout: layout["processes"], True),
    ("start to ready, s", "{:.2f}", lambda layout: layout["ready_s"], True),
)


def measures(document: Mapping[str, Any]) -> list[Row]:
    """One row a figure that at least one layout has, in the order in which they are read."""
    layouts = document["layouts"]
    sizes = document.get("image_bytes") or {}
    rows = [
        _row(label, form, {name: figure(layout) for name, layout in layouts.items()}, compared)
        for label, form, figure, compared in _ROWS
    ]
    rows.append(_row("images, MiB", "{:.1f}", {name: _size(sizes.get(name)) for name in layouts}, True))
    return [row for row in rows if set(row.cells) - {NONE}]


def _size(size: float | None) -> float | None:
    return None if size is None else size / MIB


def _row(label: str, form: str, figures: Mapping[str, float | None], compared: bool) -> Row:
    cells = tuple(NONE if figure is None else form.format(figure) for figure in figures.values())
    one, other = figures.get("shared"), figures.get("separate")
    return Row(label, cells, f"{one / other:.2f}" if compared and one is not None and other else "")


def said_value(difference: Mapping[str, Any], value: float, sign: bool = True) -> str:
    """A number of a difference in its unit, the unit left out."""
    text = f"{value / difference['scale']:{'+' if sign else ''}.{difference['digits']}f}"
    return text[1:] if not float(text) and text[0] in "+-" else text


def said_interval(difference: Mapping[str, Any]) -> str:
    """`[+9, +12]`, "" where there were too few rounds for one."""
    if not difference["interval"]:
        return ""
    low, high = (said_value(difference, end) for end in difference["interval"])
    return f"[{low}, {high}]"
