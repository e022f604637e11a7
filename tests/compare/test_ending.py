"""How a container ended: read from what an engine tells, and said."""

from __future__ import annotations

import pytest

from pillion.compare.engines.ending import Ending, read_ending


def test_what_an_engine_tells_is_read() -> None:
    """Of a container that is missing half of it, too."""
    state = {"ExitCode": 137, "OOMKilled": True, "Error": "runc:\n no"}
    assert read_ending({"RestartCount": 2, "State": state}) == Ending(137, True, 2, "runc: no")
    assert read_ending({"State": {"ExitCode": 0}}) == Ending(0)
    assert read_ending({}) == Ending(1)


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (Ending(3), ""),
        (Ending(3, restarts=1), " (podman had started it again 1 time)"),
        (
            Ending(137, oom_killed=True, restarts=2, error="no"),
            " (the kernel killed it as memory ran out; podman had started it again 2 times; no)",
        ),
    ],
)
def test_only_what_is_out_of_the_ordinary_is_said(ending: Ending, said: str) -> None:
    """Behind the exit code, which is always said."""
    assert ending.also("podman") == said
