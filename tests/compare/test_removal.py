"""Removing containers: an engine that is too busy is asked again, and what stays is told."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

import pytest

from pillion.compare.engines.removal import ATTEMPTS, remove
from pillion.image.engine import DOCKER, Engine
from pillion.image.refusal import Failure

BUSY = "Error response from daemon: tried to kill container, but did not receive an exit event"
REMOVALS = [("rm", "--force", name) for name in ("kept", "busy", "absent", "good")]


class Busy(Engine):
    """Refuses `busy` as often as it is told to, and `kept` for ever."""

    refusals: ClassVar[dict[str, int]] = {}
    asked: ClassVar[Counter[str]] = Counter()

    def run(
        self, *arguments: str, environ: Mapping[str, str] | None = None, timeout_s: float = 0
    ) -> subprocess.CompletedProcess[str]:
        """What a client would end with."""
        name = arguments[-1]
        self.asked[name] += 1
        said = "Error: No such container: absent" if name == "absent" else ""
        said = BUSY if self.asked[name] <= self.refusals.get(name, 0) else said
        return subprocess.CompletedProcess(arguments, int(bool(said)), "", said)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Busy:
    """That was not asked for anything yet."""
    monkeypatch.setattr(Busy, "asked", Counter())
    return Busy(DOCKER, "/usr/bin/docker", "20.10.24")


def test_a_busy_engine_is_asked_again(engine: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for what is left; what is not there is not missed."""
    monkeypatch.setattr(Busy, "refusals", {"busy": 2})
    remove(engine, REMOVALS, pause_s=0)
    assert engine.asked == {"kept": 1, "busy": 3, "absent": 1, "good": 1}


def test_what_stays_is_told(engine: Busy, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, with what the engine says of it, after the others have gone."""
    monkeypatch.setattr(Busy, "refusals", {"kept": ATTEMPTS, "busy": 1})
    with pytest.raises(Failure, match="cannot remove kept: docker: tried to kill container") as raised:
        remove(engine, REMOVALS, pause_s=0)
    assert raised.value.exit_code == 1 and engine.asked["good"] == 1
