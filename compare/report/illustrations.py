"""Which picture stands beside which claim, and what of the document it shows (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from markupsafe import Markup

from pillion.compare.evidence.evidence import HTTP, HTTPS, INCREMENTAL, PLAIN
from pillion.compare.report.measures import said_interval, said_value
from pillion.compare.report.pictures.bars import Bar, Part, bars
from pillion.compare.report.pictures.intervals import interval_strip
from pillion.compare.report.pictures.percentiles import percentile_curves
from pillion.compare.report.pictures.svg import both, layout_class, program_class
from pillion.compare.result import MIB

Document = Mapping[str, Any]

_ORDER = ("backend", "proxy", "supervisord", "pod")


class Illustration(NamedTuple):
    """A picture, what it shows, and the names of its colours: a class of the style sheet, and what it stands for."""

    picture: Markup
    caption: str
    legend: Sequence[tuple[str, str]] = ()


def illustration(document: Document, claim: str) -> Illustration | None:
    """None where there is none, or nothing to be shown in it."""
    draw = _PICTURES.get(claim)
    return draw(document) if draw and document["layouts"] else None


def strip(difference: Document) -> Markup:
    """The interval of one difference; nothing where no round has the figure of both."""
    if difference["estimate"] is None:
        return Markup("")
    interval = tuple(difference["interval"]) if difference["interval"] else None
    unit, margin = difference["unit"], difference["margin"]
    title = (
        f"{difference['one']} minus {difference['other']}, {difference['label']}: "
        f"{said_value(difference, difference['estimate'])} {unit} {said_interval(difference)}, "
        f"margin {said_value(difference, margin, sign=False)} {unit}: {difference['outcome']}"
    )
    labels = tuple(said_value(difference, each) for each in (-margin, margin))
    return interval_strip(title, difference["estimate"], interval, margin, (labels[0], labels[1]))


def _curves(document: Document) -> Illustration | None:
    curves = {
        name: [(float(percent), value / 1000) for percent, value in layout.get("latency_curve") or ()]
        for name, layout in document["layouts"].items()
    }
    if not any(curves.values()):
        return None
    caption = "Latency by percentile, all rounds together. Lower is faster; both axes are logarithmic."
    return Illustration(both(partial(percentile_curves, curves)), caption)


def _by_program(figure: str, scale: float, digits: int, unit: str, what: str) -> Callable[[Document], Illustration]:
    def draw(document: Document) -> Illustration:
        rows, known = [], dict[str, None]()
        for name, layout in document["layouts"].items():
            told = layout.get("programs") or {}
            # What is alike in two layouts begins at the same place.
            programs = {program: told[program] for program in sorted(told, key=_place) if figure in told[program]}
            known |= dict.fromkeys(programs)
            parts = [
                Part(
                    f"{program}: {found[figure] / scale:.{digits}f} {unit}",
                    found[figure] / scale,
                    program_class(program),
                )
                for program, found in programs.items()
            ]
            whole = Part(name, layout[figure] / scale, layout_class(name))
            low, high = layout["spread"][figure]
            said = f"{layout[figure] / scale:.{digits}f}"
            rows.append(Bar(name, parts or [whole], said, (low / scale, high / scale)))
        sums = "; ".join(
            f"{row.name} {row.said} {unit}" + "".join(f", {part.name}" for part in row.parts if part.name != row.name)
            for row in rows
        )
        by = " by program" if known else ""
        caption = f"{what}{by}; median of the rounds, and the thin line from their least to their greatest."
        legend = [(program_class(program), program) for program in sorted(known, key=_place)]
        return Illustration(both(partial(bars, f"{what}: {sums}", rows, unit)), caption, legend)

    return draw


def _images(document: Document) -> Illustration | None:
    images = document.get("images") or {}
    rows = []
    for name in document["layouts"]:
        found = images.get(name) or ()
        parts = [
            Part(
                f"{layer['program']}, {layer['size'] / MIB:.1f} MiB",
                layer["size"] / MIB,
                program_class(layer["program"]),
            )
            for image in found
            for layer in image["layers"]
        ]
        if parts:
            rows.append(Bar(name, parts, f"{sum(part.value for part in parts):.0f}"))
    if not rows:
        return None
    said = "; ".join(f"{row.name} {row.said} MiB in {len(row.parts)} layers" for row in rows)
    programs = dict.fromkeys(
        layer["program"] for found in images.values() for image in found for layer in image["layers"]
    )
    legend = [(program_class(program), f"layers of the {program}") for program in programs]
    caption = (
        "Layers of the images, from the base up, unpacked. A layer that two layouts share is the same bytes in both."
    )
    return Illustration(both(partial(bars, f"Image layers: {said}", rows, "MiB")), caption, legend)


def _edits(document: Document) -> Illustration | None:
    """Of claim 3: both programs' edits one after the other, so that a bar is a day on which both were changed."""
    found = _incremental(document)
    rows = []
    for layout in ("shared", "separate"):
        edits = [(program, found[layout, program]) for program in _ORDER if (layout, program) in found]
        parts = [
            Part(f"edit of the {program}: {edit['seconds']:.2f} s", edit["seconds"], program_class(program))
            for program, edit in edits
        ]
        if parts:
            rows.append(Bar(layout, parts, f"{sum(part.value for part in parts):.1f}"))
    if not rows:
        return None
    said = "; ".join(f"{row.name}: " + ", ".join(part.name for part in row.parts) for row in rows)
    caption = "From an edit to the first good answer, incremental: of the backend, and then of the sidecar."
    legend = [(program_class(program), f"edit of the {program}") for program in ("backend", "proxy")]
    return Illustration(both(partial(bars, f"Edits. {said}", rows, "s")), caption, legend)


