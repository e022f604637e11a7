"""The experiments for people: a table that a terminal of 80 columns shows whole, and what must be known to read it."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pillion.compare.claims.claim import size_said
from pillion.compare.experiments.outcome import Outcome


def experiment_parts(outcomes: Sequence[Outcome]) -> list[RenderableType]:
    """Nothing where none was asked for."""
    if not outcomes:
        return []
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=f"Experiments under load, {max(each.asked for each in outcomes)} requests in each, once",
        title_justify="left",
        title_style="bold",
    )
    for name in ("experiment", "of the", "layout"):
        table.add_column(name, no_wrap=True)
    for name in ("failed", "down, s", "wait, ms", "seen, s", "again"):
        table.add_column(name, justify="right")
    for each in outcomes:
        if each.measured:
            table.add_row(each.name, each.program, each.layout, *_figures(each))
    notes = dict.fromkeys(note for each in outcomes if (note := _note(each)))
    return [
        Text(),
        table,
        *[Padding(Text(note, style="dim"), (0, 1)) for note in (*notes, _WORDS)],
    ]


_WORDS = (
    "Down: tenths of a second in which at least half of the requests due failed. Wait: the longest that was "
    "answered. Seen: from the event to when whoever restarts it knew. Again: restarts of backend/proxy. In shared "
    "supervisord restarts a program; elsewhere compare does, as a kubelet would: at once the first time."
)


def _figures(each: Outcome) -> list[str]:
    return [
        f"{each.failed}",
        f"{each.down_s:.1f}",
        "-" if each.slowest_ms is None else f"{each.slowest_ms:.0f}",
        "-" if each.detected_s is None else f"{each.detected_s:.2f}",
        f"{each.restarts['backend']}/{each.restarts['proxy']}",
    ]


def _note(each: Outcome) -> str:
    if not each.measured:
        return f"{each.name} of the {each.program} in {each.layout} {each.note}"
    if each.bytes_shipped:
        return f"{each.name} in {each.layout}: {size_said(each.bytes_shipped)} shipped, unpacked."
    return ""
