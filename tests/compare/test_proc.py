"""What is read from /proc, against processes whose doings are known."""

from __future__ import annotations

import os
import subprocess
import sys

from pillion.compare.proc import cpu_seconds, descendants, proportional_set_size
from tests.conftest import eventually

HOG = "import sys, time; kept = b'x' * (int(sys.argv[1]) << 20); print(1, flush=True); {}; sys.stdin.read()"


def started(doing: str, mebibytes: int = 0) -> subprocess.Popen[bytes]:
    """A process that did what is asked and now waits."""
    command = [sys.executable, "-c", HOG.format(doing), str(mebibytes)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_memory_is_what_a_process_holds() -> None:
    """Sixty-four mebibytes more are seen as such."""
    with started("pass") as small, started("pass", 64) as large:
        more = proportional_set_size([large.pid]) - proportional_set_size([small.pid])
        assert 60 << 20 < more < 70 << 20
        small.kill()
        large.kill()


def test_cpu_is_what_a_process_uses() -> None:
    """One that spins for a while has used at least nearly that; one that waits next to nothing."""
    spin = "until = time.process_time() + 0.3\nwhile time.process_time() < until: pass"
    with started(f"exec({spin!r})") as busy, started("pass") as idle:
        eventually(lambda: cpu_seconds([busy.pid]) >= 0.3)
        assert cpu_seconds([idle.pid]) < 0.3
        busy.kill()
        idle.kill()


def test_cpu_of_what_has_ended_is_not_forgotten() -> None:
    """Threads that are over, and children that were waited for, used it all the same."""
    spin = "until = time.thread_time() + 0.2\nwhile time.thread_time() < until: pass"
    thread = (
        f"import threading; t = threading.Thread(target=exec, args=({spin!r}, dict(time=time))); t.start(); t.join()"
    )
    child = "import subprocess; subprocess.run(['sh', '-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'])"
    with started(thread) as threaded, started(child) as parent:
        eventually(lambda: cpu_seconds([threaded.pid]) >= 0.2)
        eventually(lambda: cpu_seconds([parent.pid]) >= 0.1)
        threaded.kill()
        parent.kill()


def test_descendants_are_found_through_generations() -> None:
    """And those of others are not."""
    command = ["sh", "-c", "sh -c 'sleep 60 & wait' & wait"]
    with subprocess.Popen(command, start_new_session=True) as root, started("pass") as other:
        eventually(lambda: len(descendants([root.pid])) == 3)
        assert root.pid in descendants([os.getpid()]) and other.pid not in descendants([root.pid])
        os.killpg(root.pid, 9)
        other.kill()
    assert descendants([root.pid]) == set()
