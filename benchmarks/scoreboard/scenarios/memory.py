"""A program that takes all memory."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.scoreboard.running import Missed, eventually
from benchmarks.scoreboard.stage import NoNotionError, Scenario, Stage

LIMIT = 180 << 20
HOG = (sys.executable, "-c", "held = []\nwhile True: held.append(bytearray(8 << 20))")
# In the group from its first process on, as a container is.
ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


def hog(stage: Stage) -> str:
    with _group() as group:
        running = stage.start(command=HOG, through=("/bin/sh", "-c", ENTER, str(group)))
        said = re.compile(r"backend.*(for want of memory|out of memory|oom)", re.IGNORECASE)
        try:
            eventually(lambda: any(said.search(line.text) for line in running.log), "the log names it", 8)
        except Missed:
            end = running.wait(0.1)
            raise Missed(
                "no line says that the backend was ended for want of memory; "
                + ("the container runs on" if end is None else f"the container ended with {end}")
            ) from None
        finally:
            running.end()
            eventually(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
    return ""


@contextlib.contextmanager
def _group() -> Iterator[Path]:
    """A control group with a limit of memory, in whichever version this machine has."""
    first = Path("/sys/fs/cgroup/memory")
    place, limit = (first, "memory.limit_in_bytes") if first.is_dir() else (first.parent, "memory.max")
    try:
        folder = Path(tempfile.mkdtemp(prefix="pillion-bench-", dir=place))
    except OSError as error:
        raise NoNotionError(f"not measured: no control group can be made here ({error.strerror})") from error
    try:
        try:
            (folder / limit).write_text(str(LIMIT))
        except OSError as error:
            raise NoNotionError(f"not measured: memory cannot be limited here ({error.strerror})") from error
        yield folder
    finally:
        folder.rmdir()


SCENARIOS = (Scenario("S22", "a memory hog is named, and what became of it", hog),)
