"""What each layout takes, by part (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from pillion.compare.report.pictures.scale import Scale, ticks
from pillion.compare.report.pictures.svg import NARROW, box, line, picture, text

_ROW, _THICK = 38, 20


class Part(NamedTuple):
    """A stretch of a bar: what it is, how much, and its class in the style sheet."""

    name: str
    value: float
    kind: str


class Bar(NamedTuple):
    """One row; `said` stands at its end, `spread` is the least and the greatest of the rounds."""

    name: str
    parts: Sequence[Part]
    said: str
    spread: tuple[float, float] | None = None


def bars(title: str, rows: Sequence[Bar], unit: str, width: int) -> Markup:
    """From 0, one below the other, on one scale. `title` is for who cannot see it."""
    longest = max((max(sum(part.value for part in row.parts), *(row.spread or (0.0,))) for row in rows), default=0.0)
    left, right = (84, 96) if width > NARROW else (80, 56)
    height = len(rows) * _ROW + 26
    x = Scale(0.0, longest or 1.0, left, width - right)
    parts = []
    for value in ticks(longest, 4 if width > NARROW else 3):
        parts.append(line(x.at(value), 0, x.at(value), height - 24, "grid"))
        parts.append(text(x.at(value), height - 8, f"{value:g}", "tick", "middle"))
    parts.append(text(width, height - 8, unit, "tick", "end"))
    for number, row in enumerate(rows):
        top = number * _ROW + (_ROW - _THICK) / 2
        parts.append(text(left - 8, top + 15, row.name, "name", "end"))
        begin = 0.0
        for part in row.parts:
            start, end = x.at(begin), x.at(begin + part.value)
            # A hair of paper between two parts, unless a part is hardly more than that itself.
            gap = 1.0 if end - start > 2 else 0.0
            parts.append(box(start, top, end - start - gap, _THICK, f"part {part.kind}", part.name))
            begin += part.value
        if row.spread and row.spread[1] > row.spread[0]:
            least, greatest = map(x.at, row.spread)
            parts.append(line(least, top + _THICK / 2, greatest, top + _THICK / 2, "whisker"))
            parts += [line(at, top + 6, at, top + _THICK - 6, "whisker") for at in (least, greatest)]
        reach = max(begin, row.spread[1] if row.spread else 0.0)
        parts.append(text(x.at(reach) + 7, top + 15, row.said, "value"))
    return picture(width, height, title, parts)
