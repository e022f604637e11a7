"""Memory and CPU from control groups, as both versions have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pillion.compare.cgroup import cgroup_of, read_membership, read_mounts

V1_MOUNTS = """\
30 25 0:26 / {0}/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
31 25 0:27 / {0}/memory rw,nosuid shared:10 - cgroup cgroup rw,memory
32 25 0:28 /outer {0}/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
"""
V2_MOUNTS = "30 25 0:26 / {0} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n22 1 8:1 / / rw - ext4 /dev/vda rw\n"


def kernel(tmp_path: Path, mounts: str, membership: str, files: dict[str, str]) -> Path:
    """A /proc and the hierarchies of one process, 7."""
    for name, text in {"proc/self/mountinfo": mounts.format(tmp_path), "proc/7/cgroup": membership, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "proc"


def test_version_1_has_a_hierarchy_for_each(tmp_path: Path) -> None:
    """Also where a mount shows only a part of its hierarchy; pages that nobody used lately do not count."""
    files = {
        "memory/pod/a/memory.usage_in_bytes": "5000\n",
        "memory/pod/a/memory.stat": "cache 1\ninactive_file 7\ntotal_inactive_file 2000\n",
        "cpu,cpuacct/pod/a/cpuacct.usage": "2500000000\n",
    }
    membership = "4:memory:/pod/a\n2:cpu,cpuacct:/outer/pod/a\n0::/pod/a\n"
    found = cgroup_of(7, kernel(tmp_path, V1_MOUNTS, membership, files))
    assert found is not None and found.memory_bytes() == 3000 and found.cpu_s() == 2.5


def test_version_2_has_one(tmp_path: Path) -> None:
    """Memory and CPU in the same folder."""
    files = {
        "pod/a/memory.current": "5000\n",
        "pod/a/memory.stat": "anon 1\ninactive_file 1000\n",
        "pod/a/cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    }
    found = cgroup_of(7, kernel(tmp_path, V2_MOUNTS, "0::/pod/a\n", files))
    assert found is not None and found.memory_bytes() == 4000 and found.cpu_s() == 1.5


@pytest.mark.parametrize("membership", ["", "0::/gone\n", "4:memory:/pod/a\n2:cpuacct:/gone\n"])
def test_what_is_not_there_is_none(tmp_path: Path, membership: str) -> None:
    """No process, or no such group."""
    assert cgroup_of(7, kernel(tmp_path, V2_MOUNTS, membership, {})) is None


def test_the_kernels_own_files_are_understood() -> None:
    """Of this machine, whichever version it has: our own group is found, or none is mounted here."""
    found = cgroup_of(os.getpid())
    if found is None:
        assert not any(mount.point.is_dir() for mount in read_mounts(Path("/proc/self/mountinfo").read_text()))
    else:
        assert found.memory_bytes() > 0
        before = found.cpu_s()
        while os.times().user < 0.1:
            pass
        assert found.cpu_s() >= before > 0


def test_a_path_may_hold_anything() -> None:
    """Colons too."""
    assert read_membership("1:name=systemd:/a:b\n0::/c\n") == {"name=systemd": "/a:b", "": "/c"}
