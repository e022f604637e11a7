"""`pillion env explain`: who sees what, from where and why; never a value."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.conftest import ENTRY, ORDERS

POD = str(ORDERS / "pod.yaml")


def explain(*arguments: str, env: dict[str, str] | None = None) -> str:
    """What the command prints."""
    command = [ENTRY, "env", "explain", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=env).stdout


@pytest.mark.parametrize("name", ["SECRET_KEY", "BACKEND__SECRET_KEY"])
def test_a_secret_of_both(name: str) -> None:
    """Each program's own, with its place in the file; severity and reason of a merge; no value."""
    out = explain(name, POD)
    assert "proxy   sees it from spec.containers[1].env[9]: addressed to the proxy" in out
    assert "backend sees it from spec.containers[0].env[7]: addressed to the backend" in out
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
