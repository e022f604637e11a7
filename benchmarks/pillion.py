"""`pillion build`, run as a user runs it and measured."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measured import Measured, measure

COMMAND = Path(sys.executable).with_name("pillion")


def build(base: str, sidecar: str, out: str, cache: Path, *options: str) -> Measured:
    """`cache` stands for the user's, and is that of one contender only."""
    command = [str(COMMAND), "build", base, "--sidecar", sidecar, "-o", out, *options]
    return measure(command, {"XDG_CACHE_HOME": str(cache)})
