"""The comparison: every layout started, loaded, measured and stopped, in rounds, in an order of chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from pillion.compare.engines import process
from pillion.compare.layouts import Place, Plan, plan
from pillion.compare.load import LoadJob, run_load
from pillion.compare.output import LineSink
from pillion.compare.proc import cpu_seconds, proportional_set_size
from pillion.compare.ready import wait_ready
from pillion.compare.result import Comparison, Processors, Sample, Schedule
from pillion.image.environ.conflicts import conflicts
from pillion.image.pair import Pair
from pillion.image.refusal import Refusal

Progress = Callable[[int, str, str], None]


def share_out(allowed: Collection[int]) -> Processors:
    """One processor for the generator and the others for the programs, where there are two or more."""
    *programs, generator = sorted(allowed)
    return Processors(tuple(programs), (generator,)) if programs else Processors()


def compare(
    pair: Pair,
    layouts: Sequence[str],
    place: Place,
    schedule: Schedule,
    processors: Processors,
    progress: Progress,
    sink: LineSink,
) -> Comparison:
    """Compare the layouts of a pair. `progress` hears round, layout and step.

    Raises Refusal before anything is started if the pair cannot be laid out or loaded as asked, Failure if a layout
    does not come up.
    """
    plans = {layout: plan(pair, layout, place) for layout in layouts}
    jobs = {layout: _job(planned, schedule, processors) for layout, planned in plans.items()}
    samples: dict[str, list[Sample]] = {layout: [] for layout in layouts}
    chance = random.Random(schedule.seed)
    for turn in range(schedule.rounds):
        for layout in chance.sample(list(layouts), len(layouts)):
            said = partial(progress, turn, layout)
            measured = _measure(pair, plans[layout], jobs[layout], schedule, processors, said, sink)
            samples[layout].append(measured)
    notices = dict.fromkeys([*pair.notices, *(notice for planned in plans.values() for notice in planned.notices)])
    return Comparison(
        pair, process.NAME, schedule, processors, samples, conflicts(pair), process.CANNOT_MEASURE, tuple(notices)
    )


def _job(planned: Plan, schedule: Schedule, processors: Processors) -> LoadJob:
    if schedule.rate * schedule.duration_s < 1:
        why = f"--rate {schedule.rate:g} for --duration {schedule.duration_s:g} is not one request"
        raise Refusal("compare", why, "raise one of the two")
    return LoadJob(
        port=planned.port,
        method=schedule.method,
        path=schedule.path,
        rate=schedule.rate,
        warmup_s=schedule.warmup_s,
        duration_s=schedule.duration_s,
        connections=schedule.connections,
        cpus=processors.generator,
    )


def _measure(
    pair: Pair,
    planned: Plan,
    job: LoadJob,
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
        cpu_before = cpu_seconds(running.pids())
        load = run_load(job)
        family = running.pids()
        cpu_s = cpu_seconds(family) - cpu_before
        memory = proportional_set_size(family)
        progress("stop")
        began = time.monotonic()
        running.stop()
        stop_s = time.monotonic() - began
    sent = job.rate * (job.warmup_s + job.duration_s)
    return Sample(load, memory, cpu_s / sent * 1000, len(family), ready_s, stop_s)
