"""What one program may use: `nofile=1024 core=0 as=512M memory=256M` (pure).

The first kind are limits of a process and what it starts (setrlimit(2)), which can be set everywhere; `memory` and
`memory_high` are those of a control group, which the platform must have handed to the container.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

# resource.RLIM_INFINITY, and what `max` is to a control group.
UNLIMITED = -1
_SCALE = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# Name: whether its number counts bytes, and the least that leaves room to start anything.
_PROCESS = {
    "as": (True, 16 << 20),
    "core": (True, 0),
    "cpu": (False, 1),
    "data": (True, 1 << 20),
    "fsize": (True, 0),
    "memlock": (True, 0),
    "nofile": (False, 16),
    "nproc": (False, 1),
    "stack": (True, 128 << 10),
}
_GROUP = {"memory": "memory.max", "memory_high": "memory.high"}
_LEAST_MEMORY = 1 << 20


class Limits(NamedTuple):
    """`process` maps RLIMIT names to the soft and hard limit, `group` the files of a control group to bytes."""

    process: Mapping[str, int] = {}
    group: Mapping[str, int] = {}


def read_limits(text: str) -> Limits:
    """The limits that a setting's value names. Raises ValueError."""
    process, group = {}, {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals or name not in {**_PROCESS, **_GROUP}:
            raise ValueError(f"{word!r} is none of {', '.join(f'{each}=' for each in (*_PROCESS, *_GROUP))}")
        if name in _GROUP:
            group[_GROUP[name]] = _number(word, value, True, _LEAST_MEMORY)
        else:
            process[f"RLIMIT_{name.upper()}"] = _number(word, value, *_PROCESS[name])
    return Limits(process, group)


def checked(text: str) -> str:
    """The text itself, its words one space apart. Raises ValueError if it names no limits."""
    read_limits(text)
    return " ".join(text.split())


def too_high(limits: Limits, current: Mapping[str, tuple[int, int]]) -> str:
    """The first limit that is above the hard one of this process, which only CAP_SYS_RESOURCE may raise, as a reason;
    "" if there is none."""
    for name, asked in limits.process.items():
        hard = current[name][1]
        if hard != UNLIMITED and (asked == UNLIMITED or asked > hard):
            shown = "unlimited" if asked == UNLIMITED else asked
            return f"{name.removeprefix('RLIMIT_').lower()}={shown} is more than the container may have ({hard})"
    return ""


def _number(word: str, value: str, size: bool, least: int) -> int:
    if value == "unlimited":
        return UNLIMITED
    match = re.fullmatch(r"([0-9]{1,15})([KMGT]?)", value, re.ASCII)
    if match is None or (match[2] and not size):
        raise ValueError(f"{word!r} has no " + ("size (512K, 256M, 1G, unlimited)" if size else "whole number"))
    number = int(match[1]) * _SCALE[match[2]]
    if number < least or number >= 1 << 63:
        raise ValueError(f"{word!r} is below the least that lets anything start ({least})" if number < least else word)
    return number
