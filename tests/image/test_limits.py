"""Limits of one program: what may be asked, what can be had where, and that the program has them."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pillion.image.division import OWN_GROUP, _write, cannot_divide, decide, divide
from pillion.image.launch import LaunchRecord
from pillion.image.limiting import limited
from pillion.image.limits import UNLIMITED, Limits, checked, read_limits, too_high
from pillion.image.refusal import Refusal
from pillion.image.supervision import read_supervision
from tests.entered import Container, Start

VERSION_1 = "4:memory:/\n1:cpu:/\n0::/\n"
TELL = """
import json, resource, sys
names = ("NOFILE", "CORE", "AS", "NPROC")
print(json.dumps({name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in names}))
"""


def test_what_may_be_asked() -> None:
    """Sizes have units, counts have none."""
    asked = "nofile=1024  core=0 as=512M memory=1G memory_high=unlimited"
    assert read_limits(asked) == Limits(
        {"RLIMIT_NOFILE": 1024, "RLIMIT_CORE": 0, "RLIMIT_AS": 512 << 20},
        {"memory.max": 1 << 30, "memory.high": UNLIMITED},
    )
    assert checked(asked) == "nofile=1024 core=0 as=512M memory=1G memory_high=unlimited"
    assert read_limits("") == Limits()


@pytest.mark.parametrize(
    "word",
    ["nofile", "files=3", "nofile=", "nofile=1K", "nofile=3", "as=-1", "as=1Q", "as=1M", "memory=9", "core=9999999T"],
)
def test_what_may_not(word: str) -> None:
    """Refused by the name of the setting, before anything is started."""
    with pytest.raises(Refusal, match=rf"cannot start the pair: PILLION_LIMITS_PROXY='?{word}"):
        read_supervision({"PILLION_LIMITS_PROXY": word}, 8.5)


@pytest.mark.parametrize(
    ("asked", "hard", "says"),
    [
        (1024, 4096, ""),
        (4096, 4096, ""),
        (4097, 4096, "nofile=4097 is more than the container may have (4096)"),
        (4097, UNLIMITED, ""),
        (UNLIMITED, UNLIMITED, ""),
        (UNLIMITED, 4096, "nofile=unlimited is more than the container may have (4096)"),
    ],
)
def test_more_than_the_container_has_is_seen_beforehand(asked: int, hard: int, says: str) -> None:
    """The kernel would refuse it without CAP_SYS_RESOURCE."""
    assert too_high(Limits({"RLIMIT_NOFILE": asked}), {"RLIMIT_NOFILE": (1, hard)}) == says


def test_a_bad_limit_ends_the_container_at_once(tmp_path: Path) -> None:
    """One sentence, exit code 2, nothing started."""
    code, out = Container(["sleep", "60"], tmp_path, {b"PILLION_LIMITS_BACKEND": b"nofile=many"}).wait()
    assert code == 2 and "PILLION_LIMITS_BACKEND='nofile=many'" in out and len(out.splitlines()) == 1


@pytest.mark.usefixtures("nothing_left")
def test_each_program_has_its_own(start: Start) -> None:
    """Soft and hard; what was not asked for is as the container has it, and so is the other program's."""
    container = start(
        command=(sys.executable, "-c", TELL),
        environ={b"PILLION_LIMITS_BACKEND": b"nofile=100 core=0 as=1G", b"PILLION_LIMITS_PROXY": b"nofile=200"},
    )
    code, out = container.wait()
    found = json.loads(next(line for line in out.splitlines() if line.startswith("backend | {"))[len("backend | ") :])
    assert code == 0 and found["NOFILE"] == [100, 100] and found["CORE"] == [0, 0] and found["AS"] == [1 << 30] * 2
    assert found["NPROC"] == list(resource.getrlimit(resource.RLIMIT_NPROC))
    assert "limits: nofile=200\n" in out


@pytest.mark.usefixtures("nothing_left")
def test_a_limit_that_leaves_no_room_is_no_riddle(start: Start) -> None:
    """The container ends with the program's own end and says what was set."""
    environ = {b"PILLION_LIMITS_BACKEND": b"as=16M", b"PILLION_RESTARTS": b"0"}
    code, out = start(environ=environ).wait()
    assert code != 0 and "the backend is lost" in out and "limits: as=16M" in out


