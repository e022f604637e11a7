"""What the kernel's control groups say of a container: its memory and its CPU time (cgroups(7); v1 and v2)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple


class Mount(NamedTuple):
    """Where a hierarchy is mounted, which of its groups is at the mount's root, and the v1 controllers it has (none: it
    is v2's)."""

    point: Path
    root: str
    controllers: frozenset[str]


class Cgroup(NamedTuple):
    """The folders of one control group that hold its memory and its CPU time; the same folder in v2."""

    memory: Path
    cpu: Path
    unified: bool

    def memory_bytes(self) -> int:
        """The working set: what is charged less the file pages that nobody has used lately, as Kubernetes counts it."""
        charged = "memory.current" if self.unified else "memory.usage_in_bytes"
        idle = "inactive_file" if self.unified else "total_inactive_file"
        return max(int(_read(self.memory / charged) or 0) - _table(self.memory / "memory.stat").get(idle, 0), 0)

    def limit_memory(self, limit: int | None) -> None:
        """From now on; None lifts it. Raises OSError where it cannot be set."""
        if self.unified:
            (self.memory / "memory.max").write_text("max" if limit is None else str(limit))
        else:
            (self.memory / "memory.limit_in_bytes").write_text("-1" if limit is None else str(limit))

    def oom_kills(self) -> int:
        """How many of its processes the kernel has ended for want of memory."""
        return _table(self.memory / ("memory.events" if self.unified else "memory.oom_control")).get("oom_kill", 0)

    def cpu_s(self) -> float:
        """Processor seconds so far, of processes that have ended too."""
        if self.unified:
            return _table(self.cpu / "cpu.stat").get("usage_usec", 0) / 1e6
        return int(_read(self.cpu / "cpuacct.usage") or 0) / 1e9


def cgroup_of(pid: int, proc: Path = Path("/proc")) -> Cgroup | None:
    """The control group of a process; None if it has gone or its hierarchies are not mounted here."""
    mounts = read_mounts(_read(proc / "self/mountinfo"))
    paths = read_membership(_read(proc / f"{pid}/cgroup"))
    if "memory" in paths and "cpuacct" in paths:
        memory, cpu = (_folder(mounts, controller, paths[controller]) for controller in ("memory", "cpuacct"))
        return Cgroup(memory, cpu, unified=False) if memory and cpu else None
    folder = _folder(mounts, "", paths[""]) if "" in paths else None
    return Cgroup(folder, folder, unified=True) if folder else None


def join(pid: int, other: int, controllers: Collection[str], proc: Path = Path("/proc")) -> bool:
    """Move the process `pid` to the groups that `other` is in: of these controllers, or, in v2, of all. Whether that
    could be done."""
    mounts = read_mounts(_read(proc / "self/mountinfo"))
    paths = read_membership(_read(proc / f"{other}/cgroup"))
    held = [name for name in controllers if name in paths]
    folders = [_folder(mounts, name, paths[name]) for name in held]
    if not held and "" in paths:
        folders = [_folder(mounts, "", paths[""])]
    try:
        for folder in folders:
            if folder is None:
                return False
            (folder / "cgroup.procs").write_text(str(pid))
    except OSError:
        return False
    return bool(folders)


def throttled_s(pid: int, proc: Path = Path("/proc")) -> float | None:
    """How long a limit on its control group has kept a process from running; None where that cannot be seen.

    In v1 this is the controller cpu's to tell, which need not be mounted together with cpuacct.
    """
    mounts = read_mounts(_read(proc / "self/mountinfo"))
    paths = read_membership(_read(proc / f"{pid}/cgroup"))
    controller = "cpu" if "cpu" in paths else ""
    folder = _folder(mounts, controller, paths[controller]) if controller in paths else None
    told = _table(folder / "cpu.stat") if folder else {}
    if "throttled_usec" in told:
        return told["throttled_usec"] / 1e6
    return told["throttled_time"] / 1e9 if "throttled_time" in told else None


def read_membership(text: str) -> dict[str, str]:
    """Controller to path from /proc/PID/cgroup; v2's path under ""."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def read_mounts(text: str) -> list[Mount]:
    """The control group hierarchies of a mountinfo (proc_pid_mountinfo(5))."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) > 4 and len(kind) > 2 and kind[0] in ("cgroup", "cgroup2"):
            controllers = frozenset(kind[2].split(",")) if kind[0] == "cgroup" else frozenset[str]()
            mounts.append(Mount(Path(fields[4]), fields[3], controllers))
    return mounts


def _folder(mounts: list[Mount], controller: str, path: str) -> Path | None:
    for mount in mounts:
        if controller in mount.controllers or (not controller and not mount.controllers):
            below = path.removeprefix(mount.root.rstrip("/")).lstrip("/")
            folder = mount.point / below
            if folder.is_dir():
                return folder
    return None


def _table(path: Path) -> dict[str, int]:
    """`name number` lines."""
    pairs = (line.split() for line in _read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _read(path: Path) -> str:
    """A file of the kernel's, "" if what it tells of has gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
