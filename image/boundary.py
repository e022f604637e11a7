"""Who can look at what is the other program's: said before the start, where it matters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pillion.image.environ.finding import Finding
from pillion.image.launch import OUTSIDE_VARIABLE, LaunchRecord

INIT_ENVIRON = Path("/proc/1/environ")


def contained(environ: Mapping[str, str]) -> bool:
    """Whether a container's runtime or its init started us, and not somebody on a machine of their own."""
    return OUTSIDE_VARIABLE not in environ and (os.getpid() == 1 or os.getppid() in (0, 1))


def boundary(records: Iterable[LaunchRecord], required: bool, contained: bool) -> list[Finding]:
    """What is to be said of programs that run under one uid: each could read the other's memory.

    On somebody's own machine, where all runs under one uid, it would be no news.
    """
    uids = _uids(records)
    if len(uids) > 1 or not (required or contained):
        return []
    happens = f"both programs run as uid {uids.pop()}, so the split is hygiene and not a boundary"
    mend = "start as root with CAP_SETUID, CAP_SETGID and CAP_KILL, and an image that names two users"
    return [Finding("S0" if required else "S2", "uid", happens, mend)]


def kept_by_init(
    environ: Mapping[str, str], records: Iterable[LaunchRecord], init: Path = INIT_ENVIRON
) -> list[Finding]:
    """What is to be said of an init before us (`docker run --init`): it keeps the environment that we split."""
    own = os.geteuid()
    if os.getppid() != 1 or own not in _uids(records):
        return []
    try:
        names = {entry.partition(b"=")[0] for entry in init.read_bytes().split(b"\0")}
    except OSError:
        return []
    if not names & {name.encode("utf-8", "surrogateescape") for name in environ if "__" in name}:
        return []
    happens = f"the init before us keeps both programs' variables, and uid {own} can read them there"
    return [Finding("S2", str(init), happens, "leave --init out: orphans are reaped and signals passed on without it")]


def _uids(records: Iterable[LaunchRecord]) -> set[int]:
    return {record.uid if record.uid >= 0 else os.geteuid() for record in records}
