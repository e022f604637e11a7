"""Elements of SVG, with everything that is put into them escaped (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from markupsafe import Markup, escape

WIDE, NARROW = 680, 320
_KNOWN = ("direct", "embedded", "shared", "separate")
_PROGRAMS = ("proxy", "backend", "supervisord", "pod")


def element(name: str, *children: Markup | str, **attributes: object) -> Markup:
    """`class_` and `text_anchor` are `class` and `text-anchor`; an attribute that is None is left out."""
    said = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), said, inside)


def _number(value: object) -> object:
    """A tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def picture(width: float, height: float, title: str, children: Iterable[Markup], kind: str = "") -> Markup:
    """An image with a name for who cannot see it."""
    return element(
        "svg",
        element("title", title),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
        class_=kind or None,
    )


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> Markup:
    """One line; `anchor` is which end, or `middle`, stands at x."""
    return element("text", said, x=x, y=y, class_=kind or None, text_anchor=None if anchor == "start" else anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Straight."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def box(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> Markup:
    """A rectangle; `title` is what it says when it is pointed at."""
    children = [element("title", title)] if title else []
    return element("rect", *children, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), class_=kind)


def layout_class(layout: str) -> str:
    """The style sheet knows these."""
    return f"of-{layout}" if layout in _KNOWN else "of-other"


def program_class(program: str) -> str:
    """The style sheet knows these."""
    return f"by-{program}" if program in _PROGRAMS else "by-other"


def both(draw: Callable[[int], Markup]) -> Markup:
    """For a wide screen and for a narrow one; the style sheet shows one of the two."""
    return Markup("").join(
        element("div", draw(width), class_=kind) for width, kind in ((WIDE, "wide"), (NARROW, "narrow"))
    )
