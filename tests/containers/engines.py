"""podman and docker as tests speak to them: one client each, and images carried from the one store to the other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

Done = subprocess.CompletedProcess[str]


class Engine(NamedTuple):
    """Called with the client's arguments."""

    name: str

    def __call__(self, *arguments: str | Path, check: bool = True, timeout_s: float = 300) -> Done:
        """Fails with what the client said."""
        command = [self.name, *map(str, arguments)]
        done = _run(command, timeout_s)
        if command[:2] == ["podman", "build"] and "not known" in done.stderr:
            # Another process removed an image while podman looked through all of them for a cached step.
            done = _run(command, timeout_s)
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done

    def has(self, image: str) -> bool:
        """Whether its store has the image."""
        return self("image", "inspect", "--format=there", image, check=False).returncode == 0

    def image(self, image: str) -> dict[str, Any]:
        """What it knows of an image."""
        found: dict[str, Any] = json.loads(self("image", "inspect", image).stdout)[0]
        return found

    def image_id(self, image: str) -> str:
        """With the algorithm before it, as the digest of the config that it is."""
        return f"sha256:{self.image(image)['Id'].removeprefix('sha256:')}"

    def load(self, archive: Path) -> str:
        """What the client says to it."""
        return self("load", "--input", archive).stdout


def _run(command: list[str], timeout_s: float) -> Done:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, errors="surrogateescape", timeout=timeout_s
    )


PODMAN, DOCKER = Engine("podman"), Engine("docker")
ENGINES = (PODMAN, DOCKER)


def missing(engine: Engine) -> str:
    """Why it cannot be used here; "" if it can."""
    if shutil.which(engine.name) is None:
        return f"not installed: {engine.name}"
    if os.geteuid() != 0:
        return "needs root"
    answer = engine("info", check=False, timeout_s=60)
    return f"{engine.name} info: {answer.stderr.strip()}" if answer.returncode else ""


def carry(image: str, engine: Engine) -> str:
    """An image of podman's store in the engine's own, under the same name; the name tells its content and stays."""
    if not engine.has(image):
        saver = subprocess.Popen(
            ["podman", "save", "--quiet", "--format=docker-archive", image], stdout=subprocess.PIPE
        )
        try:
            command = [engine.name, "load", "--quiet"]
            loader = subprocess.run(command, stdin=saver.stdout, capture_output=True, timeout=300, check=False)
            assert loader.returncode == 0, loader.stderr.decode()
        finally:
            assert saver.stdout is not None
            saver.stdout.close()
            saver.wait(60)
        assert saver.returncode == 0
    return image
