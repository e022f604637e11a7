"""The figures that the comparison judges, and what each makes of the margins (pure)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pillion.compare.result import MIB, Margins, Sample


class Figure(NamedTuple):
    """One primary figure: its value in a round (None if the round has none), and how it is said.

    `name` is its key in documents; a value over `scale` is in `unit`, shown with so many `digits`.
    """

    name: str
    label: str
    unit: str
    scale: float
    digits: int
    value: Callable[[Sample], float | None]
    margin: Callable[[Margins, float], float]

    def said(self, value: float, sign: bool = False) -> str:
        """The number in its unit, without the unit's name."""
        text = f"{value / self.scale:{'+' if sign else ''}.{self.digits}f}"
        return text[1:] if not float(text) and text[0] in "+-" else text


def _percentile(percent: float) -> Callable[[Sample], float | None]:
    def value(sample: Sample) -> float | None:
        return float(sample.load.latency.percentile(percent)) if sample.load.latency.count else None

    return value


def _latency_margin(margins: Margins, typical: float) -> float:
    return max(margins.latency_us, margins.latency_share * typical)


P50 = Figure("latency_us.p50", "p50", "us", 1, 0, _percentile(50), _latency_margin)
P99 = Figure("latency_us.p99", "p99", "us", 1, 0, _percentile(99), _latency_margin)
MEMORY = Figure(
    "memory_bytes",
    "memory (PSS)",
    "MiB",
    MIB,
    1,
    lambda sample: float(sample.memory_bytes),
    lambda margins, _: margins.memory_bytes,
)
CPU = Figure(
    "cpu_s_per_1000",
    "CPU per 1,000 requests",
    "s",
    1,
    3,
    lambda sample: sample.cpu_s_per_1000,
    lambda margins, typical: margins.cpu_share * typical,
)
START = Figure(
    "ready_s",
    "start to ready",
    "s",
    1,
    2,
    lambda sample: sample.ready_s,
    lambda margins, typical: max(margins.start_s, margins.start_share * typical),
)
PRIMARY = (P50, P99, MEMORY, CPU)
