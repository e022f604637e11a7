"""The histogram keeps three digits, merges without loss and survives its own text."""

from __future__ import annotations

import math

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from pillion.compare.histogram import HIGHEST_US, LOWEST_US, PERCENTILES, Histogram

latencies = st.lists(st.integers(LOWEST_US, HIGHEST_US), min_size=1, max_size=200)


@given(latencies)
def test_percentiles_are_the_ranked_values_to_three_digits(values: list[int]) -> None:
    """A percentile is the value of that rank, never below it and at most a thousandth above."""
    found = Histogram.of(values).percentiles()
    for name, percent in PERCENTILES.items():
        rank = max(math.floor(percent * len(values) / 100 + 0.5), 1)
        exact = sorted(values)[rank - 1]
        assert exact <= found[name] <= exact * 1.001


@given(latencies)
def test_text_and_back_is_the_same_histogram(values: list[int]) -> None:
    """What is kept in a report is the histogram, not a summary of it."""
    histogram = Histogram.of(values)
    again = Histogram.decode(histogram.encode())
    assert (again.count, again.max, again.percentiles()) == (len(values), histogram.max, histogram.percentiles())
    assert again.encode() == histogram.encode()


@given(st.lists(latencies, max_size=5))
def test_merging_rounds_is_recording_them_together(rounds: list[list[int]]) -> None:
    """The merged rounds are the one histogram of all their values, and each round stays as it was."""
    histograms = [Histogram.of(values) for values in rounds]
    before = [histogram.encode() for histogram in histograms]
    merged = Histogram.merged(Histogram.decode(text) for text in before)
    assert merged.encode() == Histogram.of([value for values in rounds for value in values]).encode()
    assert Histogram.merged(histograms).encode() == merged.encode()
    assert [histogram.encode() for histogram in histograms] == before


def test_values_outside_the_bounds_count_at_the_bounds() -> None:
    """A latency is never lost for being too short or too long."""
    histogram = Histogram.of([0, HIGHEST_US * 2])
    assert histogram.count == 2
    assert histogram.percentile(0) == LOWEST_US
    assert histogram.max >= HIGHEST_US


def test_empty_histogram_is_zeros() -> None:
    """No values: no percentiles, no maximum, and recording a value zero times changes nothing."""
    histogram = Histogram()
    histogram.record(1_000, 0)
    again = Histogram.decode(histogram.encode())
    assert (again.count, again.max, again.percentile(99)) == (0, 0, 0)
    assert set(again.percentiles().values()) == {0}
    again.merge(Histogram.of([5]))
    assert again.percentiles() == dict.fromkeys(PERCENTILES, 5)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "HISTFAAAABx42pNpmSzMwMDAxAABzFCaEUqz/wcADcoCvw==", "é"])
def test_text_that_is_no_histogram_is_refused(text: str) -> None:
    """A damaged report is told, not read as something else."""
    with pytest.raises(ValueError, match="cannot decode a histogram"):
        Histogram.decode(text)


def test_histogram_of_other_bounds_is_refused() -> None:
    """Merging needs equal buckets."""
    other = HdrHistogram(1, 1000, 2)
    other.record_value(7)
    with pytest.raises(ValueError, match=r"\(1, 1000, 2\)"):
        Histogram.decode(other.encode().decode())
