"""A kernel of its own, where the machine's cannot do what a test needs: Linux as a process (user-mode-linux), with this
machine's files read-only, and in it containers by the same runc that podman uses here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

KERNEL = "linux.uml"
# What docker and podman leave to root, of which supervision needs these.
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"]
# The first process of the guest: every container one after the other, its output and exit code beside its bundle.
FIRST = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
busybox ip link set lo up
mount -t hostfs -o {folder} none /mnt
for bundle in /mnt/*/; do
  name=$(basename "$bundle")
  runc run --bundle "$bundle" "$name" > "$bundle/log" 2>&1
  echo $? > "$bundle/code"
done
busybox poweroff -f
"""


class Guest(NamedTuple):
    """One container of the guest: what to run and where its control groups are."""

    command: Sequence[str]
    environ: Mapping[str, str]
    memory: int
    writable: bool


class Ended(NamedTuple):
    """What became of it."""

    code: int
    log: str


def missing() -> str:
    """Why there can be no guest here; "" if there can."""
    absent = [tool for tool in (KERNEL, "runc", "busybox") if shutil.which(tool) is None]
    return f"not installed: {' '.join(absent)}" if absent else ""


def run(root: Path, containers: Mapping[str, Guest], folder: Path, timeout_s: float = 300) -> dict[str, Ended]:
    """Boot, run each of them from the same root file system, and power off. `folder` is empty, and the caller's."""
    shared = folder / "shared"
    for name, container in containers.items():
        bundle = shared / name
        bundle.mkdir(parents=True)
        (bundle / "config.json").write_text(json.dumps(_configuration(root, name, container)))
    first = folder / "first"
    first.write_text(FIRST.format(folder=shared))
    first.chmod(0o755)
    command = [
        KERNEL,
        *("mem=640M", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", f"init={first}"),
        *("con=null", "con0=fd:0,fd:1", f"uml_dir={folder}"),
    ]
    kernel = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        said, _ = kernel.communicate(timeout=timeout_s)
    finally:
        if kernel.poll() is None:
            os.killpg(kernel.pid, signal.SIGKILL)
            kernel.communicate(timeout=20)
    assert all((shared / name / "code").exists() for name in containers), said.decode(errors="replace")
    return {
        name: Ended(int((shared / name / "code").read_text()), (shared / name / "log").read_text())
        for name in containers
    }


def _configuration(root: Path, name: str, container: Guest) -> dict[str, Any]:
    """The runtime's configuration, as an engine would write it (opencontainers/runtime-spec)."""
    mounts = [
        ("/proc", "proc", []),
        ("/dev", "tmpfs", ["nosuid", "mode=755"]),
        ("/dev/shm", "tmpfs", ["nosuid", "noexec", "nodev", "mode=1777"]),
        ("/sys", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
        ("/sys/fs/cgroup", "cgroup", ["nosuid", "noexec", "nodev", "rw" if container.writable else "ro"]),
    ]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(root), "readonly": True},
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": list(container.command),
            "env": [f"{key}={value}" for key, value in container.environ.items()],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
            "noNewPrivileges": True,
        },
        "mounts": [
            {"destination": where, "type": kind, "source": kind, "options": options} for where, kind, options in mounts
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")],
            "cgroupsPath": f"/{name}",
            "resources": {"memory": {"limit": container.memory}},
        },
    }
