"""tini with a shell wrapper, the common advice: `tini -s -- sh -c 'proxy & backend & wait -n'`.

Chosen: bash, because `wait -n` is not in POSIX; `-s` so that it reaps also where it is not the first process; `-e 143`,
which its documents recommend so that a stop by SIGTERM is no failure; the wrapper ends with the first program's code,
as in docker's documents. It neither traps signals nor restarts anything.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence

from benchmarks.scoreboard.pair import Command, Pair

NAME, DEPTH = "tini + sh", 2


def missing() -> str:
    """Debian: apt-get install tini."""
    return "" if shutil.which("tini") and shutil.which("bash") else "tini or bash is not installed"


def version() -> str:
    """tini's."""
    said = subprocess.run(["tini", "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    return said.split()[-1] if "version" not in said else said.split("version", 1)[1].split()[0]


def command(pair: Pair) -> Command:
    """Both programs in the background of one shell."""
    lines = []
    for name, words in reversed(pair.programs.items()):
        variables = pair.settings.get(name, {})
        given = "".join(f'{each}="${name.upper()}__{each}" ' for each in variables)
        lines.append(f"{given}{shlex.join(words)} &")
    script = "\n".join([*lines, "wait -n", "exit $?"])
    return ("tini", "-s", "-e", "143", "--", "bash", "-c", script), pair.environ


def control(pair: Pair, verb: str, program: str) -> Sequence[str]:
    """None."""
    del pair, verb, program
    return ()


def health(pair: Pair, what: str) -> Sequence[str]:
    """None."""
    del pair, what
    return ()
