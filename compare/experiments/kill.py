"""SIGKILL to a program's first process: what any crash looks like from outside."""

from __future__ import annotations

import os
import signal

from pillion.compare.experiments.experiment import Experiment, Setting, network_goes_along
from pillion.compare.experiments.outcome import FAULT
from pillion.compare.experiments.stage import Stage


def act(stage: Stage, setting: Setting) -> None:
    """In a container of its own the first process takes the others along; in one container they are ended when the
    program is started again."""
    kill(stage, setting.program)


def kill(stage: Stage, program: str) -> int:
    """The pid that was killed."""
    pid = stage.first(program)
    stage.event()
    os.kill(pid, signal.SIGKILL)
    return pid


def cannot(setting: Setting) -> str:
    """In the one container only a program ends, and not the container."""
    return "" if setting.layout == "shared" else network_goes_along(setting)


EXPERIMENT = Experiment("kill", FAULT, "SIGKILL to the {program}'s first process", act, cannot=cannot)
