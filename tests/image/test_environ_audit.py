"""What the processes of a running pair hold against what they should (`pillion env audit`): real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pillion.image.environ.audit import Difference, Should, as_given, compare
from tests.conftest import ENTRY, eventually
from tests.entered import Start

pytestmark = pytest.mark.usefixtures("nothing_left")
CANARIES = {b"PROXY__SECRET_KEY": b"canary-of-the-proxy", b"BACKEND__TOKEN": b"canary-of-the-backend"}
# Becomes itself again with another environment, under the same command line.
AGAIN = """
import os, sys, time
if "MORE" not in os.environ:
    changed = {**os.environ, "MORE": "canary-more", "WATCH": "canary-watch"}
    del changed["TOKEN"]
    changed.pop("LC_CTYPE", "")
    os.execve(sys.executable, sys.orig_argv, changed)
print("again", flush=True)
time.sleep(600)
"""
# Starts one child with what is in its arguments, and one that has written over its environment.
PARENT = """
import ctypes, os, subprocess, sys, time
own = dict(argument.split("=", 1) for argument in sys.argv[1:])
sleeping = [sys.executable, "-c", "import time; print('child', flush=True); time.sleep(600)"]
child = subprocess.Popen(sleeping, env={**os.environ, **own})
if os.fork() == 0:
    begin, end = map(int, open("/proc/self/stat").read().rpartition(")")[2].split()[47:49])
    ctypes.memset(begin, 0, end - begin)
    print("title", flush=True)
time.sleep(600)
"""


def audit(*arguments: str, run_directory: Path | None = None, code: int = 0) -> str:
    """What it prints: never a value, never a traceback."""
    environ = {"PATH": os.environ["PATH"]} | ({"PILLION_RUN_DIR": str(run_directory)} if run_directory else {})
    command = [ENTRY, "env", "audit", *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert "canary" not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def document(run_directory: Path, code: int = 0) -> dict[str, Any]:
    """The same for a machine, when every process has become what it is meant to be."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = json.loads(audit("--json", run_directory=run_directory, code=code))
        # Without a container, other tests' pairs are beside this one.
        found["processes"] = [one for one in found["processes"] if one["program"] != "beside"]
        return None if any(one["unread"] == "is only being started" for one in found["processes"]) else found

    return eventually(look)


def of(found: dict[str, Any], program: str) -> dict[str, Any]:
    """The first process of a program."""
    return next(one for one in found["processes"] if one["program"] == program)


def named(process: dict[str, Any]) -> set[tuple[str, str, bool]]:
    """Its differences: what kind, which name, whether it is a fault; but for what CPython adds by itself (PEP 538)."""
    found = {(one["kind"], one["name"], one["fault"]) for one in process["differences"]}
    return {each for each in found if each[1] != "LC_CTYPE"}


def test_what_is_as_it_should_be_is_said_of_every_process(start: Start, run_directory: Path) -> None:
    """supervisord, the proxy and its workers, the backend: however odd the values. Also by the pid of what started
    it. Of the one who asks, who holds everything, is not spoken."""
    odd = {b"ODD": b"%(ENV_X)s\n\xff'\"", b"EMPTY": b"", b"BACKEND__BACKEND__X": b"doubly addressed"}
    container = start(environ={**CANARIES, **odd, b"HTTP_PROXY": b"http://u:canary@egress.invalid"})
    container.ready()
    found = document(run_directory)
    assert found["faults"] == 0 and found["version"] == 1
    assert {one["program"] for one in found["processes"]} == {"supervisord", "proxy", "backend"}
    assert all(one["differences"] == [] and not one["unread"] for one in found["processes"]), found
    assert len([one for one in found["processes"] if one["program"] == "proxy"]) >= 2, found
    # A worker may have come or gone since.
    text = audit(str(container.process.pid))
    assert text.count("names, as they should be") >= 3 and text.endswith("; no faults\n"), text


def test_names_missing_too_many_and_changed_are_faults_where_nothing_was_to_change(
    start: Start, run_directory: Path
) -> None:
    """Each with its origin, class and length; exit code 1. A program that became another may have what it wants."""
    container = start(command=(sys.executable, "-c", AGAIN), environ=CANARIES)
    container.says("again")
    found = document(run_directory, code=1)
    backend = of(found, "backend")
    assert named(backend) == {("missing", "TOKEN", True), ("extra", "MORE", True), ("changed", "WATCH", True)}
    (token,) = (one for one in backend["differences"] if one["name"] == "TOKEN")
    assert (token["origin"], token["layer"], token["group"], token["length"]) == (
        "BACKEND__TOKEN", "namespaced", "secret", 21,
    )  # fmt: skip
    text = audit(run_directory=run_directory, code=1)
    assert "fault: TOKEN: is missing (from BACKEND__TOKEN, namespaced, class secret, 21 characters)" in text
    assert "; 3 faults" in text


