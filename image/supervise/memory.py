"""What the kernel says of the memory of a control group: its peak, its limit, its OOM killer's strikes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pillion.image.division import OWN_GROUP

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# What version 1 calls no limit: the largest number of whole pages (2**63 - 4096 and the like).
_NO_LIMIT = 1 << 62


class GroupMemory(NamedTuple):
    """In bytes and counts; None where the kernel does not say, and for a limit that is none."""

    oom_kills: int | None = None
    peak: int | None = None
    limit: int | None = None
    limit_hits: int | None = None


def own_memory(cgroups: Path = CGROUPS, own: Path = OWN) -> GroupMemory:
    """Of this container. Both versions of control groups are asked."""
    for folder, version in _own_groups(cgroups, own):
        found = group_memory(folder) if version == 2 else _first_version(folder)
        if found.oom_kills is not None:
            return found
    return GroupMemory()


def group_memory(folder: Path) -> GroupMemory:
    """Of a group of version 2, with those below it; but at its limit it is only itself (Linux 5.2 and newer)."""
    events = _pairs(folder / "memory.events")
    own = _pairs(folder / "memory.events.local") or events
    return GroupMemory(
        oom_kills=events.get("oom_kill"),
        peak=_number(folder / "memory.peak"),
        limit=_number(folder / "memory.max"),
        limit_hits=own.get("max"),
    )


def _first_version(folder: Path) -> GroupMemory:
    limit = _number(folder / "memory.limit_in_bytes")
    return GroupMemory(
        oom_kills=_pairs(folder / "memory.oom_control").get("oom_kill"),
        peak=_number(folder / "memory.max_usage_in_bytes"),
        limit=None if limit is None or limit >= _NO_LIMIT else limit,
        limit_hits=_number(folder / "memory.failcnt"),
    )


def _own_groups(cgroups: Path, own: Path) -> Iterator[tuple[Path, int]]:
    """Where the files of our group may be."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            root, version = cgroups, 2
            # Where the programs have groups of their own, ours is one beside them and not the container's.
            path = path.removesuffix(f"/{OWN_GROUP}")
        elif "memory" in controllers.split(","):
            root, version = cgroups / "memory", 1
        else:
            continue
        # Without a namespace of its own for control groups a container is told the host's path, which it does not see.
        for folder in (root / path.lstrip("/"), root):
            yield folder, version


def _pairs(file: Path) -> dict[str, int]:
    try:
        return {name: int(number) for name, number in (line.split() for line in file.read_text().splitlines())}
    except (OSError, ValueError):
        return {}


def _number(file: Path) -> int | None:
    """None also for `max`."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
