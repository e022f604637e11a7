"""A program whose child takes more memory than its container may have.

Each container gets what it uses plus the same headroom for each of its programs as its limit: the one container has
what the two have together. On engine process there is no container that could be limited.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from pillion.compare.cgroup import Cgroup
from pillion.compare.engines.layout import RunningContainers
from pillion.compare.experiments.experiment import Experiment, Setting
from pillion.compare.experiments.hog import Hog
from pillion.compare.experiments.outcome import FAULT
from pillion.compare.experiments.stage import Stage
from pillion.compare.result import MIB
from pillion.image.engine import PODMAN
from pillion.image.refusal import Failure

HEADROOM = 64 * MIB
MOST = 4 * HEADROOM
MARK_S = 2.0


def cannot(setting: Setting) -> str:
    """Only a container has a limit of its own."""
    return "" if setting.containers else "engine process has no container whose memory could be limited"


def act(stage: Stage, setting: Setting) -> None:
    """The limits go again at the end, as the containers do."""
    assert isinstance(stage.running, RunningContainers)
    groups = stage.running.cgroups()
    # What podman's conmon leaves where the client was started, when the kernel has struck.
    mark = Path("oom").absolute()
    ours = not mark.exists()
    beside = stage.first(setting.program)
    with ExitStack() as stack:
        hog = stack.enter_context(Hog("memory", MOST, stage.pace.lasts_s))
        if not hog.move_beside(beside):
            raise Failure("measure a memory hog", "a process cannot be moved to a container's control group here")
        for name, group in groups.items():
            _limit(group, 2 if name == "shared" else 1)
            stack.callback(_lift, group)
        before = sum(group.oom_kills() for group in groups.values())
        stage.event()
        hog.begin()
        stage.sleep(stage.pace.lasts_s)
        struck = sum(group.oom_kills() for group in groups.values()) - before
        if struck and ours and setting.engine.name == PODMAN:
            stage.until(time.monotonic() + MARK_S, mark.exists)
            mark.unlink(missing_ok=True)
        took = "it was the hog" if hog.killed() else "the hog was spared"
    headroom = f"{HEADROOM // MIB} MiB above its use for each program of a container"
    stage.notes.append(
        f"limit: {headroom}; the kernel killed {struck} process{'' if struck == 1 else 'es'} for want of memory"
        + (f", and {took}" if struck else "")
    )


def _limit(group: Cgroup, programs: int) -> None:
    try:
        group.limit_memory(group.memory_bytes() + programs * HEADROOM)
    except OSError as error:
        why = f"a container's memory cannot be limited here ({error.strerror})"
        raise Failure("measure a memory hog", why) from error


def _lift(group: Cgroup) -> None:
    try:
        group.limit_memory(None)
    except OSError:
        return  # it has gone


SAYS = "a process beside the {program}, in its control group, takes memory until the container's limit is reached"
EXPERIMENT = Experiment("memory-hog", FAULT, SAYS, act, cannot=cannot)
