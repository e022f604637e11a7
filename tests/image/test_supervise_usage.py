"""Which program used what: told at the container's end, and on demand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pillion.image.supervise.memory import GroupMemory, group_memory, own_memory
from pillion.image.supervise.processes import Living, families, living, parents
from pillion.image.usage import MIB, ContainerUsage, ProgramUsage, Usage, read_usage
from tests.conftest import ENTRY, eventually
from tests.entered import Start

# 120 MiB that are used and given back, some processor time, and a child that is left behind and does the same.
BUSY = """
import os, signal, time
def work():
    held = bytearray(os.urandom(1 << 20) * 120)
    del held
    end = time.process_time() + 0.3
    while time.process_time() < end: pass
if os.fork() == 0:
    if os.fork() == 0:
        work()
        print("left behind", flush=True)
    os._exit(0)
os.wait()
work()
print("worked", flush=True)
signal.pause()
"""


def usage(run_directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """As `docker exec` would ask."""
    environ = {"PATH": os.environ["PATH"], "PILLION_RUN_DIR": str(run_directory)}
    command = [ENTRY, "ctl", "usage", *options]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.usefixtures("nothing_left")
def test_it_is_told_on_demand_and_at_the_end(start: Start, run_directory: Path) -> None:
    """S22: of every life of each program, with what it left behind; the same figures for a machine and for a person."""
    container = start(
        command=(sys.executable, "-c", BUSY),
        environ={b"PILLION_BACKOFF": b"20ms", b"PILLION_LIMITS_BACKEND": b"nofile=200"},
    )
    container.says("backend | worked\n")
    container.says("backend | left behind\n")
    os.kill(container.pid("-c", BUSY), signal.SIGKILL)
    container.says("restart 1 of 5")

    def told() -> dict[str, dict[str, object]]:
        programs: dict[str, dict[str, object]] = json.loads(usage(run_directory, "--json").stdout)["programs"]
        return programs

    # Two processes worked in each of two lives.
    backend = eventually(lambda: one if float(str((one := told()["backend"])["cpu_s"])) >= 1.2 else None)
    assert backend["starts"] == 2 and int(str(backend["peak_bytes"])) > 120 * MIB and backend["limits"] == "nofile=200"
    eventually(lambda: 0 < int(str(told()["backend"]["now_bytes"])) < 100 * MIB)
    proxy = told()["proxy"]
    assert proxy["starts"] == 1 and 0 < int(str(proxy["peak_bytes"])) < 120 * MIB and not proxy["oom_kills"]
    shown = usage(run_directory).stdout
    assert shown.startswith("the proxy used ") and "; started twice; limits: nofile=200" in shown
    code, out = container.end()
    (line,) = (line for line in out.splitlines() if line.startswith("pillion | the backend used"))
    assert code == 0 and "started twice; limits: nofile=200" in line
    assert usage(run_directory).returncode == 1


def test_a_wrong_question_is_bad_input(run_directory: Path) -> None:
    """Without a pair there is nobody to ask."""
    done = usage(run_directory)
    assert done.returncode == 1 and "there is no pair here" in done.stderr


def of(name: str, **fields: object) -> ProgramUsage:
    """A program of 1 s and 2 MiB."""
    plain = ProgramUsage(name, 1, 1.0, 2 * MIB, 0, False, 0, "", "")
    return plain._replace(**fields)  # type: ignore[arg-type]


def test_it_is_said_in_a_sentence_each() -> None:
    """Only what there is to say, and nothing that is not known."""
    assert str(of("proxy")) == "the proxy used 1.0 s of CPU, at most 2 MiB in one process"
    assert str(of("backend", grouped=True, now_bytes=MIB, starts=3, oom_kills=1, limits="core=0", unmet="why")) == (
        "the backend used 1.0 s of CPU, at most 2 MiB; 1 MiB now; started 3 times; ended once by the kernel for want "
        "of memory; limits: core=0; why"
    )
    quiet = Usage((of("proxy"),), ContainerUsage(5 * MIB, None, 0, 0))
    assert len(list(quiet.lines())) == 1 and read_usage(quiet.to_json()) == quiet
    loud = quiet._replace(container=ContainerUsage(5 * MIB, 6 * MIB, 2, 1))
    assert list(loud.lines())[1] == (
        "the container held at most 5 MiB of 6 MiB; at its limit twice; the kernel ended 1 of its processes for want "
        "of memory"
    )


def test_who_belongs_to_whom() -> None:
    """What descends from a program is its own; what we adopted is the backend's; everybody else is nobody's."""
    family = {1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 21: 20, 30: 1, 31: 30, 40: 2, 2: 0}
    found = families({"proxy": 10, "backend": 20}, "backend", family, own=1)
    assert found == {"proxy": {10, 11, 12}, "backend": {20, 21, 30, 31}}
    assert families({"proxy": 0, "backend": 20}, "backend", family, own=1)["proxy"] == set()
    deeper = {7: 5, 5: 1, 10: 7, 11: 10}
    assert families({"proxy": 10}, "backend", deeper, own=7) == {"proxy": {10, 11}, "backend": set()}


def test_what_a_living_process_uses_is_read_from_the_kernel() -> None:
    """Of this one; one that has gone counts as nothing."""
    found = living([os.getpid(), 2**22 + 1])
    assert found.cpu_s > 0 and found.peak_bytes >= found.now_bytes > 5 * MIB
    assert living([2**22 + 1]) == Living() and parents()[os.getpid()] == os.getppid()


def test_groups_of_either_version_are_read(tmp_path: Path) -> None:
    """The largest number of pages is no limit; the group that is ours beside the programs' is not the container's."""
    first, second, own = tmp_path / "memory", tmp_path, tmp_path / "own"
    first.mkdir()
    for file, text in (
        ("limit_in_bytes", 2**63 - 4096),
        ("max_usage_in_bytes", 77),
        ("failcnt", 4),
        ("oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3"),
    ):
        (first / f"memory.{file}").write_text(f"{text}\n")
    own.write_text("4:memory:/\n")
    assert own_memory(tmp_path, own) == GroupMemory(3, 77, None, 4)
    (first / "memory.limit_in_bytes").write_text("4096\n")
    assert own_memory(tmp_path, own).limit == 4096
    for file, text in (("events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1"), ("peak", "99"), ("max", "max")):
        (second / f"memory.{file}").write_text(f"{text}\n")
    own.write_text("0::/pillion-supervisord\n")
    assert own_memory(tmp_path, own) == group_memory(second) == GroupMemory(1, 99, None, 5)
    # Those below were at theirs, twice.
    (second / "memory.events.local").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\n")
    assert group_memory(second) == GroupMemory(1, 99, None, 3)
