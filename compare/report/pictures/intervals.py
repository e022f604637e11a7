"""One difference: its interval against 0 and the margin (pure)."""

from __future__ import annotations

from markupsafe import Markup

from pillion.compare.report.pictures.scale import Scale
from pillion.compare.report.pictures.svg import box, element, line, picture, text

WIDTH, HEIGHT = 300, 58
_EDGE, _MIDDLE, _TEXT = 8.0, 24.0, 55.0


def interval_strip(
    title: str, estimate: float, interval: tuple[float, float] | None, margin: float, labels: tuple[str, str]
) -> Markup:
    """The band is the margin, the dot the estimate; `labels` name the margin's two ends."""
    low, high = interval or (estimate, estimate)
    left, right = min(low, -margin, 0.0), max(high, margin, 0.0)
    room = (right - left) * 0.06 or 1.0
    scale = Scale(left - room, right + room, _EDGE, WIDTH - _EDGE)
    zero, begin, end = scale.at(0.0), scale.at(-margin), scale.at(margin)
    parts = [
        box(begin, 9, end - begin, 2 * (_MIDDLE - 9), "margin"),
        line(_EDGE, _MIDDLE, WIDTH - _EDGE, _MIDDLE, "axis"),
        line(zero, 5, zero, 2 * _MIDDLE - 5, "zero"),
    ]
    if interval:
        parts += [
            line(scale.at(low), _MIDDLE, scale.at(high), _MIDDLE, "interval"),
            *(line(scale.at(each), _MIDDLE - 6, scale.at(each), _MIDDLE + 6, "interval") for each in (low, high)),
        ]
    kind = "estimate" if interval else "estimate alone"
    parts.append(element("circle", cx=scale.at(estimate), cy=_MIDDLE, r=5.0, class_=kind))
    parts.append(text(zero, _TEXT, "0", "tick", "middle"))
    # Beside a margin that is narrow on this scale its numbers have no room.
    if zero - begin > 42:
        parts.append(text(max(begin, 24.0), _TEXT, labels[0], "tick", "middle"))
        parts.append(text(min(end, WIDTH - 24.0), _TEXT, labels[1], "tick", "middle"))
    return picture(WIDTH, HEIGHT, title, parts, "strip")
