"""Rendered Compose files at work, under podman-compose: no engine here has a Compose of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import free_port
from tests.containers.bases import combined, debian_backend, podman
from tests.containers.conftest import Container
from tests.containers.test_render_podman import NAME, ODD, SIDECAR, answered, named_sidecar, pair, render

__all__ = ["named_sidecar"]

COMPOSE = Path(sys.executable).with_name("podman-compose")
SECRETS = {"BACKEND__SECRET_KEY": "si$gns", "PROXY__SECRET_KEY": "checks"}


@pytest.fixture
def up(named_sidecar: str, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Brings a file up; after the test nothing of it is left."""
    file = tmp_path / "compose.yaml"
    environ = {**os.environ, **SECRETS}

    def compose(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = [COMPOSE, "-f", file, "-p", NAME, *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, env=env)

    def start(text: str) -> None:
        file.write_text(text)
        # `${NAME:?}` asks for what the file does not hold.
        refused = compose("config", env={name: value for name, value in environ.items() if name not in SECRETS})
        assert ("SECRET_KEY:?" in text) == (refused.returncode != 0), refused.stdout + refused.stderr
        done = compose("up", "--detach", "--no-build", "--pull=never", env=environ)
        assert done.returncode == 0, done.stdout + done.stderr

    yield start
    compose("down", "--timeout", "1", env=environ)
    assert NAME not in podman("ps", "--all", "--format={{.Names}}").stdout
    assert NAME not in podman("network", "ls", "--format={{.Name}}").stdout


def image_for(layout: str) -> list[str]:
    """The combined image, where one is needed."""
    return ["--image", combined(debian_backend())] if layout == "shared" else []


def container(name: str) -> Container:
    """The container of a service."""
    return Container(f"{NAME}_{name}_1")


def check(front: int, layout: str, secret: str, **more: str) -> None:
    """Each program has its own environment, byte for byte, and its own secret."""
    expected = {**ODD, "SECRET_KEY": secret, **more}
    assert {name.encode(): value.encode() for name, value in expected.items()}.items() <= answered(front).items()
    proxy = container("backend" if layout == "shared" else "proxy").environ("start.pyc proxy")
    assert proxy[b"SECRET_KEY"] == b"checks" and proxy.keys().isdisjoint({name.encode() for name in ODD})


@pytest.mark.parametrize("layout", ["separate", "shared"])
def test_a_pod_as_services(up: Callable[..., None], tmp_path: Path, layout: str) -> None:
    """In separate the proxy shares the backend's loopback, as in the pod; secrets come from who starts it."""
    front = free_port()
    options = ["--to", "compose", "--layout", layout, *image_for(layout)]
    up(render(tmp_path, pair(front), *options))
    check(front, layout, "si$gns", LOG_LEVEL="loud", COLOUR="red", POD=NAME)


@pytest.mark.parametrize("layout", ["separate", "shared"])
def test_services_as_services(up: Callable[..., None], tmp_path: Path, layout: str) -> None:
    """In separate the proxy finds the backend by its name."""
    front = free_port()
    environment = {name: value.replace("$", "$$") for name, value in ODD.items()}
    services: dict[str, Any] = {
        "backend": {
            "image": debian_backend(),
            "entrypoint": ["/answer"],
            "command": ["8000"],
            "environment": {**environment, "SECRET_KEY": "signs"},
        },
        "proxy": {
            "image": SIDECAR,
            "environment": {"UPSTREAM": "http://backend:8000", "SECRET_KEY": "checks"},
            "ports": [f"127.0.0.1:{front}:8080"],
        },
    }
    options = ["--to", "compose", "--layout", layout, *image_for(layout)]
    up(render(tmp_path, [{"name": NAME, "services": services}], *options))
    check(front, layout, "signs")
