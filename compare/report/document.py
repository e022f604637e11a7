"""A comparison for machines: one JSON document, every round kept."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from pillion.compare.comparison import Processors, Sample, Schedule
from pillion.compare.stats import Spread, Summary
from pillion.image.environ.conflicts import Conflict
from pillion.image.pair import Pair

VERSION = 1


def document(
    pair: Pair,
    engine: str,
    schedule: Schedule,
    processors: Processors,
    samples: Mapping[str, Sequence[Sample]],
    summaries: Mapping[str, Summary],
    found: Sequence[Conflict],
    not_measured: Sequence[str],
) -> dict[str, Any]:
    """The whole comparison; latencies in microseconds, memory in bytes, durations in seconds."""
    return {
        "version": VERSION,
        "pair": {"name": pair.name, "source": pair.source},
        "engine": engine,
        "machine": {"system": platform.platform(), "python": platform.python_version()},
        "schedule": schedule._asdict(),
        "processors": processors._asdict(),
        "layouts": {name: _layout(summary, samples[name]) for name, summary in summaries.items()},
        "conflicts": [
            {
                "name": conflict.name,
                "severity": conflict.severity,
                "programs": list(conflict.programs),
                "happens": conflict.happens,
                "resolution": conflict.resolution,
            }
            for conflict in found
        ],
        "not_measured": list(not_measured),
        "notices": list(pair.notices),
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
        "latency_us": summary.latency.percentiles(),
        "requests": summary.requests,
        "failed": summary.failed,
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
