"""Latency by percentile, one curve a layout (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from pillion.compare.report.pictures.scale import Scale, apart, log_ticks
from pillion.compare.report.pictures.svg import NARROW, element, layout_class, line, picture, text

_AT = {"50": 50.0, "90": 90.0, "99": 99.0, "99.9": 99.9}
Curve = Sequence[tuple[float, float]]


def percentile_curves(curves: Mapping[str, Curve], width: int) -> Markup:
    """Percent and milliseconds; both axes are logarithmic, so that the few slow requests have as much room as the many.

    Each curve has its name at its end, where it is above the others that is farther up.
    """
    values = [value for curve in curves.values() for _, value in curve if value > 0]
    low, high = (min(values) / 1.1, max(values) * 1.1) if values else (0.5, 2.0)
    height, left, right, top, bottom = (320, 46, 88, 22, 40) if width > NARROW else (280, 38, 72, 22, 40)
    y = Scale(low, high, height - bottom, top, logarithmic=True)
    x = Scale(0.0, 3.0, left, width - right)
    parts = [text(0, 12, "ms", "tick")]
    for value in log_ticks(low, high):
        parts.append(line(left, y.at(value), width - right, y.at(value), "grid"))
        parts.append(text(left - 6, y.at(value) + 4, f"{value:g}", "tick", "end"))
    for name, percent in _AT.items():
        place = x.at(_nines(percent))
        parts.append(line(place, top, place, height - bottom, "grid"))
        parts.append(text(place, height - bottom + 16, name, "tick", "middle"))
    parts.append(text((left + width - right) / 2, height - 6, "percent of the requests are faster", "tick", "middle"))
    named = {layout: curve for layout, curve in curves.items() if curve}
    for layout, curve in named.items():
        points = " ".join(f"{x.at(_nines(percent)):.1f},{y.at(value):.1f}" for percent, value in curve)
        parts.append(element("polyline", points=points, class_=f"curve {layout_class(layout)}"))
    ends = apart([y.at(curve[-1][1]) for curve in named.values()], 15, top, height - bottom)
    parts += [
        text(width - right + 6, end + 4, layout, f"name {layout_class(layout)}")
        for layout, end in zip(named, ends, strict=True)
    ]
    said = "; ".join(f"{layout} {curve[-1][1]:.2f} ms at {curve[-1][0]:.1f} percent" for layout, curve in named.items())
    return picture(width, height, f"Latency by percentile: {said or 'no request was answered'}", parts)


def _nines(percent: float) -> float:
    return -math.log10(max(1 - percent / 100, 1e-3))
