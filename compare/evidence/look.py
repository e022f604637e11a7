"""A layout looked at while it is up: what each program's processes have of the environment, and which runtimes there
are."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from pillion.compare.door import door_of
from pillion.compare.engines.running import Engine, Running
from pillion.compare.evidence.evidence import Seen
from pillion.compare.ready import wait_ready
from pillion.image.environ.conflicts import conflicts
from pillion.image.pair import PROGRAMS, Pair

LAYOUTS = ("shared", "separate")
# Where images have them; a name is followed to the file that it stands for, and each file counts once.
_PLACES = (
    *("bin", "usr/bin", "usr/local/bin", "venv/bin", "opt/venv/bin"),
    *("opt/pillion/bin", "usr/lib/jvm/default-java/bin"),
)
_RUNTIMES = ("python3", "python", "node", "java", "ruby", "php", "perl", "dotnet", "deno", "bun")


def look(engine: Engine, pair: Pair, layouts: Sequence[str], ready_s: float) -> tuple[list[Seen], list[str]]:
    """The variables that would collide, as each program has them; and the runtimes in the one container."""
    seen: list[Seen] = []
    runtimes: list[str] = []
    for layout in LAYOUTS:
        if layout in layouts:
            what = f"look at {pair.source} in layout {layout}"
            with engine.prepare(pair, layout).start(what, None) as running:
                wait_ready(running, what, ready_s, door_of(pair, layout))
                seen += _seen(pair, running)
                if layout == "shared" and engine.name != "process":
                    runtimes = _runtimes(running)
    return seen, runtimes


def _seen(pair: Pair, running: Running) -> list[Seen]:
    found = []
    programs = running.programs()
    for program in PROGRAMS:
        own, other = (pair.proxy, pair.backend) if program == "proxy" else (pair.backend, pair.proxy)
        environments = [_environ(pid) for pid in programs.get(program, ())]
        environments = [each for each in environments if each]
        for conflict in conflicts(pair):
            name = conflict.name
            values = {each.get(name) for each in environments}
            if not environments or name not in {*own.env, *other.env}:
                continue
            mine, theirs = own.env.get(name), other.env.get(name)
            told = theirs is not None and theirs != mine and theirs in values
            found.append(Seen(running.layout, program, name, conflict.severity, values == {mine}, told))
    return found


def _environ(pid: int) -> dict[str, str]:
    """What a process was started with; {} if it has gone."""
    with suppress(OSError):
        entries = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "surrogateescape").split("\0")
        return dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return {}


def _runtimes(running: Running) -> list[str]:
    programs = running.programs()
    firsts: Collection[int] = programs.get("supervisord", ())
    root = f"/proc/{next(iter(firsts), 0)}/root"
    found: dict[tuple[int, int], str] = {}
    for place in _PLACES:
        for name in _RUNTIMES:
            with suppress(OSError):
                if file := file_of(root, f"/{place}/{name}"):
                    about = Path(f"{root}{file}").stat()
                    found.setdefault((about.st_dev, about.st_ino), file)
    return sorted(found.values())


def file_of(root: str, path: str) -> str:
    """The regular file that a path of the container leads to within it, "" if to none: its links are not followed on
    this machine."""
    for _ in range(16):
        real = _resolved(root, path)
        if not os.path.islink(f"{root}{real}"):  # noqa: PTH114 (a path below another root)
            return real if os.path.isfile(f"{root}{real}") else ""  # noqa: PTH113
        path = os.path.normpath(os.path.join(os.path.dirname(real), os.readlink(f"{root}{real}")))  # noqa: PTH115,PTH118,PTH120
    return ""


def _resolved(root: str, path: str) -> str:
    """With the links among its folders followed within the root."""
    done = "/"
    parts = [part for part in path.split("/") if part]
    for at, part in enumerate(parts[:-1]):
        here = os.path.join(done, part)  # noqa: PTH118
        if os.path.islink(f"{root}{here}"):  # noqa: PTH114
            target = os.path.normpath(os.path.join(done, os.readlink(f"{root}{here}")))  # noqa: PTH115,PTH118
            rest = "/".join(parts[at + 1 :])
            return _resolved(root, f"{target}/{rest}")
        done = here
    return os.path.join(done, parts[-1])  # noqa: PTH118
