"""A signal that comes while a layout is being removed: the rest of it goes all the same."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import ClassVar

import pytest

from pillion.compare.containers import Plan, Planned
from pillion.compare.engines.layout import RunningContainers
from pillion.image.engine import PODMAN, Engine

PLAN = Plan("separate", (Planned("backend", "a"), Planned("proxy", "b")), 8080, None, "spec.containers[1]")


class Told(Engine):
    """Can create no proxy; the first removal is interrupted, as by Ctrl-C."""

    asked: ClassVar[list[tuple[str, ...]]] = []

    def run(
        self, *arguments: str, environ: Mapping[str, str] | None = None, timeout_s: float = 0
    ) -> subprocess.CompletedProcess[str]:
        """Keep what it is told to do."""
        self.asked.append(arguments)
        if len([words for words in self.asked if words[0] == "rm"]) == 1 and arguments[0] == "rm":
            raise KeyboardInterrupt
        return subprocess.CompletedProcess(
            arguments,
            int(arguments[-1] == "b"),
            "",
            "no such image" if arguments[0] == "create" else "no such container",
        )


def test_an_interrupted_removal_is_done_again() -> None:
    """Both containers and the pod, whichever it was at."""
    engine = Told(PODMAN, "/usr/bin/podman", "4.3.1")
    with pytest.raises(KeyboardInterrupt):
        RunningContainers(engine, PLAN, None, 1.0, (), published=True)
    created = [words[2].partition("=")[2] for words in engine.asked if words[0] == "create"]
    removed = [words[-1] for words in engine.asked if words[0] == "rm"]
    assert set(created) <= set(removed[1:]) and engine.asked[-1][:2] == ("pod", "rm")
