"""How a container stops when its programs, its log's reader or its orphans do not play along (S6, S7, S9, S17)."""

from __future__ import annotations

import array
import fcntl
import os
import re
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from pillion.compare.proc import cpu_seconds, descendants
from tests.conftest import argv_of, eventually
from tests.containers.composed import Combine
from tests.containers.conftest import Container, Run, running
from tests.containers.engines import DOCKER, Engine
from tests.containers.supervised import (
    COMMANDED,
    LONG_DEADLINE,
    PUBLISHED,
    SETTLE_S,
    alternating,
    commanded_backend,
    stop,
    together,
)

# Docker keeps all that was written otherwise.
SHORT_LOG = {DOCKER: ("--log-opt=max-size=1m",)}
# Ten thousand are left to a supervisord that runs directly (tests/image).
ORPHANS = 3_000


class Stopped(NamedTuple):
    """Its exit code and its log."""

    code: int
    log: str


def deaf(run: Run, image: str, more: Sequence[str], engine: Engine) -> Stopped:
    """Both programs ignore what they are told; the engine would wait longer than we do."""
    container = run(image, *COMMANDED, "deaf", options=[PUBLISHED, "--env=PILLION_DEADLINE=3", *more], engine=engine)
    container.get()
    for pid in descendants([container.process("start.pyc proxy")]):
        os.kill(pid, signal.SIGSTOP)
    return Stopped(stop(container), container.logs())


def too_early(run: Run, image: str, more: Sequence[str], engine: Engine) -> Stopped:
    """Told to stop as soon as the first process is ours; before that the runtime loses it, as it does any other's."""
    container = run(image, options=[LONG_DEADLINE, *more], engine=engine)
    eventually(lambda: "".join(argv_of(container.pid())).startswith("/opt/pillion/") and _holds(container.pid()))
    return Stopped(stop(container), container.logs())


def orphans(run: Run, image: str, more: Sequence[str], engine: Engine) -> Stopped:
    """Thousands of processes are left to the first one, one after the other."""
    container = run(image, *COMMANDED, "orphans", str(ORPHANS), options=[LONG_DEADLINE, *more], engine=engine)
    first = container.pid()
    made = Path(f"/proc/{first}/root/dev/shm/made")
    eventually(made.exists, SETTLE_S)
    eventually(lambda: not _zombies(container), SETTLE_S)
    # It is idle again: its processor time stands still.
    eventually(lambda: _still(lambda: cpu_seconds([first])))
    return Stopped(stop(container), container.logs())


def unread(run: Run, image: str, more: Sequence[str], engine: Engine) -> Stopped:
    """Somebody attached to it does not read, and it writes without end."""
    options = [PUBLISHED, LONG_DEADLINE, *SHORT_LOG.get(engine, ()), *more]
    container = run(image, *COMMANDED, "flood", options=options, engine=engine)
    container.get()
    command = [engine.name, "attach", "--no-stdin", "--sig-proxy=false", container.id]
    reader = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert reader.stdout is not None
        descriptor = reader.stdout.fileno()
        eventually(lambda: _unread(descriptor) > 30_000 and _still(lambda: _unread(descriptor)))
        first = container.pid()
        container.kill()
        # The engines themselves wait for the reader before they call it stopped.
        eventually(lambda: not argv_of(first), SETTLE_S)
    finally:
        reader.kill()
        reader.communicate(timeout=20)
    return Stopped(container.wait(), container.logs())


def _holds(pid: int) -> bool:
    """Whether SIGTERM waits for it, or is taken already."""
    masks = re.findall(r"Sig(?:Blk|Cgt):\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return any(int(mask, 16) & 1 << (signal.SIGTERM - 1) for mask in masks)


def _still(look: Callable[[], float]) -> bool:
    return len({look() for _ in range(4) if not time.sleep(0.1)}) == 1


def _unread(descriptor: int) -> int:
    waiting = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0]


def _zombies(container: Container) -> list[int]:
    found = []
    for pid in descendants([container.pid()]):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state == "Z":
            found.append(pid)
    return found


@pytest.fixture(scope="module")
def stopped(either: Engine, combine: Combine) -> Iterator[dict[str, Future[Stopped]]]:
    """All of them at once."""
    image = combine(commanded_backend(), either)
    with running() as run:
        every = {task.__name__: task for task in (deaf, too_early, orphans, unread)}
        more = alternating(every, either)
        tasks = {name: partial(task, run, image, more[name], either) for name, task in every.items()}
        with together(tasks) as futures:
            yield futures


def test_our_own_sigkill_comes_before_the_engines(stopped: dict[str, Future[Stopped]]) -> None:
    """S6: one deadline for both, its end said in the last line; the code is that of a stop that was asked for."""
    found = stopped["deaf"].result(SETTLE_S * 2)
    assert found.code == 0
    assert set(re.findall(r"killing '(\w+)' \(\d+\) with SIGKILL", found.log)) == {"proxy", "backend"}
    last = found.log.splitlines()[-1]
    assert re.fullmatch(r"pillion \| stopped after [23]\.\d s: the proxy and the backend had to be killed", last)


def test_a_stop_right_after_the_start_is_a_clean_one(stopped: dict[str, Future[Stopped]]) -> None:
    """S7: the first process has it, whatever it was about."""
    found = stopped["too_early"].result(SETTLE_S * 2)
    assert found.code == 0 and "SIGKILL" not in found.log and "Traceback" not in found.log


def test_orphans_are_reaped_in_silence(stopped: dict[str, Future[Stopped]]) -> None:
    """S9: no zombie, no line about each."""
    found = stopped["orphans"].result(SETTLE_S * 3)
    assert found.code == 0 and len(found.log.splitlines()) < 20


def test_a_reader_that_does_not_read_holds_up_no_stop(stopped: dict[str, Future[Stopped]]) -> None:
    """S17: neither one that is attached, nor the engine's own log."""
    found = stopped["unread"].result(SETTLE_S * 2)
    assert found.code == 0 and "with SIGKILL" not in found.log
