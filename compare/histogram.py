"""A histogram of latencies: HdrHistogram at 1 microsecond to 60 seconds with three significant digits.

The text form is HdrHistogram's own V2 encoding (compressed, base64), readable by every HdrHistogram library, so that
the raw rounds of a run can be kept in a JSON report and merged later without loss.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable

from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

LOWEST_US = 1
HIGHEST_US = 60_000_000
DIGITS = 3
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}


class Histogram:
    """Counts of latencies in whole microseconds; below 2,048 us every value has a bucket of its own."""

    def __init__(self) -> None:
        self._hdr = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)

    @classmethod
    def of(cls, values_us: Iterable[int]) -> Histogram:
        """The histogram of `values_us`, each a number of microseconds."""
        histogram = cls()
        for value, count in Counter(values_us).items():
            histogram.record(value, count)
        return histogram

    @classmethod
    def merged(cls, histograms: Iterable[Histogram]) -> Histogram:
        """One new histogram that holds what all of `histograms` hold."""
        merged = cls()
        for histogram in histograms:
            merged.merge(histogram)
        return merged

    @classmethod
    def decode(cls, text: str) -> Histogram:
        """The histogram that `encode` gave as `text`; ValueError if it is not one of these bounds and digits."""
        try:
            hdr = HdrHistogram.decode(text.encode("ascii"))
        except (ValueError, HdrCookieException, HdrLengthException, zlib.error) as error:
            raise ValueError(f"cannot decode a histogram: {error or 'it is not an HdrHistogram V2 text'}") from None
        shape = (hdr.lowest_trackable_value, hdr.highest_trackable_value, hdr.significant_figures)
        if shape != (LOWEST_US, HIGHEST_US, DIGITS):
            raise ValueError(f"cannot decode a histogram: its lowest, highest and digits are {shape}")
        histogram = cls()
        histogram._hdr = hdr
        return histogram

    def encode(self) -> str:
        """HdrHistogram V2, compressed, base64: a line of ASCII."""
        return str(self._hdr.encode(), "ascii")

    def record(self, value_us: int, count: int = 1) -> None:
        """Add `count` times `value_us`, clamped into the bounds."""
        if count:  # with none, the library would still move its maximum
            self._hdr.record_value(min(max(value_us, LOWEST_US), HIGHEST_US), count)

    def merge(self, other: Histogram) -> None:
        """Add what `other` holds to this one."""
        if other.count:
            self._hdr.add(other._hdr)

    @property
    def count(self) -> int:
        """How many values it holds."""
        return int(self._hdr.get_total_count())

    @property
    def max(self) -> int:
        """The greatest value in microseconds, to the histogram's precision; 0 if it is empty."""
        return int(self._hdr.get_max_value())

    def percentile(self, percent: float) -> int:
        """The value in microseconds below or at which `percent` (0 to 100) of the values lie; 0 if it is empty."""
        return int(self._hdr.get_value_at_percentile(percent)) if self.count else 0

    def percentiles(self) -> dict[str, int]:
        """`p50`, `p90`, `p99` and `p99.9` in microseconds; zeros if it is empty."""
        if not self.count:
            return dict.fromkeys(PERCENTILES, 0)
        values = self._hdr.get_percentile_to_value_dict(list(PERCENTILES.values()))
        return {name: int(values[percent]) for name, percent in PERCENTILES.items()}
