"""What pictures are made of: axes, places that do not overlap, and marks where the numbers are."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from pillion.compare.report.pictures.bars import Bar, Part, bars
from pillion.compare.report.pictures.intervals import interval_strip
from pillion.compare.report.pictures.percentiles import percentile_curves
from pillion.compare.report.pictures.scale import Scale, apart, log_ticks, ticks
from pillion.compare.report.pictures.svg import NARROW, WIDE
from pillion.compare.report.pictures.timeline import timeline


def elements(picture: str, kind: str) -> list[ET.Element]:
    """Those of this class, of a picture that is well-formed."""
    return [each for each in ET.fromstring(picture).iter() if kind in each.get("class", "").split()]


def number(element: ET.Element, name: str) -> float:
    return float(element.attrib[name])


@pytest.mark.parametrize(
    ("high", "expected"),
    [(121.0, [0, 50, 100]), (1.0, [0, 0.5, 1.0]), (4.0, [0, 1, 2, 3, 4]), (0.0, [0]), (0.03, [0, 0.01, 0.02, 0.03])],
)
def test_numbers_at_an_axis_are_round(high: float, expected: list[float]) -> None:
    """And none lies beyond it."""
    assert ticks(high) == pytest.approx(expected)


def test_a_logarithmic_axis_has_ones_twos_and_fives() -> None:
    """Of many powers only the ones; none where there is no such axis."""
    assert log_ticks(0.8, 12) == pytest.approx([1, 2, 5, 10])
    assert log_ticks(0.001, 1000) == pytest.approx([0.001, 0.01, 0.1, 1, 10, 100, 1000])
    assert log_ticks(0, 1) == [] and log_ticks(2, 1) == []


def test_a_scale_keeps_what_is_drawn_within() -> None:
    """A value outside is at the edge; an axis of no length has one place."""
    scale = Scale(0, 10, 100, 200)
    assert (scale.at(5), scale.at(-1), scale.at(11)) == (150, 100, 200)
    assert Scale(1, 100, 0, 2, logarithmic=True).at(10) == pytest.approx(1) and Scale(3, 3, 7, 9).at(3) == 7


def test_names_are_moved_apart_in_their_order() -> None:
    """And back inside at the lower end."""
    moved = apart([50, 10, 52, 51], 10, 0, 60)
    assert sorted(moved) == pytest.approx([10, 40, 50, 60]) and moved[1] == 10 and moved[0] < moved[3] < moved[2]
    assert apart([], 10, 0, 60) == []


def test_the_interval_is_drawn_against_0_and_the_margin() -> None:
    """In order from left to right: the margin's ends, 0 between them, the interval around its estimate."""
    picture = interval_strip("t", 143, (-129, 540), 118, ("-118", "+118"))
    (band,), (zero,), (dot,) = (elements(picture, kind) for kind in ("margin", "zero", "estimate"))
    left, right = number(band, "x"), number(band, "x") + number(band, "width")
    whole = elements(picture, "interval")[0]
    assert number(whole, "x1") < left < number(zero, "x1") < right < number(dot, "cx") < number(whole, "x2")
    assert elements(interval_strip("t", 5, None, 1, ("", "")), "interval") == []


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_curves_end_where_their_percentiles_are(width: int) -> None:
    """Slower is higher; each has its name; nothing to draw is no error."""
    slow, fast = [(0.0, 1.0), (90.0, 4.0), (99.9, 30.0)], [(0.0, 0.5), (90.0, 1.0), (99.9, 3.0)]
    picture = percentile_curves({"shared": slow, "separate": fast}, width)
    ends = {
        name: float(elements(picture, f"of-{name}")[0].attrib["points"].split(",")[-1])
        for name in ("shared", "separate")
    }
    assert ends["shared"] < ends["separate"]
    assert [each.text for each in elements(picture, "name")] == ["shared", "separate"]
    assert "no request was answered" in percentile_curves({"direct": []}, width)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_bars_are_as_long_as_their_numbers(width: int) -> None:
    """Parts one behind the other, within the picture; a bar of nothing is drawn too."""
    rows = [
        Bar("one", [Part("a", 30, "by-proxy"), Part("b", 10, "by-backend")], "40", (35, 50)),
        Bar("two", [Part("a", 20, "by-proxy")], "20"),
        Bar("none", [Part("a", 0, "by-proxy")], "0", (0, 0)),
    ]
    picture = bars("t", rows, "MiB", width)
    first, second, third, fourth = elements(picture, "part")
    assert number(first, "width") / number(third, "width") == pytest.approx(1.5, rel=0.02)
    assert number(second, "x") > number(first, "x") and number(fourth, "width") == 0
    assert all(number(each, "x2") <= width for each in elements(picture, "whisker"))
    assert bars("t", [], "MiB", width)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_failed_requests_are_below_the_line(width: int) -> None:
    """Answered ones above it; the moment stands where it was, the time down is shaded."""
    bins = [(step / 10, 0.0 if step in (5, 6) else 10.0, 8.0 if step in (5, 6) else 0.0) for step in range(10)]
    picture = timeline("t", "shared", bins, (0.5, "kill"), 1.0, width)
    (line,), (shade, _), (moment,) = (elements(picture, kind) for kind in ("axis", "down", "moment"))
    zero = number(line, "y1")
    assert len(elements(picture, "failed")) == 2 and len(elements(picture, "part")) == 8
    assert all(number(each, "y") == zero for each in elements(picture, "failed"))
    assert all(
        number(each, "y") + number(each, "height") == pytest.approx(zero, abs=0.2) for each in elements(picture, "part")
    )
    assert number(shade, "x") == pytest.approx(number(moment, "x1"), abs=0.2)
    assert timeline("t", "shared", [], (0.0, ""), 0.0, width)


def test_what_is_put_into_a_picture_is_escaped() -> None:
    """Names of layouts and programs come from files."""
    picture = bars("<a>", [Bar("<b>", [Part("<c>", 1, 'x" onload="y')], "<d>")], "<e>", WIDE)
    assert not re.search(r"<[abcde]>", picture) and ET.fromstring(picture) is not None
