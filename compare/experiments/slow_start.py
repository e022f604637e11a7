"""A program that comes back slowly: killed, and what is started in its place is held for a while first."""

from __future__ import annotations

import time

from pillion.compare.experiments.experiment import Experiment, Setting
from pillion.compare.experiments.hang import stop_for_a_while
from pillion.compare.experiments.kill import cannot, kill
from pillion.compare.experiments.outcome import FAULT
from pillion.compare.experiments.stage import Stage


def act(stage: Stage, setting: Setting) -> None:
    """No image has to have a tool for that; a program that starts in milliseconds may have begun to listen before."""
    killed = kill(stage, setting.program)
    patience = time.monotonic() + stage.pace.after_s - stage.pace.lasts_s
    stage.until(patience, lambda: stage.first(setting.program) not in (0, killed))
    if stage.first(setting.program) in (0, killed):
        stage.notes.append(f"the {setting.program} was not started again in time to be slow")
        return
    stop_for_a_while(stage, stage.pids(setting.program))


SAYS = "SIGKILL to the {program}, and what is started in its place is stopped (SIGSTOP) for some seconds first"
EXPERIMENT = Experiment("slow-start", FAULT, SAYS, act, cannot=cannot)
