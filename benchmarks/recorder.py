"""A program of the supervision benchmark: writes down when it is told to stop (ns, CLOCK_MONOTONIC), and ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def main(folder: Path) -> None:
    """Until SIGTERM; the file `up-PID` says that it is there, `term-PID` when it came."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    (folder / f"up-{os.getpid()}").touch()
    signal.sigwait([signal.SIGTERM])
    (folder / f"term-{os.getpid()}").write_text(str(time.monotonic_ns()))


main(Path(sys.argv[1]))
