"""A program's trial run: its environment with the hooks in it, and what they wrote.

The hooks stand beside this module and run in the program's own interpreter: Python takes one as `sitecustomize`, Node
by `--require`. Nothing else can be looked into from outside without a compiler or a debugger: a library in C that asks
for a variable by itself, Java, Go, Ruby, a shell.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pillion.image.environ.learning import RUNTIME, Read

HERE = Path(__file__).parent
LOG_VARIABLE = "PILLION_OBSERVE"
MOST_BYTES = 16 << 20
# What the hooks are brought in by, and what no program is asked for.
_OURS = frozenset((LOG_VARIABLE,))


class Observation(NamedTuple):
    """`runtimes` are those that took a hook; `reads` what was read, each with the first place that is not the
    runtime's own; `wholes` the places that took the whole environment, from which on nothing more can be told."""

    runtimes: tuple[str, ...]
    reads: Mapping[str, Read]
    wholes: tuple[str, ...]


def observed(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment of a program that is to be observed. `folder` is new and the program's own."""
    shutil.copy(HERE / "python_hook.py", folder / "sitecustomize.py")
    node = folder / "hook.cjs"
    shutil.copy(HERE / "node_hook.cjs", node)
    _log(folder).touch()
    path, options = environ.get("PYTHONPATH", ""), environ.get("NODE_OPTIONS", "")
    return {
        **environ,
        LOG_VARIABLE: str(_log(folder)),
        "PYTHONPATH": f"{folder}:{path}" if path else str(folder),
        "NODE_OPTIONS": f"{options} --require {node}".strip(),
    }


def observation(folder: Path) -> Observation:
    """What was written; a line that is none, as of a program that ended on it, is passed over."""
    runtimes: set[str] = set()
    reads: dict[str, Read] = {}
    wholes: dict[str, None] = {}
    with _log(folder).open("rb") as file:
        lines = file.read(MOST_BYTES).splitlines()
    for line in lines:
        try:
            said = json.loads(line)
            runtime, name, at, by = (str(said[each]) for each in ("runtime", "name", "at", "by"))
        except (ValueError, TypeError, KeyError):
            continue
        runtimes.add(runtime)
        if name == "*":
            if by != RUNTIME:
                wholes[at] = None
        elif name and name not in _OURS and (name not in reads or reads[name].by == RUNTIME):
            reads[name] = Read("observed", at, by)
    return Observation(tuple(sorted(runtimes)), reads, tuple(wholes))


def _log(folder: Path) -> Path:
    return folder / "reads.log"
