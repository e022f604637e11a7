"""Every experiment, which of them a run has, and the running of one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pillion.compare.door import Door, door_of
from pillion.compare.engines.running import Engine
from pillion.compare.experiments import change, cpu_hog, full_disk, hang, kill, memory_hog, slow_start
from pillion.compare.experiments.experiment import Experiment, Setting
from pillion.compare.experiments.outcome import FAULT, NOT_MEASURED, Outcome, count
from pillion.compare.experiments.stage import Lines, Pace, Stage
from pillion.compare.load import LoadJob, StartedLoad
from pillion.compare.ready import wait_ready
from pillion.compare.result import Processors, Schedule
from pillion.image.pair import Pair
from pillion.image.refusal import Failure, Refusal

EXPERIMENTS: tuple[Experiment, ...] = (
    kill.EXPERIMENT,
    hang.EXPERIMENT,
    memory_hog.EXPERIMENT,
    cpu_hog.EXPERIMENT,
    full_disk.EXPERIMENT,
    slow_start.EXPERIMENT,
    *change.EXPERIMENTS,
)
LAYOUTS = ("direct", "shared", "separate")
# What starting, stopping and the last requests take beside the load, for the estimate.
AROUND_S = 5.0

Chosen = tuple[Experiment, Setting]


def choose(names: str) -> list[Experiment]:
    """From `kill,hang` or `all`. Raises Refusal for a name that is none."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {each.name: each for each in EXPERIMENTS}
    unknown = [name for name in wanted if name not in (*known, "all")]
    if unknown or not wanted:
        why = f"--experiments {names}: there is no such experiment"
        raise Refusal("compare", why, f"choose from all,{','.join(known)}")
    return [each for name, each in known.items() if name in wanted or "all" in wanted]


def plan_experiments(chosen: Sequence[Experiment], pair: Pair, layouts: Sequence[str], engine: Engine) -> list[Chosen]:
    """Each experiment with each of its programs, in each layout that has it."""
    return [
        (experiment, Setting(engine, pair, layout, program))
        for experiment in chosen
        for program in experiment.programs
        for layout in LAYOUTS
        if layout in layouts and (layout != "direct" or program == "backend")
    ]


def seconds(planned: Sequence[Chosen], pace: Pace) -> float:
    """About how long they take."""
    measured = sum(not experiment.cannot(setting) for experiment, setting in planned)
    return measured * (pace.before_s + pace.after_s + AROUND_S)


def run_experiments(
    planned: Sequence[Chosen],
    schedule: Schedule,
    processors: Processors,
    progress: Callable[[int, str], None],
    check: Callable[[], None],
    pace: Pace = Pace(),  # noqa: B008 (a constant)
) -> list[Outcome]:
    """One after the other. `progress` hears which and what it is; `check` is called all the time and may raise."""
    outcomes = []
    for number, (experiment, setting) in enumerate(planned):
        progress(number, f"{experiment.name} of the {setting.program} in {setting.layout}")
        outcomes.append(_run(experiment, setting, schedule, processors, check, pace))
    return outcomes


def _run(
    experiment: Experiment,
    setting: Setting,
    schedule: Schedule,
    processors: Processors,
    check: Callable[[], None],
    pace: Pace,
) -> Outcome:
    says = experiment.says.format(program=setting.program)
    outcome = Outcome(experiment.name, says, experiment.kind, setting.program, setting.layout)
    if why := experiment.cannot(setting):
        return outcome._replace(note=f"{NOT_MEASURED}{why}")
    try:
        return _measure(outcome, experiment, setting, schedule, processors, check, pace)
    except Failure as failure:
        return outcome._replace(note=f"{NOT_MEASURED}{failure}")


def _measure(
    outcome: Outcome,
    experiment: Experiment,
    setting: Setting,
    schedule: Schedule,
    processors: Processors,
    check: Callable[[], None],
    pace: Pace,
) -> Outcome:
    what = f"experiment {outcome.name} with {setting.pair.source}"
    lines = Lines()
    prepared = experiment.prepare(setting)
    door = door_of(setting.pair, setting.layout)
    job = _job(door, schedule, processors, pace)
    with prepared.start(what, lines, processors.programs) as running:
        wait_ready(running, what, schedule.ready_timeout_s, door)
        with running.network():
            started = StartedLoad(job)
        with started as load:
            stage = Stage(running, lines, pace, check)
            experiment.before(stage, setting)
            load.begin()
            began = time.monotonic()
            stage.until(began + pace.before_s)
            experiment.act(stage, setting)
            stage.until((stage.event_at or began) + pace.after_s)
            result = load.result()
        stage.wait_whole()
        stage.look()
        detected = stage.detected_s(setting.program) if experiment.kind == FAULT else None
        counted = count(result.each)
        return outcome._replace(
            **counted,
            at_s=round((stage.event_at or began) - result.began_s, 3),
            detected_s=detected,
            restarts=stage.restarts(),
            logs=stage.said(),
            note="; ".join(stage.notes),
            bytes_shipped=stage.bytes_shipped,
            lines=len(lines),
            unnamed=running.unnamed_lines(),
        )


def _job(door: Door, schedule: Schedule, processors: Processors, pace: Pace) -> LoadJob:
    """Modest and even: what fails does so for the event's sake."""
    return LoadJob(
        port=door.port,
        socket=door.path,
        certificate=door.certificate,
        method=schedule.method,
        path=schedule.path,
        rate=pace.rate,
        duration_s=pace.before_s + pace.after_s,
        timeout_s=pace.timeout_s,
        connections=64,
        cpus=processors.generator,
        headers=schedule.headers,
        targets=schedule.targets,
        keep_alive=schedule.keep_alive,
        seed=schedule.seed,
        keep_each=True,
    )
