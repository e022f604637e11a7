"""Joining another process's network, and coming back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pillion.compare.network import network_of
from pillion.image.refusal import Failure
from tests.conftest import cannot_test, eventually


def network(of: str = "thread-self") -> str:
    """Which one it is in."""
    return str(Path(f"/proc/{of}/ns/net").readlink())


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """A process in a network of its own."""
    if os.geteuid() != 0:
        cannot_test("making a network namespace needs root")
    with subprocess.Popen(["unshare", "--net", "sleep", "60"]) as process:
        eventually(lambda: network(str(process.pid)) != network())
        yield process.pid
        process.kill()


def test_what_is_made_there_stays_there(elsewhere: int) -> None:
    """A process started within it is in that network; we are back afterwards, also after an error."""
    own = network()
    with network_of(elsewhere):
        assert network() == network(str(elsewhere)) != own
        inside = subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True, text=True, check=True)
    assert inside.stdout.strip() == network(str(elsewhere)) and network() == own
    with pytest.raises(ZeroDivisionError), network_of(elsewhere):
        raise ZeroDivisionError
    assert network() == own


def test_the_network_of_nobody_is_refused() -> None:
    """Its process has gone."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(Failure, match="No such file"), network_of(gone.pid):
        pass
