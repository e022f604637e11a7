"""A control group for each program, where the platform has handed the container's own to it (version 2, delegated).

The first process moves into a group beside the programs' (a group with processes of its own may not divide its memory);
`pillion exec` puts each program into its own. Where that cannot be, why is said, and nothing is changed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from pillion.image.limits import UNLIMITED

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# Below the container's own group; whoever reads that must not take this one for it.
OWN_GROUP = "pillion-supervisord"


def cannot_divide(root: Path = ROOT, own: Path = OWN) -> str:
    """Why the memory of this container cannot be divided between its programs; "" if it can."""
    try:
        groups = own.read_text()
    except OSError:
        groups = ""
    return decide(
        groups,
        controllers=_text(root / "cgroup.controllers"),
        contained=(root / "cgroup.type").exists(),
        writable=os.access(root / "cgroup.subtree_control", os.W_OK) and os.access(root, os.W_OK),
    )


def decide(groups: str, controllers: str, contained: bool, writable: bool) -> str:
    """The same from what was read: `groups` is /proc/self/cgroup, `controllers` the root's cgroup.controllers.

    `contained`: that root is a container's group and not the machine's.
    """
    lines = groups.splitlines()
    if any("memory" in line.split(":")[1].split(",") for line in lines if line.count(":") >= 2):
        return "control groups are of version 1 here, which are not handed to a container"
    if not any(line.startswith("0::") for line in lines):
        return "there are no control groups here"
    if not {"0::/", f"0::/{OWN_GROUP}"} & set(lines):
        return "it has no control-group namespace of its own"
    if not contained:
        return "there is no container's control group in /sys/fs/cgroup"
    if "memory" not in controllers.split():
        return "the memory controller was not handed to it"
    if not writable:
        return "/sys/fs/cgroup cannot be written"
    return ""


def divide(wanted: Mapping[str, Mapping[str, int]], root: Path = ROOT) -> dict[str, str]:
    """Make each program's group with the limits that are `wanted` (file to bytes); gives program to folder.

    Raises OSError if the kernel refuses.
    """
    own = root / OWN_GROUP
    own.mkdir(exist_ok=True)
    # Who is there may be forking: again until nobody is left, or the kernel says below that somebody is.
    for _ in range(5):
        for pid in _text(root / "cgroup.procs").split():
            with contextlib.suppress(ProcessLookupError):
                _write(own / "cgroup.procs", pid)
    _write(root / "cgroup.subtree_control", "+memory")
    folders = {}
    for program, limits in wanted.items():
        folder = root / f"pillion-{program}"
        folder.mkdir(exist_ok=True)
        for file, limit in limits.items():
            _write(folder / file, "max" if limit == UNLIMITED else str(limit))
        folders[program] = str(folder)
    return folders


def join(folder: str) -> None:
    """Move this process into a group. Raises OSError."""
    _write(Path(folder, "cgroup.procs"), "0")


def _write(file: Path, text: str) -> None:
    """The kernel refuses when it is written, and such an error names no file by itself."""
    try:
        file.write_text(text)
    except ProcessLookupError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
