"""Where a running pair keeps its control socket and worker files: made by `enter`, found by `ctl` and `health`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pillion.image.refusal import Failure, Refusal

RUN_DIRECTORY_VARIABLE = "PILLION_RUN_DIR"
OWN_DIRECTORY = "/run/pillion"
RUN_DIRECTORIES = (OWN_DIRECTORY, "/dev/shm", "/tmp")
SOCKET = "supervisor.sock"  # as in supervisord.conf
# A unix socket's path has at most 107 bytes (unix(7)), and supervisord binds a temporary name beside its own.
LONGEST_RUN_DIRECTORY = 107 - len(f"/{SOCKET}.1234567")


def make_run_directory(asked: str) -> Path:
    """A fresh private directory in the first place that can be written; `supervise` removes it. Raises Refusal."""
    places = _places(asked)
    for place in places:
        folder = Path(place, f"pillion-{os.urandom(6).hex()}")
        if len(str(folder)) > LONGEST_RUN_DIRECTORY:
            continue
        try:
            folder.mkdir(mode=0o700, parents=place in (asked, OWN_DIRECTORY))
        except OSError:
            continue
        return folder
    why = "none of " + ", ".join(places) + f" can be written (or is longer than {LONGEST_RUN_DIRECTORY} characters)"
    raise Refusal("start the pair", why, f"mount a tmpfs at /run/pillion, or set {RUN_DIRECTORY_VARIABLE}")


def find_run_directory(asked: str) -> Path | None:
    """The directory of the pair that runs in this container, None if there is none that we may talk to.

    `asked` is PILLION_RUN_DIR: the place in which it was made, or itself. Raises Failure if there are several.
    """
    found = [folder for folder in _candidates(asked) if _answers(folder / SOCKET)]
    if len(found) > 1:
        why = "several run here: " + ", ".join(map(str, found))
        raise Failure("find the pair", why, f"set {RUN_DIRECTORY_VARIABLE} to one of them")
    return found[0] if found else None


def _places(asked: str) -> list[str]:
    return ([asked] if asked else []) + [place for place in RUN_DIRECTORIES if place != asked]


def _candidates(asked: str) -> Iterator[Path]:
    if asked and (Path(asked) / SOCKET).exists():
        yield Path(asked)
        return
    for place in _places(asked):
        try:
            yield from sorted(each for each in Path(place).glob("pillion-*") if os.access(each / SOCKET, os.W_OK))
        except OSError:
            continue


def _answers(path: Path) -> bool:
    import socket  # `enter` does without

    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(str(path)) == 0
