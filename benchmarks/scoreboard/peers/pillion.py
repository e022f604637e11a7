"""Pillion from this tree, through an entry like the sidecar layer's: Python without `site`."""

from __future__ import annotations

import shlex
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import version as installed
from pathlib import Path

from benchmarks.scoreboard.pair import Command, Pair
from pillion.image.supervision import deadline_for

NAME, DEPTH = "Pillion", 1
ROOT = Path(__file__).parents[3]


def missing() -> str:
    """Never."""
    return ""


def version() -> str:
    """And supervisor's, which it stands on."""
    return f"{installed('pillion')} (supervisor {installed('supervisor')})"


def entry(folder: Path, proxy: Sequence[str] = ()) -> Path:
    """An executable `pillion` in this folder; `proxy` is a command to take the place of `pillion proxy`."""
    packages = folder / "lib" / "pillion"
    packages.mkdir(parents=True)
    for room in ("proxy", "image", "compare", "cli"):
        (packages / room).symlink_to(ROOT / room)
    path = folder / "bin" / "pillion"
    path.parent.mkdir()
    start = folder / "start.py"
    paths = [sysconfig.get_path("purelib"), str(packages.parent)]
    start.write_text(
        f"import sys\nsys.path += {paths!r}\nsys.argv[0] = {str(path)!r}\n"
        "from pillion.cli.main import main\nsys.exit(main())\n"
    )
    instead = f'[ "$1" = proxy ] && exec {shlex.join(proxy)}\n' if proxy else ""
    path.write_text(f'#!/bin/sh\n{instead}exec {sys.executable} -I -S -X utf8 {start} "$@"\n')
    path.chmod(0o755)
    return path


def command(pair: Pair) -> Command:
    """Its defaults, but for what the scenario sets; the deadline is what `pillion render` makes of a grace."""
    run = pair.folder / "run"
    run.mkdir()
    run.chmod(0o777)
    plain = pair.proxy[-1:] == ("proxy",)
    path = entry(pair.folder / "layer", () if plain else pair.proxy)
    environ = {
        **pair.environ,
        "PILLION_RUN_DIR": str(run),
        "PILLION_DEADLINE": f"{deadline_for(pair.grace_s):g}",
        "PILLION_RESTARTS": str(pair.restarts),
        "PILLION_RESTART_WINDOW": "60m",
        "PILLION_BACKOFF": f"{pair.pause_s:g}",
        "PILLION_BACKOFF_MAX": f"{8 * pair.pause_s:g}",
    }
    return (str(path), "enter", "--", *pair.backend), environ


def control(pair: Pair, verb: str, program: str) -> Sequence[str]:
    """`pillion ctl`, as supervisorctl."""
    words = {"restart": ("restart", program), "reload": ("signal", "HUP", program)}[verb]
    return _inside(pair, "ctl", *words)


def health(pair: Pair, what: str) -> Sequence[str]:
    """`pillion health`."""
    return _inside(pair, "health", what)


def _inside(pair: Pair, *words: str) -> Sequence[str]:
    """As `docker exec` would run it."""
    return "env", f"PILLION_RUN_DIR={pair.folder / 'run'}", str(pair.folder / "layer" / "bin" / "pillion"), *words
