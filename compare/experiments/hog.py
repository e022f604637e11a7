"""A process that takes all it can get, put beside a program where the program's own limits hold for it.

`python -m pillion.compare.experiments.hog PARENT memory BYTES SECONDS` and `... cpu SECONDS` are such a process: it
begins when its input ends, and ends by itself after its time, and with its parent.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from pillion.compare.cgroup import join
from pillion.image.orphans import dies_with

STEP = 4 << 20
_CONTROLLERS = {"memory": ("memory",), "cpu": ("cpu", "cpuacct")}


class Hog:
    """Waits until `begin`. Use it as a context: at its end it is gone."""

    def __init__(self, kind: str, *numbers: float, cpus: Sequence[int] = ()) -> None:
        self._kind = kind
        words = [sys.executable, "-m", "pillion.compare.experiments.hog", str(os.getpid()), kind, *map(str, numbers)]
        # Nothing of the caller's environment but how Python finds its libraries; from / as -m looks where we are first.
        kept = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")
        environ = {name: os.environ[name] for name in kept if name in os.environ}
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, env=environ, cwd="/", start_new_session=True, stderr=subprocess.DEVNULL
        )
        try:
            if cpus:
                os.sched_setaffinity(self._process.pid, cpus)
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> Hog:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def move_beside(self, pid: int) -> bool:
        """Into the control group of the process `pid`; whether that could be done."""
        return join(self._process.pid, pid, _CONTROLLERS[self._kind])

    def begin(self) -> None:
        """Take."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def killed(self) -> bool:
        """Whether somebody killed it before its time was over."""
        return self._process.poll() == -9

    def end(self) -> None:
        """Whatever it is doing."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def main(arguments: Sequence[str]) -> int:
    """As above, the parent's pid first."""
    dies_with(int(arguments[0]), 9)()
    sys.stdin.read()
    match list(arguments[1:]):
        case ["memory", size, seconds]:
            until = time.monotonic() + float(seconds)
            kept: list[bytes] = []
            while time.monotonic() < until:
                if len(kept) * STEP < float(size):
                    kept.append(b"x" * STEP)
                else:
                    time.sleep(0.05)
        case ["cpu", seconds]:
            until = time.monotonic() + float(seconds)
            while time.monotonic() < until:
                pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
