"""Tests in real containers: what must be installed, and containers and images that are gone when their test is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from pillion.compare.proc import descendants, parents
from tests.conftest import argv_of, cannot_test, environ_of, eventually
from tests.containers import engines
from tests.containers.bases import missing, podman
from tests.containers.composed import Combine, composing
from tests.containers.engines import DOCKER, ENGINES, PODMAN, Engine

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bases are built within the first test that asks for them."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def engine() -> None:
    """podman works here. Elsewhere these tests are skipped and say why; where CI is true they fail."""
    if why := missing():
        cannot_test(f"containers cannot be tested: {why}")


@pytest.fixture(scope="session", params=ENGINES, ids=[engine.name for engine in ENGINES])
def either(engine: None, request: pytest.FixtureRequest) -> Engine:
    """podman, and then docker: for what must be the same in both."""
    if why := engines.missing(request.param):
        cannot_test(f"{request.param.name} cannot be tested: {why}")
    found: Engine = request.param
    return found


@pytest.fixture(scope="session")
def docker(engine: None) -> Engine:
    """Where podman has its test elsewhere."""
    if why := engines.missing(DOCKER):
        cannot_test(f"docker cannot be tested: {why}")
    return DOCKER


class Identity(NamedTuple):
    """Of a process; one that is none of several."""

    uid: int
    gid: int
    groups: frozenset[int]


def identity(pid: int) -> Identity:
    """Fails if its real, effective, saved and file system ids differ (proc_pid_status(5)). The group itself is left
    out of the groups: engines differ in whether they repeat it."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    (uid,), (gid,) = ({int(number) for number in fields[name].split()} for name in ("Uid", "Gid"))
    return Identity(uid, gid, frozenset(map(int, fields["Groups"].split())) - {gid})


class Container:
    """A container that runs."""

    def __init__(self, identity: str, engine: Engine = PODMAN) -> None:
        self.id = identity
        self.engine = engine
        # Both stay as long as it runs, and asking an engine takes its time.
        self._pid = 0
        self._urls: dict[int, str] = {}

    def inspect(self) -> dict[str, Any]:
        """What the engine knows of it."""
        found: dict[str, Any] = json.loads(self.engine("container", "inspect", self.id).stdout)[0]
        return found

    def pid(self) -> int:
        """Its first process, as this machine counts them."""
        self._pid = self._pid or int(self.inspect()["State"]["Pid"])
        return self._pid

    def url(self, port: int = 8080) -> str:
        """Where a published port answers on loopback."""
        if port not in self._urls:
            self._urls[port] = f"http://{self.engine('port', self.id, f'{port}/tcp').stdout.strip()}"
        return self._urls[port]

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
        """Command line to pid on this machine, of every process in it; one of those that have the same."""
        return {" ".join(argv_of(pid)): pid for pid in descendants([self.pid()])}

    def process(self, words: str) -> int:
        """The pid of the process with these words in its command line; of several, the others' parent."""
        found = {pid for pid in descendants([self.pid()]) if words in " ".join(argv_of(pid))}
        above = parents()
        return next(pid for pid in found if above.get(pid) not in found)

    def environ(self, words: str) -> dict[bytes, bytes]:
        """What the process with these words in its command line was started with."""
        return environ_of(self.process(words))

    def kill(self, signal: str = "TERM") -> None:
        """Send its first process a signal."""
        self.engine("kill", "--signal", signal, self.id)

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        return int(self.engine("wait", self.id, timeout_s=60).stdout)

    def stop(self) -> int:
        """As the engine stops it, with the image's own signal; its exit code."""
        self.engine("stop", self.id, timeout_s=60)
        return self.wait()

    def logs(self) -> str:
        """Both streams."""
        done = self.engine("logs", self.id)
        return done.stdout + done.stderr


Run = Callable[..., Container]


@contextmanager
def running() -> Iterator[Run]:
    """Starts containers: `run(image, *command, options=[...], engine=PODMAN)`. They are removed at the end."""
    started: list[Container] = []

    def start(image: str, *command: str, options: Sequence[str] = (), engine: Engine = PODMAN) -> Container:
        # --pull=never: these names are in no registry.
        made = engine("create", "--pull=never", *options, image, *command).stdout.strip()
        container = Container(made, engine)
        started.append(container)
        engine("start", made)
        return container

    try:
        yield start
    finally:
        # One by one, and those that use another's network before it.
        for each in reversed(started):
            each.engine("rm", "--force", *(["--time=0"] if each.engine is PODMAN else []), each.id)


@pytest.fixture
def run(engine: None) -> Iterator[Run]:
    """Starts containers, which are removed after the test."""
    with running() as start:
        yield start


@pytest.fixture(scope="module")
def run_for_module(engine: None) -> Iterator[Run]:
    """Starts containers that several tests only look at."""
    with running() as start:
        yield start


@pytest.fixture(scope="session")
def combine(engine: None) -> Iterator[Combine]:
    """Combined images by `pillion build`, in the engines' stores until the tests are done."""
    with composing() as start:
        yield start


@pytest.fixture
def network(engine: None) -> Iterator[str]:
    """A network of the test's own, with names."""
    name = f"pillion-test-{os.getpid()}"
    podman("network", "create", name)
    yield name
    podman("network", "rm", "--force", name)
