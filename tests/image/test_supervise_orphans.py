"""What programs leave behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest

from pillion.compare.proc import cpu_seconds, descendants
from tests.conftest import BACKEND, argv_of, eventually
from tests.entered import Start

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_orphans_do_not_outlive_the_container(start: Start) -> None:
    """A process in a session of its own is reparented to supervisord and ended with it."""
    container = start("orphan")
    container.ready()
    code, out = container.end()
    pid = int(re.findall(r"orphan (\d+)", out)[0])
    assert code == 0 and argv_of(pid) == []


def test_what_a_dead_backend_left_is_gone_before_it_is_restarted(start: Start) -> None:
    """S8: an orphan would serve on, or keep the port."""
    container = start("orphan")
    container.ready()
    family = descendants([container.process.pid])
    (orphan,) = (pid for pid in family if argv_of(pid)[:1] == ["sleep"])
    os.kill(container.pid(str(BACKEND)), signal.SIGKILL)
    eventually(lambda: argv_of(orphan) == [])
    container.ready()
    assert len([pid for pid in descendants([container.process.pid]) if argv_of(pid)[:1] == ["sleep"]]) == 1


def test_ten_thousand_orphans_leave_no_zombie_and_no_line(start: Start) -> None:
    """S9: they are reaped as they come, many at a time, and nobody is told of each."""
    container = start("orphans", "10000")
    container.says("10000 orphans made")
    eventually(lambda: not _zombies(container.process.pid))
    # It is idle again: its processor time stands still.
    eventually(lambda: len({cpu_seconds([container.process.pid]) for _ in range(3) if not time.sleep(0.2)}) == 1)
    code, out = container.end()
    assert code == 0 and len(out.splitlines()) < 20


def test_orphans_that_keep_coming_do_not_hold_up_a_stop(start: Start) -> None:
    """They are reaped in bounded portions."""
    container = start("orphans", "1000000", environ={b"PILLION_DEADLINE": b"600"})
    container.says("orphans are made")
    assert container.end()[0] == 0


def _zombies(parent: int) -> list[int]:
    found = []
    for pid in descendants([parent]):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                found.append(pid)
    return found
