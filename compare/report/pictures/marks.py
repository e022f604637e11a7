"""The sign beside a verdict: its shape says the same as its colour, and the word stands behind it (pure)."""

from __future__ import annotations

from markupsafe import Markup

from pillion.compare.claims.claim import CANNOT, FAILS, HOLDS, NO_DIFFERENCE
from pillion.compare.report.pictures.svg import element

_SHAPES = {
    HOLDS: ("holds", "M3 9 L7 13 L14 4"),
    FAILS: ("fails", "M4 4 L13 13 M13 4 L4 13"),
    NO_DIFFERENCE: ("same", "M3 6 H14 M3 11 H14"),
    CANNOT: ("cannot", "M3 8.5 H14"),
}
_OPEN = ("open", "M5 6 Q5 3 8.5 3 Q12 3 12 6 Q12 8 8.5 9 V10.5 M8.5 13.6 V14")


def mark(outcome: str) -> Markup:
    """Hidden from who hears the page read: the word is there."""
    kind, path = _SHAPES.get(outcome, _OPEN)
    shape = element("path", d=path)
    return element(
        "svg", shape, viewBox="0 0 17 17", width="17", height="17", class_=f"mark {kind}", aria_hidden="true"
    )


def verdict_class(outcome: str) -> str:
    """For the style sheet."""
    return _SHAPES.get(outcome, _OPEN)[0]
