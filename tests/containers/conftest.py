"""Tests in real containers: what must be installed, and containers that are gone when their test is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests

from tests.conftest import argv_of, environ_of, eventually
from tests.containers.bases import missing, podman

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bases are built within the first test that asks for them."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))


def cannot_test(why: str) -> NoReturn:
    """Skip and say why; where CI is true a missing tool is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def engine() -> None:
    """podman works here. Elsewhere these tests are skipped and say why; where CI is true they fail."""
    if why := missing():
        cannot_test(f"containers cannot be tested: {why}")


class Container:
    """A container that runs."""

    def __init__(self, identity: str) -> None:
        self.id = identity

    def inspect(self) -> dict[str, Any]:
        """What podman knows of it."""
        found: dict[str, Any] = json.loads(podman("container", "inspect", self.id).stdout)[0]
        return found

    def url(self, port: int = 8080) -> str:
        """Where a published port answers on loopback."""
        return f"http://{podman('port', self.id, f'{port}/tcp').stdout.strip()}"

    def get(self, path: str = "/", port: int = 8080) -> requests.Response:
        """The first 200."""
        url = self.url(port) + path

        def ask() -> requests.Response | None:
            answer = requests.get(url, timeout=5)
            return answer if answer.status_code == 200 else None

        answer = eventually(ask)
        assert answer is not None
        return answer

    def processes(self) -> dict[str, int]:
        """Command line to pid on this machine, of every process in it."""
        pids = podman("top", self.id, "hpid").stdout.split()[1:]
        return {" ".join(argv_of(int(pid))): int(pid) for pid in pids}

    def environ(self, words: str) -> dict[bytes, bytes]:
        """What the process with these words in its command line was started with."""
        return environ_of(next(pid for line, pid in self.processes().items() if words in line))

    def kill(self, signal: str = "TERM") -> None:
        """Send its first process a signal."""
        podman("kill", "--signal", signal, self.id)

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        return int(podman("wait", self.id, timeout_s=60).stdout)

    def logs(self) -> str:
        """Both streams."""
        done = podman("logs", self.id)
        return done.stdout + done.stderr


Run = Callable[..., Container]


@pytest.fixture
def run(engine: None) -> Iterator[Run]:
    """Starts containers: `run(image, *command, options=[...])`. They are removed after the test."""
    started: list[str] = []

    def start(image: str, *command: str, options: list[str] | None = None) -> Container:
        # --pull=never: these names are in no registry.
        made = podman("create", "--pull=never", *(options or []), image, *command).stdout.strip()
        started.append(made)
        podman("start", made)
        return Container(made)

    yield start
    # One by one, and those that use another's network before it.
    for each in reversed(started):
        podman("rm", "--force", "--time=0", each)


@pytest.fixture
def network(engine: None) -> Iterator[str]:
    """A network of the test's own, with names."""
    name = f"pillion-test-{os.getpid()}"
    podman("network", "create", name)
    yield name
    podman("network", "rm", "--force", name)
