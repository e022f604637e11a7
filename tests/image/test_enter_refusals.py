"""What `pillion enter` refuses, what it bears with, and that it says why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pillion.image import run_directory as directories
from pillion.image.pair import PairRecord, ProgramRecord
from pillion.image.refusal import Refusal
from tests.entered import Container, Start

pytestmark = pytest.mark.usefixtures("nothing_left")


ODD_STARTS = {
    "many descriptors are open": "for n in range(3, 71): os.dup2(0, n)",
    "descriptors up to the first record's are open": "for n in range(3, 64): os.dup2(0, n)",
    "few descriptors are allowed": "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 4096))",
    "standard input is closed": "os.close(0)",
}


@pytest.mark.parametrize("prepare", ODD_STARTS.values(), ids=ODD_STARTS)
def test_it_starts_in_odd_circumstances(start: Start, prepare: str) -> None:
    """Whatever its parent left open, closed or limited."""
    code = f"import os, resource, sys\n{prepare}\nos.execv(sys.argv[1], sys.argv[1:])"
    container = start(through=[sys.executable, "-c", code])
    container.ready()
    assert container.end()[0] == 0


def test_too_few_descriptors_are_refused(run_directory: Path) -> None:
    """With the limit to raise."""
    limit = "resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))"
    code = f"import os, resource, sys; {limit}; os.execv(sys.argv[1], sys.argv[1:])"
    found, out = Container(["sleep", "60"], run_directory, {}, [sys.executable, "-c", code]).wait()
    assert found == 2 and "ulimit -n" in out and len(out.splitlines()) == 1
    assert list(run_directory.iterdir()) == []


def test_an_entry_without_a_name_is_none(start: Start) -> None:
    """A block may hold `=x`; no libc finds it, and Python would refuse to pass it on."""
    code = (
        "import ctypes, os, sys; texts = [os.fsencode(a) for a in sys.argv[1:]]; "
        "block = [b'=x', *(n + b'=' + v for n, v in os.environb.items())]; "
        "array = lambda items: (ctypes.c_char_p * (len(items) + 1))(*items, None); "
        "ctypes.CDLL(None).execve(texts[0], array(texts), array(block))"
    )
    container = start(through=[sys.executable, "-c", code])
    container.ready()
    assert container.end()[0] == 0


def test_without_a_place_to_write_it_says_what_to_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the candidates can be written."""
    monkeypatch.setattr(directories, "RUN_DIRECTORIES", ("/proc/none", "/proc"))
    with pytest.raises(Refusal, match="mount a tmpfs at /run/pillion"):
        directories.make_run_directory("/proc/asked")
    with pytest.raises(Refusal, match="longer than"):
        directories.make_run_directory(str(tmp_path / ("x" * 100)))


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ([], 2, "cannot start the pair: there is no backend command"),
        (["no-such-command"], 127, "cannot start the backend: no-such-command: not found in PATH"),
        (["/etc"], 126, "cannot start the backend: /etc is a directory"),
        (["/etc/passwd"], 126, "cannot start the backend: /etc/passwd is not executable"),
    ],
)
def test_a_command_that_cannot_be_ends_at_once(tmp_path: Path, command: list[str], code: int, says: str) -> None:
    """One sentence, a shell's exit code, nothing started; so with a working directory that is not there."""
    container = Container(command, tmp_path, {})
    found, out = container.wait()
    assert found == code and says in out and "Traceback" not in out and len(out.splitlines()) == 1


def test_findings_that_must_not_start_refuse(tmp_path: Path) -> None:
    """Both programs on one port: exit code 2 and what to set."""
    container = Container(["sleep", "60"], tmp_path, {b"PROXY__LISTEN": b":7000", b"BACKEND__PORT": b"7000"})
    code, out = container.wait()
    assert code == 2 and "port 7000" in out and "PROXY__LISTEN" in out and len(out.splitlines()) == 1


def test_a_missing_working_directory_ends_at_once(tmp_path: Path) -> None:
    """Said before anything is started."""
    record = PairRecord(backend=ProgramRecord(cwd="/no/such/directory"))
    code, out = Container(["sleep", "60"], tmp_path, {b"PILLION_PAIR": record.to_json().encode()}).wait()
    assert code == 126 and "its working directory /no/such/directory is not there" in out and len(out.splitlines()) == 1


def test_a_user_that_is_no_number_is_refused(tmp_path: Path) -> None:
    """It must not run as somebody else in silence."""
    record = PairRecord(backend=ProgramRecord(user="nobody"))
    code, out = Container(["sleep", "60"], tmp_path, {b"PILLION_PAIR": record.to_json().encode()}).wait()
    assert code == 2 and "'nobody' of the pair record is not UID or UID:GID" in out


def test_the_command_may_come_from_the_image(tmp_path: Path) -> None:
    """Where it has no Cmd for it; a program of the pair never sees the variable."""
    code, out = Container([], tmp_path, {b"PILLION_COMMAND": b'["/bin/echo", "a b", "%s"]'}).wait()
    assert code == 0 and "backend | a b %s" in out


@pytest.mark.parametrize("command", [b"/bin/echo", b'{"a": 1}', b'["a", 1]', b"3"])
def test_a_command_of_the_image_that_is_none_is_refused(command: bytes, tmp_path: Path) -> None:
    """As the exec form of CMD or not at all: nothing here guesses at words."""
    code, out = Container([], tmp_path, {b"PILLION_COMMAND": command}).wait()
    assert code == 2 and "PILLION_COMMAND is not a JSON array of strings" in out
