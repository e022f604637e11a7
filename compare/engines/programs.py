"""Which process belongs to which program, as this machine counts them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pillion.compare.proc import command_line, family_of, parents
from pillion.image.pair import PROGRAMS

SUPERVISORD, POD = "supervisord", "pod"
_SUPERVISING = ("enter", "supervise")
# What becomes Python in a container, a moment later.
_ENTRY = "/opt/pillion/bin/pillion"


def in_one_container(first: int) -> dict[str, Collection[int]]:
    """The programs under the supervisord of layout `shared`, whose process is `first`. What a backend leaves behind is
    reparented to supervisord and counts as the backend's, as in the account at the container's end."""
    above = parents()
    found: dict[str, set[int]] = {SUPERVISORD: set(), **{program: set() for program in PROGRAMS}}
    if first not in above:
        return {**found}
    own = command_line(first)
    found[SUPERVISORD].add(first)
    for child in (pid for pid, parent in above.items() if parent == first):
        if words := command_line(child):  # else it has ended, and is still to be waited for
            found[program_of(own, words)] |= family_of([child], above)
    return {**found}


def program_of(supervisord: Sequence[str], child: Sequence[str]) -> str:
    """By the command lines: our own programs are started in the same way as supervisord, up to the command's name."""
    at = next((place for place, word in enumerate(supervisord) if word in _SUPERVISING), 0)
    before = 1 if child[:1] == [_ENTRY] else at
    if before and child[:before] in ([_ENTRY], supervisord[:before]):
        match child[before:]:
            case ["proxy", *_] | ["exec", "proxy"]:
                return "proxy"
            case ["supervise", *_] | ["enter", *_]:
                return SUPERVISORD  # between fork and exec
    return "backend"


def first_processes(pids: Collection[int], above: Mapping[int, int]) -> set[int]:
    """Those of a program whose parent is none of its own."""
    return {pid for pid in pids if above.get(pid) not in pids}
