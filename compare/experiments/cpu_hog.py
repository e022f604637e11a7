"""A program that spins: busy processes beside it, on its processors and in its container's share of them."""

from __future__ import annotations

import os
from contextlib import ExitStack

from pillion.compare.experiments.experiment import Experiment, Setting
from pillion.compare.experiments.hog import Hog
from pillion.compare.experiments.outcome import FAULT
from pillion.compare.experiments.stage import Stage
from pillion.image.refusal import Failure

A_PROCESSOR = 4


def act(stage: Stage, setting: Setting) -> None:
    """Containers have equal shares of the processors they compete for; without them only processes do."""
    beside = stage.first(setting.program)
    cpus = sorted(os.sched_getaffinity(beside))
    with ExitStack() as stack:
        hogs = [stack.enter_context(Hog("cpu", stage.pace.lasts_s, cpus=cpus)) for _ in range(A_PROCESSOR * len(cpus))]
        if setting.containers and not all(hog.move_beside(beside) for hog in hogs):
            raise Failure("measure a CPU hog", "a process cannot be moved to a container's control group here")
        stage.event()
        for hog in hogs:
            hog.begin()
        stage.sleep(stage.pace.lasts_s)
    if not setting.containers:
        stage.notes.append("without containers there are no shares: a hog is beside both programs alike")


SAYS = "four busy processes for each processor of the {program}, in its control group"
EXPERIMENT = Experiment("cpu-hog", FAULT, SAYS, act)
