"""The comparison: every layout started, loaded, measured and stopped, in rounds, in an order of chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

from pillion.compare.engines import process
from pillion.compare.layouts import Place, Plan, plan
from pillion.compare.load import LoadJob, LoadResult, run_load
from pillion.compare.output import LineSink
from pillion.compare.proc import cpu_seconds, proportional_set_size
from pillion.compare.ready import wait_ready
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


def share_out(allowed: Collection[int]) -> Processors:
    """One processor for the generator and the others for the programs, where there are two or more."""
    *programs, generator = sorted(allowed)
    return Processors(tuple(programs), (generator,)) if programs else Processors()


class Sample(NamedTuple):
    """One layout in one round. Memory is PSS in bytes right after the load; `cpu_s_per_1000` is per 1,000 requests."""

    load: LoadResult
    memory_bytes: int
    cpu_s_per_1000: float
    processes: int
    ready_s: float
    stop_s: float


Progress = Callable[[int, str, str], None]


def compare(
    pair: Pair,
    layouts: Sequence[str],
    place: Place,
    schedule: Schedule,
    processors: Processors,
    progress: Progress,
    sink: LineSink,
) -> dict[str, list[Sample]]:
    """The samples of each layout, in the order of the rounds. `progress` hears round, layout and step.

    Raises Refusal before anything is started if the pair cannot be laid out, Failure if a layout does not come up.
    """
    plans = {layout: plan(pair, layout, place) for layout in layouts}
    samples: dict[str, list[Sample]] = {layout: [] for layout in layouts}
    chance = random.Random(schedule.seed)
    for turn in range(schedule.rounds):
        for layout in chance.sample(list(layouts), len(layouts)):
            sample = _measure(pair, plans[layout], schedule, processors, partial(progress, turn, layout), sink)
            samples[layout].append(sample)
    return samples


def _measure(
    pair: Pair,
    planned: Plan,
    schedule: Schedule,
    processors: Processors,
    progress: Callable[[str], None],
    sink: LineSink,
) -> Sample:
    what = f"compare {pair.source}"
    progress("start")
    with process.start(planned, what, sink, pair.grace_s, processors.programs) as running:
        ready_s = wait_ready(running, what, schedule.ready_timeout_s)
        progress("load")
        job = LoadJob(
            port=planned.port,
            method=schedule.method,
            path=schedule.path,
            rate=schedule.rate,
            warmup_s=schedule.warmup_s,
            duration_s=schedule.duration_s,
            connections=schedule.connections,
            cpus=processors.generator,
        )
        cpu_before = cpu_seconds(running.pids())
        load = run_load(job)
        family = running.pids()
        cpu_s = cpu_seconds(family) - cpu_before
        memory = proportional_set_size(family)
        progress("stop")
        began = time.monotonic()
        running.stop()
        stop_s = time.monotonic() - began
    sent = schedule.rate * (schedule.warmup_s + schedule.duration_s)
    return Sample(load, memory, cpu_s / sent * 1000, len(family), ready_s, stop_s)
