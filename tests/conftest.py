"""What every room's tests need: free ports, waiting on conditions, and looking at living processes."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
import yaml

from pillion.compare.proc import descendants
from pillion.image.orphans import adopt_orphans

T = TypeVar("T")
ENTRY = Path(sys.executable).parent / "pillion"
BACKEND = Path(__file__).parent / "programs" / "backend.py"
ORDERS = Path(__file__).parent.parent / "examples" / "orders"


def cannot_test(why: str) -> NoReturn:
    """Skip and say why; where CI is true a missing tool is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def eventually(look: Callable[[], T], timeout_s: float = 20.0) -> T:
    """What `look` gives as soon as that is true; it may raise OSError meanwhile. Fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    problem: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except OSError as error:
            problem = error
        time.sleep(0.01)
    raise AssertionError(f"not within {timeout_s} s ({problem})")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environ_of(pid: int) -> dict[bytes, bytes]:
    """What a process was started with, byte for byte."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.split(b"=", 1) for entry in entries if entry)


def argv_of(pid: int) -> list[str]:
    """A process's command line; [] if it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:
        return []


def listens(port: int) -> bool:
    """Whether somebody accepts connections on the loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """After the test, no process that it started lives; those that lost their parent come to us and are seen too."""
    before = descendants([os.getpid()])
    adopt_orphans()
    yield
    eventually(lambda: not any(argv_of(pid) for pid in descendants([os.getpid()]) - before), 5.0)


class PairFile:
    """A pod.yaml of a test: the test backend on a free port and Pillion's proxy on another."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pod.yaml"
        self.front, self.inner = free_port(), free_port()
        self.backend: dict[str, Any] = {
            "name": "backend",
            "command": [sys.executable, str(BACKEND)],
            "env": [{"name": "PORT", "value": str(self.inner)}, {"name": "LOG_LEVEL", "value": "loud"}],
            "ports": [{"containerPort": self.inner}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": self.inner}},
        }
        self.proxy: dict[str, Any] = {
            "name": "proxy",
            "image": "pillion/sidecar",
            "env": [
                {"name": "PORT", "value": str(self.front)},
                {"name": "UPSTREAM", "value": f"http://127.0.0.1:{self.inner}"},
                {"name": "LOG_LEVEL", "value": "warning"},
            ],
            "ports": [{"containerPort": self.front}],
        }

    def write(self) -> Path:
        """The file as it now stands."""
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "tested"},
            "spec": {"containers": [self.backend, self.proxy], "terminationGracePeriodSeconds": 5},
        }
        self.path.write_text(yaml.safe_dump(pod))
        return self.path


@pytest.fixture
def pair_file(tmp_path: Path) -> PairFile:
    """A pair of a test's own, to be changed before it is written."""
    return PairFile(tmp_path)
