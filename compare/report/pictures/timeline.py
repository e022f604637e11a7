"""What became of the requests while something was done to a program (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from pillion.compare.report.pictures.scale import Scale, ticks
from pillion.compare.report.pictures.svg import NARROW, box, layout_class, line, picture, text

Bins = Sequence[tuple[float, float, float]]


def timeline(title: str, layout: str, bins: Bins, moment: tuple[float, str], until_s: float, width: int) -> Markup:
    """Answered above the line, failed below it, in each bin; `moment` is when what was done. Shaded are the bins in
    which at least half of the requests failed, those that count as down."""
    left, right, top, height = (44, 12, 18, 138) if width > NARROW else (36, 8, 18, 128)
    bottom = 22
    most = max((max(answered, failed) for _, answered, failed in bins), default=0.0) or 1.0
    floor = max((failed for _, _, failed in bins), default=0.0)
    x = Scale(0.0, until_s or 1.0, left, width - right)
    answered_most = max((answered for _, answered, _ in bins), default=0.0) or most
    room = height - top - bottom
    zero = top + room * answered_most / (answered_most + floor)
    up = Scale(0.0, answered_most, zero, top)
    below = Scale(0.0, floor or 1.0, zero, height - bottom if floor else zero)
    step = min((later[0] - sooner[0] for sooner, later in pairwise(bins)), default=0.1)
    # A little more than a bin, so that no hair of paper is between two of them.
    wide = max(x.at(step) - x.at(0.0), 0.8) + 0.4
    parts = []
    at = x.at(moment[0])
    for begin, answered, failed in bins:
        if failed >= max(answered, 1):
            parts.append(box(x.at(begin), top, wide, height - bottom - top, "down"))
    for begin, answered, failed in bins:
        if answered:
            parts.append(
                box(x.at(begin), up.at(answered), wide, zero - up.at(answered), f"part {layout_class(layout)}")
            )
        if failed:
            parts.append(box(x.at(begin), zero, wide, below.at(failed) - zero, "failed"))
    parts.append(line(left, zero, width - right, zero, "axis"))
    parts.append(line(at, 4, at, height - bottom, "moment"))
    flipped = at > width * 0.7
    parts.append(text(at - 5 if flipped else at + 5, 12, moment[1], "value", "end" if flipped else "start"))
    parts.append(text(left - 6, top + 9, f"{answered_most:g}", "tick", "end"))
    parts.append(text(left - 6, zero + 4 if zero > top + 22 else top + 24, "0", "tick", "end"))
    if floor and height - bottom - zero > 14:
        parts.append(text(left - 6, height - bottom, f"{floor:g}", "tick bad", "end"))
    for value in ticks(until_s, 6 if width > NARROW else 4):
        parts.append(text(x.at(value), height - 6, f"{value:g} s", "tick", _anchor(value, until_s)))
    return picture(width, height, title, parts)


def _anchor(value: float, until_s: float) -> str:
    """The first and the last number stay within the picture."""
    return "start" if not value else "end" if value > until_s * 0.97 else "middle"
