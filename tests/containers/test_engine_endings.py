"""Real ends of real containers: what both engines tell of them is read alike."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pillion.compare.engines.ending import Ending, read_ending
from tests.conftest import eventually
from tests.containers.bases import musl_backend
from tests.containers.engines import PODMAN, Engine, carry


@pytest.fixture
def name(either: Engine) -> Iterator[str]:
    """Of a container that is gone afterwards."""
    given = f"pillion-test-ending-{os.urandom(4).hex()}"
    yield given
    either("rm", "--force", given, check=False)


def ended(engine: Engine, name: str, restarts: int, *words: str) -> Ending:
    """Run it, wait until it has ended after so many restarts, and read how."""
    image = musl_backend() if engine is PODMAN else carry(musl_backend(), engine)
    engine("run", "--detach", f"--name={name}", *words[:-2], f"--entrypoint={words[-2]}", image, *words[-1].split())

    def look() -> Ending | None:
        (inspected,) = json.loads(engine("container", "inspect", name).stdout)
        over = inspected["State"]["Status"] == "exited" and inspected["RestartCount"] == restarts
        return read_ending(inspected) if over else None

    found: Ending | None = eventually(look, 60)
    assert found is not None
    return found


def test_restarts_are_counted(either: Engine, name: str) -> None:
    """By the engine that somebody has told to do them; the code is the last one's."""
    assert ended(either, name, 2, "--restart=on-failure:2", "/bin/cat", "/not/there") == Ending(1, restarts=2)


def test_memory_that_ran_out_is_told(
    either: Engine, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By docker, which hears of it beside the end and at times too late, so one of several is enough; podman 4.3 with
    runc knows only that it was killed."""
    monkeypatch.chdir(tmp_path)  # conmon leaves its mark, a file `oom`, where podman was called
    for _ in range(10):
        found = ended(either, name, 0, "--memory=32m", "/bin/dd", "if=/dev/zero of=/dev/null bs=200M count=1")
        assert found._replace(oom_killed=False) == Ending(137)
        if found.oom_killed or either is PODMAN:
            return
        either("rm", "--force", name)
    pytest.fail("docker did not once tell that memory ran out")
