"""The exit code of a container, as its engine gives it, and its last line (docs/exit-codes.md; S3, S4, S22)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.containers.composed import Combine
from tests.containers.conftest import Run, running
from tests.containers.engines import DOCKER, PODMAN, Engine
from tests.containers.supervised import COMMANDED, HARDENED, SETTLE_S, alternating, commanded_backend, together


class Case(NamedTuple):
    """A container's arguments and options, what it ends with, and what its last line says; `alone`: it has no other.
    It has a circumstance of its own, or else each in one of the engines."""

    words: tuple[str, ...]
    options: tuple[str, ...]
    code: int
    says: str
    alone: bool = False
    circumstance: tuple[str, ...] = ()


class Ended(NamedTuple):
    """Of a container that has ended."""

    code: int
    log: str


ONE_RESTART = ("--env=PILLION_RESTARTS=1", "--env=PILLION_BACKOFF=10ms")
NO_RESTART = ("--env=PILLION_RESTARTS=0",)
LITTLE_MEMORY = ("--memory=150m", "--memory-swap=150m")
UNWRITABLE = {
    DOCKER: ("--read-only", "--ipc=none"),
    PODMAN: ("--read-only", "--read-only-tmpfs=false", "--ipc=none"),
}
CASES = {
    "done": Case(
        (*COMMANDED, "exit", "0"), (), 0, "the backend has ended: it exited with 0; the container ends with 0"
    ),
    "given up": Case(
        (*COMMANDED, "exit", "3"),
        ONE_RESTART,
        3,
        "the backend is lost: it exited with 3 in its last of 2 starts; the container ends with 3",
    ),
    "killed": Case(
        (*COMMANDED, "signal", "9"),
        NO_RESTART,
        137,
        "the backend is lost: SIGKILL ended it; the container ends with 137",
    ),
    "terminated": Case(
        (*COMMANDED, "signal", "15"),
        NO_RESTART,
        143,
        "the backend is lost: SIGTERM ended it; the container ends with 143",
    ),
    "out of memory": Case(
        (*COMMANDED, "hog"),
        (*NO_RESTART, *LITTLE_MEMORY),
        137,
        "the backend is lost: SIGKILL ended it, the kernel's for want of memory; the container ends with 137",
    ),
    "no such command": Case(
        ("no-such-command",), (), 127, "cannot start the backend: no-such-command: not found in PATH", True
    ),
    "a directory": Case(("/etc",), (), 126, "cannot start the backend: /etc is a directory; mend its command", True),
    "no place to write": Case(COMMANDED, (), 2, "mount a tmpfs at /run/pillion, or set PILLION_RUN_DIR", True),
    "not executable": Case(("/etc/passwd",), (), 126, "/etc/passwd is not executable; mend its command", True),
    "a deadline of zero": Case(
        COMMANDED, ("--env=PILLION_DEADLINE=0",), 2, "PILLION_DEADLINE='0' is no duration", True
    ),
    "no pair record": Case(COMMANDED, ("--env=PILLION_PAIR={",), 2, "PILLION_PAIR", True),
    "one port for both": Case(COMMANDED, ("--env=PROXY__LISTEN=:8000",), 2, "port 8000", True),
    "no boundary": Case(
        COMMANDED, ("--env=PILLION_REQUIRE_UIDS=1",), 2, "start as root with CAP_SETUID", True, HARDENED
    ),
    "an address of nobody's": Case(
        COMMANDED,
        ("--env=PROXY__LISTEN=192.0.2.1:8080",),
        2,
        "stop what listens there, or set LISTEN or PORT to another",
    ),
}


def end(run: Run, image: str, case: Case, options: tuple[str, ...], engine: Engine) -> Ended:
    """Until it has ended by itself."""
    if case.alone:
        # Ends at once: one call of the client, which passes the code on, is enough.
        given = ("run", "--rm", "--pull=never", *case.options, *options, image, *case.words)
        done = engine(*given, check=False, timeout_s=SETTLE_S)
        return Ended(done.returncode, done.stdout + done.stderr)
    container = run(image, *case.words, options=[*case.options, *options], engine=engine)
    return Ended(container.wait(), container.logs())


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """conmon leaves its mark of an out-of-memory kill, a file `oom`, where podman was called."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(before)


@pytest.fixture(scope="module")
def ended(either: Engine, combine: Combine, elsewhere: None) -> Iterator[dict[str, Future[Ended]]]:
    """All of them at once."""
    image = combine(commanded_backend(), either)
    more = {"no place to write": UNWRITABLE[either]}
    usual = alternating(CASES, either)
    with running() as run:
        tasks = {
            name: partial(end, run, image, case, (*(case.circumstance or usual[name]), *more.get(name, ())), either)
            for name, case in CASES.items()
        }
        with together(tasks) as futures:
            yield futures


@pytest.mark.parametrize("name", CASES)
def test_a_container_ends_with_the_code_in_the_table_and_says_why(name: str, ended: dict[str, Future[Ended]]) -> None:
    """S3, S4, S22: what could not be started ends at once, with one sentence that says what to change."""
    case, found = CASES[name], ended[name].result(SETTLE_S)
    assert found.code == case.code, found.log
    lines = found.log.splitlines()
    assert case.says in lines[-1], found.log
    assert "Traceback" not in found.log
    if case.alone:
        assert len(lines) == 1
