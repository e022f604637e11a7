"""The scoreboard puts the same question to each peer, and what it says comes from the run."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scoreboard.board import BROKEN, FAIL, NONE, NOT_PUT, PASS, PEERS, SCENARIOS, play
from benchmarks.scoreboard.peers import pillion, supervisor
from benchmarks.scoreboard.running import Missed
from benchmarks.scoreboard.stage import NoNotionError, Scenario, Stage, cannot_contain
from tests.conftest import cannot_test
from tests.containers import bases


def run(tmp_path: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The command and its document."""
    file = tmp_path / "board.json"
    command = [sys.executable, "-m", "benchmarks.scoreboard", "--json", file, *options]
    done = subprocess.run(command, cwd=bases.ROOT, capture_output=True, text=True, timeout=200, check=False)
    return done, json.loads(file.read_text()) if file.exists() else {}


@pytest.mark.timeout(240)
def test_two_peers_are_put_to_a_few_scenarios(tmp_path: Path) -> None:
    """A pass, a failure with its reason, and what a peer has no notion of."""
    if why := cannot_contain():
        cannot_test(f"the scoreboard cannot run: {why}")
    asked = ("S5", "S11", "S23")
    done, document = run(tmp_path, "--only", ",".join(asked), "--peer=Pillion", "--peer=supervisor", "--at-once=2")
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {number: each["outcomes"] for number, each in document["scenarios"].items()}
    assert {number: each["Pillion"]["verdict"] for number, each in outcomes.items()} == dict.fromkeys(asked, PASS)
    theirs = {number: each["supervisor"] for number, each in outcomes.items()}
    assert [theirs[number]["verdict"] for number in asked] == [PASS, FAIL, NONE]
    assert "holds the backend" in theirs["S11"]["why"] and "S11  supervisor: fail: the first process" in done.stdout
    assert document["about"]["supervisor"] == "4.3.0"


def test_an_unknown_scenario_or_peer_is_bad_input(tmp_path: Path) -> None:
    """Which there are is said."""
    for option in ("--only=S99", "--peer=systemd"):
        done, document = run(tmp_path, option)
        assert (
            done.returncode == 2 and not document and "S24; peers are Pillion, supervisor, s6, tini + sh" in done.stderr
        )


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(None, PASS), (Missed("x"), FAIL), (NoNotionError("x"), NONE), (ConnectionError("x"), BROKEN)],
)
def test_how_a_scenario_ends_is_its_verdict(error: Exception | None, verdict: str) -> None:
    """A harness that breaks is no failure of the peer."""

    def scenario(stage: Stage) -> str:
        del stage
        if error:
            raise error
        return "x"

    found = play(Scenario("S0", "", scenario), pillion)
    assert found.verdict == verdict and "x" in found.why


def test_each_scenario_of_the_list_is_put_or_not_for_a_reason() -> None:
    """S1 to S24, once each; and every peer has a name of its own."""
    numbers = [each.number for each in SCENARIOS]
    assert sorted([*numbers, *NOT_PUT]) == sorted(f"S{number}" for number in range(1, 25))
    assert len({peer.NAME for peer in PEERS}) == len(PEERS) and supervisor in PEERS


def test_it_needs_the_standard_library_and_pillion_only() -> None:
    """The programs of the tests are run, not imported."""
    for file in (bases.ROOT / "benchmarks" / "scoreboard").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= {*sys.stdlib_module_names, "benchmarks", "pillion"}
