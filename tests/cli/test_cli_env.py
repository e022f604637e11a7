"""`pillion env`: who sees what, from where and why; never a value."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ENTRY, ORDERS

POD = str(ORDERS / "pod.yaml")


def run(*arguments: str, env: dict[str, str] | None = None) -> str:
    """What the command prints."""
    command = [ENTRY, "env", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=env).stdout


def explain(*arguments: str, env: dict[str, str] | None = None) -> str:
    """What `explain` prints."""
    return run("explain", *arguments, env=env)


@pytest.mark.parametrize("name", ["SECRET_KEY", "BACKEND__SECRET_KEY"])
def test_a_secret_of_both(name: str) -> None:
    """Each program's own, with its place in the file; severity and reason of a merge; no value."""
    out = explain(name, POD)
    assert "proxy   sees it from spec.containers[1].env[11], line 50: addressed to the proxy" in out
    assert "backend sees it from spec.containers[0].env[7], line 29: addressed to the backend" in out
    assert "S0: the other program can read the secret" in out
    assert "not-a-secret" not in out


def test_a_name_of_one_program() -> None:
    """The other does not see it, and why."""
    found = json.loads(explain("UPSTREAM", POD, "--json"))
    assert found["programs"]["proxy"]["sees"] and not found["programs"]["backend"]["sees"]
    assert found["programs"]["backend"]["why"] == "it goes to the proxy alone"


def test_without_a_pair_the_callers_environment_is_explained() -> None:
    """As `pillion run -- CMD` would split it."""
    env = {"PORT": "9000", "TOKEN": "the-value", "PILLION_SHARED": ""}
    out = explain("PORT", env=env)
    assert "proxy   sees it from PORT: the platform's port is the proxy's" in out
    assert "backend sees it from PORT: its own port" in out
    assert "proxy   does not see it: it goes to the backend alone" in explain("TOKEN", env=env)
    assert "does not see it: addressed to Pillion" in explain("PILLION_SHARED", env=env)
    assert "does not see it: it is not set" in explain("NOBODYS", env=env)
    assert "sees it computed: the home of uid" in explain("HOME", env=env)
    assert "sees it computed: its share of the stop deadline" in explain("DRAIN_TIMEOUT", env=env)
    assert "does not see it: it is not set" in explain("LC_CTYPE", env=env)


def test_what_explain_says_is_what_the_programs_hold() -> None:
    """The lengths it gives are those of the file's values."""
    found = json.loads(explain("PORT", POD, "--json"))
    assert found["programs"]["proxy"]["length"] == found["programs"]["backend"]["length"] == 4


def test_show_has_every_variable_of_a_program_and_no_value() -> None:
    """Where it is from, its layer, class and length."""
    out = run("show", "backend", POD)
    assert "SECRET_KEY" in out and "spec.containers[0].env[7]" in out and "secret" in out and "not-a-secret" not in out
    rows = {row["name"]: row for row in json.loads(run("show", "proxy", POD, "--json"))}
    assert rows["UPSTREAM"]["layer"] == "namespaced" and rows["PORT"]["length"] == 4 and rows["PORT"]["class"] == "port"
    assert rows["DRAIN_TIMEOUT"]["from"] == "computed"
    env = {"TOKEN": "the-value"}
    assert "the-value" not in run("show", "backend", env=env) and "TOKEN" not in run("show", "proxy", env=env)


def test_strict_and_verbatim_are_options_of_what_splits_ones_own_environment() -> None:
    """Also of what starts it; with a pair file they have no meaning, which is said. Names do not speak to the
    terminal."""
    env = {"PATH": "/odd:/usr/bin:/bin", "MODE": "canary", "\x1b[31mRED": "canary", "HOME": "/nowhere"}

    def said(*arguments: str, code: int) -> str:
        done = subprocess.run([ENTRY, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code and "canary" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done.stdout + done.stderr

    refused = "S1 MODE: is addressed to no program; write BACKEND__MODE"
    shown = said("env", "show", "backend", "--strict", code=1)
    assert f"would not start: {refused}" in shown and "\x1b" not in shown + said(
        "env", "explain", "\x1b[31mRED", code=0
    )
    for start in (["run", "--strict", "--", "true"], ["enter", "--strict", "--verbatim", "--", "true"]):
        assert refused in said(*start, code=2)
    plain, same = (json.loads(said("env", "show", "backend", "--json", *more, code=0)) for more in ([], ["--verbatim"]))
    assert {row["name"] for row in plain} - {row["name"] for row in same} == {"PYTHONUNBUFFERED"}
    assert {row["name"] for row in same} == env.keys()
    for command in (["run", POD], ["env", "show", "backend", POD], ["env", "explain", "X", POD]):
        assert "a pair file addresses every variable" in said(*command, "--strict", code=2)


def test_diff_says_what_sharing_changes() -> None:
    """For the sample, only what the proxy is told of its deadline."""
    out = run("diff", "shared", "separate", POD)
    assert out.splitlines() == [
        "proxy    DRAIN_TIMEOUT: only in shared (its share of the stop deadline)",
        "1 differences",
    ]
    assert run("diff", "separate", "separate", POD) == "no difference\n"
    assert json.loads(run("diff", "separate", "shared", POD, "--json"))[0]["difference"] == "only in shared"


def test_convert_there_and_back(tmp_path: Path) -> None:
    """From the pair file to one file, to a folder, and to one file again: the same. Only the owner can read them."""
    shared, folder, again = tmp_path / "shared.env", tmp_path / "separate", tmp_path / "again.env"
    run("convert", POD, "--to", "shared", "-o", str(shared))
    run("convert", str(shared), "--to", "separate", "-o", str(folder))
    run("convert", str(folder), "--to", "shared", "-o", str(again))
    assert shared.read_bytes() == again.read_bytes() and "BACKEND__SECRET_KEY='not-a-secret" in shared.read_text()
    assert {file.stat().st_mode & 0o777 for file in (shared, again, *folder.iterdir())} == {0o600}
    for target, wish in ((shared, "shared"), (folder, "separate")):
        source = POD if wish == "shared" else str(shared)
        command = [ENTRY, "env", "convert", source, "--to", wish, "-o", str(target)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and "file exists; name a f" in done.stderr
