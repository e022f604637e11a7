"""What a comparison is made of, as plain values: how it was run, and what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pillion.compare.load import LoadResult
from pillion.image.environ.conflicts import Conflict
from pillion.image.pair import Pair


class Schedule(NamedTuple):
    """How much is measured: `rounds` times each layout, `duration_s` at `rate` requests a second after `warmup_s`."""

    rounds: int = 5
    rate: float = 200.0
    warmup_s: float = 1.0
    duration_s: float = 4.0
    ready_timeout_s: float = 30.0
    connections: int = 64
    method: str = "GET"
    path: str = "/"
    seed: int = 0


class Processors(NamedTuple):
    """Who may run where: the load generator and the programs kept apart, empty for "anywhere".

    Whether client and server share a processor moves the median by more than a sidecar does, and left alone the
    scheduler decides it anew for every run.
    """

    programs: tuple[int, ...] = ()
    generator: tuple[int, ...] = ()


class Sample(NamedTuple):
    """One layout in one round. Memory is PSS in bytes right after the load; `cpu_s_per_1000` is per 1,000 requests."""

    load: LoadResult
    memory_bytes: int
    cpu_s_per_1000: float
    processes: int
    ready_s: float
    stop_s: float


class Comparison(NamedTuple):
    """Everything that a report can be made from. `notices` are what the plans and the pair file gave to know."""

    pair: Pair
    engine: str
    schedule: Schedule
    processors: Processors
    samples: Mapping[str, Sequence[Sample]]
    conflicts: Sequence[Conflict]
    not_measured: Sequence[str]
    notices: Sequence[str] = ()
