"""A program of the logging benchmark: writes so many lines of 100 bytes, as a buffered stream does, and waits."""

from __future__ import annotations

import signal
import sys
from pathlib import Path


def main(lines: int, done: Path) -> None:
    """`done` is there once all is written."""
    line = b"2026-11-24 12:00:00,000 INFO app.orders: order 1234567 was taken and will be shipped to its customer...\n"
    with open(1, "wb", buffering=8192, closefd=False) as out:
        for _ in range(lines):
            out.write(line[-100:])
    done.touch()
    signal.pause()


main(int(sys.argv[1]), Path(sys.argv[2]))
