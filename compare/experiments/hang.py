"""SIGSTOP to a program for a while: it neither ends nor answers, and nobody is told."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection

from pillion.compare.experiments.experiment import Experiment, Setting
from pillion.compare.experiments.outcome import FAULT
from pillion.compare.experiments.stage import Stage


def act(stage: Stage, setting: Setting) -> None:
    """All its processes, so that no worker goes on answering; then they may go on."""
    pids = stage.pids(setting.program)
    stage.event()
    stop_for_a_while(stage, pids)
    if not stage.restarts()[setting.program]:
        stage.notes.append("a hang ends nothing: without a liveness probe nobody restarts it, in no layout")


def stop_for_a_while(stage: Stage, pids: Collection[int]) -> None:
    """They go on whatever happens meanwhile."""
    try:
        _send(pids, signal.SIGSTOP)
        stage.sleep(stage.pace.lasts_s)
    finally:
        _send(pids, signal.SIGCONT)


def _send(pids: Collection[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


EXPERIMENT = Experiment("hang", FAULT, "SIGSTOP to all of the {program}'s processes, SIGCONT some seconds later", act)
