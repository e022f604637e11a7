"""A comparison for machines: one JSON document, every round kept."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from typing import Any

from pillion.compare.result import Comparison, Sample
from pillion.compare.stats import Spread, Summary, summaries

VERSION = 1


def document(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison; latencies in microseconds, memory in bytes, durations in seconds."""
    pair = comparison.pair
    found = summaries(comparison)
    return {
        "version": VERSION,
        "pair": {"name": pair.name, "source": pair.source},
        "engine": comparison.engine,
        "machine": {"system": platform.platform(), "python": platform.python_version()},
        "schedule": comparison.schedule._asdict(),
        "processors": comparison.processors._asdict(),
        "layouts": {name: _layout(summary, comparison.samples[name]) for name, summary in found.items()},
        "conflicts": [{**conflict._asdict(), "programs": list(conflict.programs)} for conflict in comparison.conflicts],
        "not_measured": list(comparison.not_measured),
        "notices": list(comparison.notices),
    }


def _layout(summary: Summary, samples: Sequence[Sample]) -> dict[str, Any]:
    spreads: dict[str, Spread] = {
        "rate": summary.rate,
        "memory_bytes": summary.memory_bytes,
        "cpu_s_per_1000": summary.cpu_s_per_1000,
        "processes": summary.processes,
        "ready_s": summary.ready_s,
    }
    return {
        "latency_us": summary.latency.percentiles() if summary.latency.count else None,
        "requests": summary.requests,
        "failed": summary.failed,
        "failures": dict(summary.failures),
        **{name: found.median for name, found in spreads.items()},
        "generator_late_share": summary.late_share,
        "spread": {
            **{name: list(found[1:]) for name, found in spreads.items()},
            **{f"latency_us.{name}": list(found[1:]) for name, found in summary.percentiles.items()},
        },
        "rounds": [
            {**json.loads(sample.load.to_json()), **{k: v for k, v in sample._asdict().items() if k != "load"}}
            for sample in samples
        ],
    }
