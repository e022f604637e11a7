"""Containers of this room's tests."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import BACKEND
from tests.entered import Container, Start


@pytest.fixture
def run_directory() -> Iterator[Path]:
    """A short name: a unix socket's path may not be long."""
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        yield Path(folder)


@pytest.fixture
def start(run_directory: Path) -> Iterator[Start]:
    """Starts containers, and ends those that the test did not."""
    started: list[Container] = []

    def run(
        *arguments: str,
        environ: dict[bytes, bytes] | None = None,
        through: Sequence[str] = (),
        command: Sequence[str] = (sys.executable, str(BACKEND)),
        apart: bool = False,
    ) -> Container:
        container = Container([*command, *arguments], run_directory, environ or {}, through, apart)
        started.append(container)
        return container

    yield run
    for container in started:
        if container.process.poll() is None:
            container.end()