def test_what_a_program_became_by_itself_is_told_and_no_fault(
    start: Start, run_directory: Path, tmp_path: Path
) -> None:
    """An entry point that exports and execs, as most images have."""
    script = tmp_path / "entry.sh"
    script.write_text('#!/bin/sh\nexport MADE=canary-made\nunset TOKEN\nexec "$@"\n')
    script.chmod(0o755)
    says = f"{sys.executable} -c 'import time; print(1, flush=True); time.sleep(600)'"
    container = start(command=(str(script), "sh", "-c", f"{says}; :"), environ=CANARIES)
    container.says("backend | 1")
    backend = of(document(run_directory), "backend")
    assert {("missing", "TOKEN", False), ("extra", "MADE", False)} <= named(backend) and not backend["started"]
    assert "what it has otherwise it was given by the program" in audit(run_directory=run_directory)


def test_leaks_are_faults_wherever_they_are(start: Start, run_directory: Path) -> None:
    """In a child too: an addressed original, and the other's secret under its own and any other name. A child that
    sets its title, which lies over its environment, is told of."""
    leaks = ["BACKEND__TOKEN=canary-x", "SECRET_KEY=canary-of-the-proxy", "HIDDEN=canary-of-the-proxy", "OWN=canary-y"]
    container = start(command=(sys.executable, "-c", PARENT, *leaks), environ=CANARIES)
    container.says("child")
    container.says("title")
    found = document(run_directory, code=1)
    first, *rest = (one for one in found["processes"] if one["program"] == "backend")
    assert first["differences"] == [] and len(rest) == 2
    (child,) = (one for one in rest if not one["unread"])
    assert named(child) == {
        ("leaked", "BACKEND__TOKEN", True), ("leaked", "SECRET_KEY", True), ("leaked", "HIDDEN", True),
        ("extra", "OWN", False),
    }  # fmt: skip
    assert {one["whose"] for one in child["differences"]} == {"", "proxy"}
    assert [one["unread"] for one in rest if one["unread"]] == [
        "has written over it, as programs do that set their title"
    ]


def test_who_was_started_from_outside_is_told_of(start: Start, run_directory: Path) -> None:
    """As `podman exec` starts it: it holds what the container was given."""
    container = start(environ=CANARIES)
    container.ready()
    strangers = {**os.environb, **CANARIES, b"\x1b[31mBACKEND__": b"x"}
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=strangers)
    try:
        eventually(lambda: b"time.sleep" in Path(f"/proc/{stranger.pid}/cmdline").read_bytes())
        text = audit(run_directory=run_directory)
        assert f"beside (pid {stranger.pid}, " in text and "started from outside" in text and "\x1b" not in text
        assert "  PROXY__SECRET_KEY: is as the container was given it, not split (class secret, 19 characters)" in text
        assert "beside" not in audit(str(container.process.pid))
    finally:
        stranger.kill()
        stranger.wait(30)


def test_nobody_to_ask_is_said_with_the_mend(run_directory: Path) -> None:
    """No pair here; a process that is none, or of no pair; what is no number."""
    assert "there is no pair here" in audit(run_directory=run_directory, code=1)
    assert "there is no such process" in audit(str(2**22 + 1), code=2)
    assert "only layout shared splits an environment" in audit(str(os.getpid()), code=2)
    assert "invalid int value" in audit("x", code=2)


PROXY = Should("proxy", {"TOKEN": "a", "SECRET_KEY": "secret-of-proxy", "MODE": "same"})
OWN = Should("backend", {"A": "1", "B": "2"}, {"A": ("BACKEND__A", "namespaced")}, ("BACKEND__A",))


def compared(held: dict[str, str], *, started: bool = True) -> list[tuple[str, str, str, bool]]:
    """Kind, name, whose and whether it is a fault."""
    return [(each.kind, each.name, each.whose, each.fault) for each in compare(OWN, held, [PROXY], started=started)]


def test_what_is_a_leak_and_what_is_chance() -> None:
    """A short secret only under its own name; what is no secret only as what it is: more than there should be."""
    own = {"A": "1", "B": "2"}
    assert compared(own) == []
    assert compared({**own, "TOKEN": "a"}) == [("leaked", "TOKEN", "proxy", True)]
    assert compared({**own, "X": "a"}, started=False) == [("extra", "X", "", False)]
    assert compared({**own, "X": "secret-of-proxy"}, started=False) == [("leaked", "X", "proxy", True)]
    assert compared({**own, "MODE": "same"}, started=False) == [("extra", "MODE", "", False)]
    assert compared({"A": "secret-of-proxy", "B": "2"}, started=False) == [("leaked", "A", "proxy", True)]
    assert compared({**own, "BACKEND__A": "1"}, started=False) == [("leaked", "BACKEND__A", "", True)]


def test_an_init_with_everything() -> None:
    """Only what is addressed is told of."""
    (found,) = as_given({"BACKEND__A": "12", "PATH": "/"}, ["BACKEND__A", "PROXY__B"], fault=True)
    assert found == Difference("leaked", "BACKEND__A", "", "", "other", 2, "", True)
