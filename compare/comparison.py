"""The comparison: every layout started, loaded, measured and stopped, in rounds, in an order of chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial as bind

from pillion.compare import machine
from pillion.compare.door import Door, door_of
from pillion.compare.engines.running import Engine, Prepared
from pillion.compare.host import describe
from pillion.compare.load import LoadJob, run_load
from pillion.compare.output import LineSink
from pillion.compare.padding import pad
from pillion.compare.per_program import cpu_by_program, use_by_program
from pillion.compare.ready import wait_ready
from pillion.compare.result import MOST_ROUNDS, Comparison, Margins, Processors, Sample, Schedule
from pillion.image.environ.conflicts import conflicts
from pillion.image.pair import Pair
from pillion.image.refusal import Failure, Refusal

Progress = Callable[[int, str, str], None]


def share_out(allowed: Collection[int]) -> Processors:
    """One processor for the generator and the others for the programs, where there are two or more."""
    *programs, generator = sorted(allowed)
    return Processors(tuple(programs), (generator,)) if programs else Processors()


def compare(
    pair: Pair,
    layouts: Sequence[str],
    engine: Engine,
    schedule: Schedule,
    processors: Processors,
    progress: Progress,
    sink: LineSink | None,
    margins: Margins = Margins(),  # noqa: B008 (a constant)
) -> Comparison:
    """Compare the layouts of a pair. `progress` hears round, layout and step.

    Raises Refusal before anything is started if the pair cannot be laid out or loaded as asked. What ends it later, a
    Failure or an interrupt, is raised only if nothing was measured yet; else it is what `partial` says of the rounds
    so far.
    """
    began, clock = time.time(), time.monotonic()
    prepared = {layout: engine.prepare(pair, layout) for layout in layouts}
    doors = {layout: door_of(pair, layout) for layout in layouts}
    jobs = {layout: _job(doors[layout], schedule, processors) for layout in layouts}
    samples: dict[str, list[Sample]] = {layout: [] for layout in layouts}
    images = {layout: each.images() for layout, each in prepared.items()}
    chance = random.Random(schedule.seed)
    partial = ""
    try:
        for turn in range(schedule.rounds):
            for layout in chance.sample(list(layouts), len(layouts)):
                said = bind(progress, turn, layout)
                job = replace(jobs[layout], seed=schedule.seed * MOST_ROUNDS + turn)
                what = f"compare {pair.source}"
                padded, padding = pad(pair, chance)
                ready = engine.prepare(padded, layout)
                sample = _measure(what, ready, doors[layout], job, schedule, processors.programs, said, sink)
                samples[layout].append(sample._replace(padding=padding))
    except (Refusal, KeyboardInterrupt, OSError) as error:
        if not any(samples.values()):
            raise
        partial = why_partial(error)
    notices = dict.fromkeys([*pair.notices, *(notice for each in prepared.values() for notice in each.notices)])
    sizes = {layout: each.image_bytes for layout, each in prepared.items()}
    return Comparison(
        pair=pair,
        engine=engine.name,
        schedule=schedule,
        processors=processors,
        samples={layout: rounds for layout, rounds in samples.items() if rounds},
        conflicts=conflicts(pair),
        not_measured=engine.cannot_measure,
        notices=tuple(notices),
        facts=engine.facts,
        image_bytes={layout: size for layout, size in sizes.items() if size is not None},
        margins=margins,
        images={layout: found for layout, found in images.items() if found},
        host=describe(),
        began=began,
        took_s=time.monotonic() - clock,
        partial=partial,
    )


def why_partial(error: BaseException) -> str:
    """What ended a run before its end, for a sentence."""
    return f"stopped by {error or 'Ctrl-C'}" if isinstance(error, KeyboardInterrupt) else str(error)


def _job(door: Door, schedule: Schedule, processors: Processors) -> LoadJob:
    if schedule.rate * schedule.duration_s < 1 and not schedule.closed_loop:
        why = f"--rate {schedule.rate:g} for --duration {schedule.duration_s:g} is not one request"
        raise Refusal("compare", why, "raise one of the two")
    return LoadJob(
        port=door.port,
        socket=door.path,
        certificate=door.certificate,
        method=schedule.method,
        path=schedule.path,
        rate=schedule.rate,
        warmup_s=schedule.warmup_s,
        duration_s=schedule.duration_s,
        connections=schedule.connections,
        cpus=processors.generator,
        headers=schedule.headers,
        arrivals=schedule.arrivals,
        targets=schedule.targets,
        keep_alive=schedule.keep_alive,
        closed_loop=schedule.closed_loop,
    )


def _measure(
    what: str,
    prepared: Prepared,
    door: Door,
    job: LoadJob,
    schedule: Schedule,
    cpus: Sequence[int],
    progress: Callable[[str], None],
    sink: LineSink | None,
) -> Sample:
    progress("start")
    offset = machine.clock_offset_s()
    with prepared.start(what, sink, cpus) as running:
        ready_s = wait_ready(running, what, schedule.ready_timeout_s, door)
        progress("load")
        memory_before = running.usage().memory_bytes
        before, cpu_before, own_before = machine.read(), running.cpu_s(), time.process_time()
        each_before = cpu_by_program(running.programs())
        with running.network():
            load = run_load(job)
        cpu_s = running.cpu_s() - cpu_before
        own_s = time.process_time() - own_before
        conditions = machine.between(before, machine.read(), cpu_s + load.generator.cpu_s + own_s)
        usage = running.usage()
        seconds = job.warmup_s + job.duration_s
        # In a closed loop only what was answered tells how much was sent; the warm-up at the same pace.
        sent = load.requests / job.duration_s * seconds if job.closed_loop else job.rate * seconds
        thousands = max(sent, 1) / 1000
        programs = use_by_program(running.programs(), each_before, thousands)
        if lost := running.lost():
            why = f"layout {running.layout} did not outlive the load: {running.explain_loss(*lost)}"
            raise Failure(what, f"{why}; {load.failures} of {load.requests} requests of that round failed")
        progress("stop")
        began = time.monotonic()
        running.stop()
        stop_s = time.monotonic() - began
        endings = running.endings()
    return Sample(
        load=load,
        memory_bytes=usage.memory_bytes,
        cpu_s_per_1000=cpu_s / thousands,
        processes=usage.processes,
        ready_s=ready_s,
        stop_s=stop_s,
        cgroup_bytes=usage.cgroup_bytes,
        engine_bytes=usage.engine_bytes,
        conditions=conditions,
        endings=endings,
        programs=programs,
        memory_before_bytes=memory_before,
        clock_jump_s=machine.clock_offset_s() - offset,
    )