@pytest.mark.parametrize(
    ("groups", "controllers", "contained", "writable", "says"),
    [
        ("0::/\n", "cpu memory pids", True, True, ""),
        (f"0::/{OWN_GROUP}\n", "memory", True, True, ""),
        ("0::/\n", "memory", True, False, "cannot be written"),
        ("0::/\n", "cpu pids", True, True, "was not handed to it"),
        ("0::/\n", "memory", False, True, "no container's control group"),
        ("0::/system.slice/docker-1.scope\n", "memory", True, True, "namespace of its own"),
        (VERSION_1, "", False, False, "version 1"),
        ("3:cpu,memory:/docker/1\n", "", False, False, "version 1"),
        ("1:name=systemd:/\n", "", False, False, "no control groups"),
        ("", "", False, False, "no control groups"),
        ("nonsense\n", "", False, False, "no control groups"),
    ],
)
def test_where_memory_can_be_divided(groups: str, controllers: str, contained: bool, writable: bool, says: str) -> None:
    """Only where the kernel would let us; elsewhere the reason is said."""
    why = decide(groups, controllers, contained, writable)
    assert says in why if says else why == ""


def tree(folder: Path) -> Path:
    """What a container sees that has a group of its own."""
    folder.mkdir()
    for name, text in (("cgroup.controllers", "cpu memory\n"), ("cgroup.type", "domain\n"), ("cgroup.procs", "1\n8\n")):
        (folder / name).write_text(text)
    (folder / "cgroup.subtree_control").touch()
    return folder


def test_a_tree_is_looked_at_and_divided(tmp_path: Path) -> None:
    """The first process steps aside, the controller is passed down, each program has its group and its limits."""
    root, own = tree(tmp_path / "cgroup"), tmp_path / "own"
    own.write_text("0::/\n")
    assert cannot_divide(root, own) == ""
    folders = divide({"proxy": {}, "backend": {"memory.max": 9 << 20, "memory.high": UNLIMITED}}, root)
    assert folders == {name: str(root / f"pillion-{name}") for name in ("proxy", "backend")}
    assert (root / OWN_GROUP / "cgroup.procs").read_text() == "8"  # the last of both that was written
    assert (root / "cgroup.subtree_control").read_text() == "+memory"
    assert (root / "pillion-backend" / "memory.max").read_text() == str(9 << 20)
    assert (root / "pillion-backend" / "memory.high").read_text() == "max"
    assert not (root / "pillion-proxy" / "memory.max").exists()
    (root / "cgroup.type").unlink()
    assert "no container's control group" in cannot_divide(root, own)
    assert "no control groups" in cannot_divide(root, tmp_path / "absent")


def test_what_cannot_be_had_is_said_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a warning at the start, and in the record for the report at the end; who asked for nothing is not told."""
    monkeypatch.setattr("pillion.image.limiting.cannot_divide", lambda: "because")
    records = [LaunchRecord(name, ("x",), {}) for name in ("proxy", "backend")]
    (proxy, backend), (finding,) = limited(records, {"proxy": "nofile=99", "backend": "memory=1G"})
    assert (finding.severity, finding.happens) == ("S2", "cannot limit memory per program here: because")
    assert backend.unmet == finding.happens and proxy.unmet == "" and proxy.limits == "nofile=99"
    assert limited(records, {"proxy": "nofile=99", "backend": ""})[1] == []


def test_a_kernel_that_refuses_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And the pair runs without."""

    def refuses(_: object) -> dict[str, str]:
        raise OSError(16, "Device or resource busy", "/sys/fs/cgroup/cgroup.subtree_control")

    monkeypatch.setattr("pillion.image.limiting.cannot_divide", lambda: "")
    monkeypatch.setattr("pillion.image.limiting.divide", refuses)
    records = [LaunchRecord(name, ("x",), {}) for name in ("proxy", "backend")]
    (_, backend), (finding,) = limited(records, {"proxy": "", "backend": "memory=1G"})
    assert "cgroup.subtree_control: Device or resource busy" in finding.happens and not backend.cgroup


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may take another uid")
def test_a_hard_limit_that_cannot_be_raised_is_refused(tmp_path: Path) -> None:
    """Without CAP_SYS_RESOURCE: before anything is started, not when the program is."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    code = (
        "import os; from pillion.image.limiting import limited; from pillion.image.launch import LaunchRecord; "
        "import pwd; os.setuid(65534); "
        f"limited([LaunchRecord('backend', ('x',), {{}})], {{'backend': 'nofile={hard + 1}'}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert f"PILLION_LIMITS_BACKEND: nofile={hard + 1} is more than the container may have ({hard})" in done.stderr


def test_the_file_that_was_refused_is_named() -> None:
    """Where the kernel refuses a write to it."""
    with pytest.raises(OSError, match=r"/dev/full"):
        _write(Path("/dev/full"), "9")