def _ide(document: Document) -> Illustration | None:
    """Of claim 9."""
    found = _incremental(document)
    rows = [
        Bar(
            layout,
            [Part(f"{layout}: {edit['seconds']:.2f} s", edit["seconds"], layout_class(layout))],
            f"{edit['seconds']:.2f}",
            (edit["least"], edit["most"]),
        )
        for layout in ("remote", "shared", "separate")
        if (edit := found.get((layout, "backend")))
    ]
    if not any(row.name == "remote" for row in rows):
        return None
    said = "; ".join(row.parts[0].name for row in rows)
    caption = "From an edit of the backend to the first good answer; in remote it runs outside, as in an IDE."
    return Illustration(both(partial(bars, f"Edits of the backend. {said}", rows, "s")), caption)


def _incremental(document: Document) -> dict[tuple[str, str], Document]:
    edits = (document.get("evidence") or {}).get("edits") or ()
    return {(each["layout"], each["program"]): each for each in edits if each["kind"] == INCREMENTAL}


def _distances(document: Document) -> Illustration | None:
    """Of claim 10."""
    names = {PLAIN: ("no sidecar", "of-direct"), HTTP: ("sidecar", "of-separate"), HTTPS: ("with TLS", "of-separate")}
    found = {each["way"]: each for each in (document.get("evidence") or {}).get("distances") or ()}
    rows = []
    for way, (name, kind) in names.items():
        if each := found.get(way):
            p50, *ends = (each[key] / 1000 for key in ("p50_us", "least_us", "most_us"))
            rows.append(Bar(name, [Part(f"{name}: {p50:.2f} ms", p50, kind)], f"{p50:.2f}", (ends[0], ends[1])))
    if not rows:
        return None
    away = next(iter(found.values()))["round_trip_ms"]
    said = "; ".join(row.parts[0].name for row in rows)
    caption = f"p50 to a backend {away:g} ms away; the thin line is from the least to the greatest run."
    return Illustration(both(partial(bars, f"Latency, p50. {said}", rows, "ms")), caption)


def _place(program: str) -> tuple[int, str]:
    return (_ORDER.index(program) if program in _ORDER else len(_ORDER), program)


class Shipped(NamedTuple):
    """What a new release of something ships to a machine that has the old one, in MiB and layers by layout."""

    what: str
    cells: tuple[str, ...]


def shipped(document: Document) -> list[Shipped]:
    """Counted from the layers of the two layouts, nothing was pushed: a registry sends those that are not there yet."""
    images = {name: found for name, found in (document.get("images") or {}).items() if name in ("shared", "separate")}
    layers = {name: [layer for image in found for layer in image["layers"]] for name, found in images.items()}
    if len(layers) < 2 or not all(layers.values()):
        return []
    rows = []
    for program, what in (("backend", "the backend's last layer"), ("proxy", "the sidecar")):
        own = {name: [each for each in found if each["program"] == program] for name, found in layers.items()}
        if all(own.values()):
            sizes = [(found[-1:] if program == "backend" else found) for found in own.values()]
            rows.append(Shipped(f"a change of {what}", tuple(_sum(found) for found in sizes)))
    return [Shipped("", tuple(layers)), *rows] if rows else []


def _sum(layers: Sequence[Document]) -> str:
    size = sum(layer["size"] for layer in layers)
    return f"{size / MIB:.1f} MiB" if size >= MIB / 10 else f"{size / 1024:.1f} KiB"


_PICTURES: Mapping[str, Callable[[Document], Illustration | None]] = {
    "latency": _curves,
    "memory": _by_program("memory_bytes", MIB, 1, "MiB", "Memory (PSS)"),
    "processor time": _by_program("cpu_s_per_1000", 1, 2, "s", "Processor time per 1,000 requests"),
    "start to ready": _by_program("ready_s", 1, 2, "s", "Start to ready"),
    "image bytes": _images,
    "edit cycle": _edits,
    "backend in an IDE": _ide,
    "far backends": _distances,
}
