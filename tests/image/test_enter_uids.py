"""Decision 14: one uid works and is warned of where it matters; who needs a boundary can demand it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pillion.compare.proc import descendants
from pillion.image.account import is_mapped
from pillion.image.boundary import boundary, kept_by_init
from pillion.image.launch import LaunchRecord
from pillion.image.pair import PairRecord, ProgramRecord
from tests.conftest import BACKEND, argv_of, eventually
from tests.entered import Container, Start

pytestmark = pytest.mark.usefixtures("nothing_left")
# A process namespace of its own, in which what comes next is the first process, as in a container.
AS_PID_1 = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
# Without these root is as others are: it may not look into what does not want to be looked into, nor open every file.
AS_OTHERS = ("setpriv", "--bounding-set=-sys_ptrace,-perfmon,-sys_admin,-dac_override,-dac_read_search")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a process namespace")


def records(proxy: int, backend: int) -> list[LaunchRecord]:
    """Of these uids, -1 for our own."""
    return [LaunchRecord("proxy", ("x",), {}, uid=proxy), LaunchRecord("backend", ("x",), {}, uid=backend)]


@pytest.mark.parametrize(
    ("proxy", "backend", "required", "contained", "severities"),
    [
        (-1, -1, False, False, []),
        (-1, -1, False, True, ["S2"]),
        (-1, -1, True, False, ["S0"]),
        (1000, 1000, True, True, ["S0"]),
        (65532, 1000, True, True, []),
        (65532, -1, False, True, []),
    ],
)
def test_one_uid_is_a_warning_in_a_container_and_a_refusal_on_demand(
    proxy: int, backend: int, required: bool, contained: bool, severities: list[str]
) -> None:
    """Two are nothing to speak of."""
    assert [each.severity for each in boundary(records(proxy, backend), required, contained)] == severities


def test_a_boundary_that_was_demanded_and_cannot_be_is_refused(tmp_path: Path) -> None:
    """Before anything is started."""
    code, out = Container(["sleep", "60"], tmp_path, {b"PILLION_REQUIRE_UIDS": b"1"}).wait()
    assert code == 2 and "S0 uid: both programs run as uid" in out and len(out.splitlines()) == 1


@root_only
def test_the_first_process_warns_once(start: Start) -> None:
    """Also when the programs are started again; outside a container not at all."""
    quick = {b"PILLION_RESTARTS": b"1", b"PILLION_BACKOFF": b"10ms"}
    warned = "S2 uid: both programs run as uid 0"
    code, out = start("exit", "3", environ=quick, through=AS_PID_1).wait()
    assert code == 3 and out.count(warned) == 1
    assert warned not in start("exit", "3", environ=quick).wait()[1]


@root_only
def test_one_uid_is_no_way_to_the_others_secrets_by_reading_files(start: Start) -> None:
    """S11: not the proxy's environment, not the records that the first process holds. What a program of a single
    container could open by the first process's name, it still can."""
    secret = {b"PROXY__SECRET_KEY": b"not-to-be-seen"}
    container = start(through=(*AS_PID_1, *AS_OTHERS), environ=secret)
    container.ready()
    family = {pid: argv_of(pid) for pid in _family(container.process.pid)}
    (supervisord,) = (pid for pid, argv in family.items() if argv[-1:] == ["supervise"])
    backend = next(pid for pid, argv in family.items() if argv[1:] == [str(BACKEND)])
    proxies = [pid for pid, argv in family.items() if argv[-1:] == ["proxy"]]
    descriptors = [str(path) for path in Path(f"/proc/{supervisord}/fd").iterdir()]
    records = [path for path in descriptors if "pillion-launch" in str(Path(path).readlink())]
    try:
        assert _opens(f"/proc/{backend}/environ", f"/proc/{supervisord}/environ") == [True, True]
        assert b"not-to-be-seen" not in Path(f"/proc/{supervisord}/environ").read_bytes()
        assert len(proxies) > 1 and _opens(*(f"/proc/{pid}/environ" for pid in proxies)) == [False] * len(proxies)
        assert len(records) == 2 and _opens(*records) == [False, False]
        assert _opens(f"/proc/{supervisord}/fd/1", mode="w") == [True]
    finally:
        # What comes to unshare it does not pass on.
        os.kill(supervisord, signal.SIGTERM)
    assert container.wait()[0] == 0


def test_an_init_that_keeps_the_environment_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker run --init` puts one before us; only if somebody of its uid could read there what is another's."""
    environ, kept = {"BACKEND__SECRET_KEY": "x", "PATH": "/bin"}, tmp_path / "environ"
    kept.write_bytes(b"PATH=/bin\0BACKEND__SECRET_KEY=x\0")
    assert kept_by_init(environ, records(-1, -1), kept) == []
    monkeypatch.setattr(os, "getppid", lambda: 1)
    (found,) = kept_by_init(environ, records(-1, -1), kept)
    assert found.severity == "S2" and "leave --init out" in str(found) and "=x" not in str(found)
    assert kept_by_init(environ, records(65532, 1000), kept) == []
    assert kept_by_init({"PATH": "/bin"}, records(-1, -1), kept) == []


@pytest.mark.parametrize(
    ("number", "table", "there"),
    [
        (65532, "         0          0 4294967295\n", True),
        (65532, "         0       1000          1\n", False),
        (0, "         0       1000          1\n", True),
        (65532, "0 1000 1\n1 100000 65535\n", True),
        (65536, "0 1000 1\n1 100000 65535\n", False),
        (65532, "", True),
    ],
)
def test_a_uid_is_taken_where_there_is_one(number: int, table: str, there: bool) -> None:
    """A user namespace may have few (user_namespaces(7)); what was never asked of the kernel is taken to be there."""
    assert is_mapped(number, table) is there


@root_only
def test_where_there_is_only_one_uid_both_programs_have_it(start: Start) -> None:
    """As in an engine without subordinate uids, where the first process is root and has all capabilities."""
    record = PairRecord(proxy=ProgramRecord(user="65532"))
    through = ("unshare", "--user", "--map-root-user")
    container = start(through=through, environ={b"PILLION_PAIR": record.to_json().encode()})
    container.ready()
    code, out = container.end()
    assert code == 0 and "uid 65532 cannot be taken" in out


def _family(pid: int) -> set[int]:
    return eventually(lambda: family if len(family := descendants([pid])) > 4 else set())


def _opens(*paths: str, mode: str = "r") -> list[bool]:
    """Which of these somebody of our uid with no more capabilities than others can open."""
    look = (
        "import sys\nfor path in sys.argv[2:]:\n"
        "    try: open(path, sys.argv[1]).close(); print(1)\n"
        "    except OSError: print(0)"
    )
    command = [*AS_OTHERS, sys.executable, "-c", look, mode, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return [line == "1" for line in done.stdout.split()]
