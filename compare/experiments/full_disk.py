"""A program that fills the disk it writes to: /tmp, in each container a small file system in memory."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from pillion.compare.engines.containers import PreparedContainers
from pillion.compare.engines.running import Prepared
from pillion.compare.experiments.experiment import Experiment, Setting
from pillion.compare.experiments.outcome import FAULT
from pillion.compare.experiments.stage import Stage
from pillion.compare.result import MIB
from pillion.image.refusal import Failure

PLACE, SIZE = "tmp", 16 * MIB
NAME = ".pillion-full"


def cannot(setting: Setting) -> str:
    """This machine's own disk is not filled."""
    return "" if setting.containers else "engine process writes to this machine's own disk, which is not filled"


def prepare(setting: Setting) -> Prepared:
    """With that file system in each container."""
    prepared = setting.engine.prepare(setting.pair, setting.layout)
    assert isinstance(prepared, PreparedContainers)
    return prepared.with_tmpfs(f"/{PLACE}:rw,mode=1777,size={SIZE}")


def act(stage: Stage, setting: Setting) -> None:
    """From outside, through the program's own view of its files."""
    folder = Path(f"/proc/{stage.first(setting.program)}/root/{PLACE}")
    _check(folder)
    stage.event()
    try:
        _fill(folder)
        stage.sleep(stage.pace.lasts_s)
    finally:
        with contextlib.suppress(OSError):
            (folder / NAME).unlink()
    whose = "both programs' in shared" if setting.layout == "shared" else f"the {setting.program}'s alone"
    stage.notes.append(f"/{PLACE} ({SIZE // MIB} MiB) was full for {stage.pace.lasts_s:g} s; it is {whose}")


def _check(folder: Path) -> None:
    """Never fill anything but what was made for it."""
    about = os.lstat(folder)
    room = os.statvfs(folder)
    if not stat.S_ISDIR(about.st_mode) or room.f_blocks * room.f_frsize > SIZE:
        raise Failure("fill a disk", f"/{PLACE} is not the small file system that was asked for")


def _fill(folder: Path) -> None:
    descriptor = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with contextlib.suppress(OSError):
            for _ in range(SIZE // 4096 + 1):
                os.write(descriptor, bytes(4096))
    finally:
        os.close(descriptor)


SAYS = "/tmp of the {program}'s container, a small file system in memory, is full for some seconds"
EXPERIMENT = Experiment("full-disk", FAULT, SAYS, act, cannot=cannot, prepare=prepare)
