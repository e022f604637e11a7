"""What else an image's config says still holds in the combined image, or a finding says what became of it (C9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import eventually
from tests.containers.bases import build, musl_backend, podman
from tests.containers.composed import Built, Combine, pillion_build
from tests.containers.conftest import Run
from tests.containers.engines import PODMAN, Engine

PORT = "--publish=127.0.0.1::8080"
SECOND = 1_000_000_000  # nanoseconds, as a Healthcheck has them


def change(config: dict[str, Any]) -> None:
    """Everything that is not about how the program starts."""
    check = ["CMD-SHELL", 'test "$CHECKED" = yes']
    config["config"] |= {
        "Healthcheck": {"Test": check, "Interval": SECOND, "Retries": 1},
        "OnBuild": ["LABEL built=upon"],
        "Shell": ["/bin/busybox", "sh", "-c"],
        "StopTimeout": 4,
        "Volumes": {"/data": {}},
        "Labels": {"org.example.team": "orders"},
        "Env": [*config["config"]["Env"], "CHECKED=yes"],
        "Unheard": {"of": 1},
    }
    config["unheard.of"] = [1]


@pytest.fixture(scope="module")
def own(combine: Combine) -> Built:
    """A backend whose config says a lot."""
    return combine.edited(musl_backend(), change)


def test_the_health_check_still_asks_the_backend(combine: Combine, run: Run, either: Engine, own: Built) -> None:
    """C9: it runs in the container with the image's environment; docker's timer or podman's own command asks."""
    image = combine.load(combine.build(own.archive), either)
    container = run(image, options=[PORT], engine=either)
    container.get()
    if either is PODMAN:  # its timers need systemd
        podman("healthcheck", "run", container.id)
    else:
        eventually(lambda: container.inspect()["State"]["Health"]["Status"] == "healthy")


def test_volumes_labels_and_the_rest_are_kept(combine: Combine, run: Run, either: Engine, own: Built) -> None:
    """C9: as the engine's own store has them, and it acts on them."""
    image = combine.load(combine.build(own.archive), either)
    container = run(image, options=[PORT], engine=either)
    container.get()
    assert [mount["Destination"] for mount in container.inspect()["Mounts"]] == ["/data"]
    found = either.image(image)["Config"]
    assert found["Labels"]["org.example.team"] == "orders" and found["Volumes"] == {"/data": {}}
    assert container.stop() == 0


def test_what_an_engine_does_not_show_is_in_the_archive(combine: Combine, own: Built, tmp_path: Path) -> None:
    """C9: members that typed structs drop, and those that nobody knows; a check tells of each."""
    done = pillion_build(own.archive, "--check", "--json", "--fail-on", "S1")
    assert done.returncode == 0, done.stderr
    for subject in ("HEALTHCHECK", "OnBuild", "Shell", "StopTimeout", "VOLUME /data", "config.Unheard"):
        assert f'"subject": "{subject}"' in done.stdout
    written = combine.build(own.archive).archive.read_bytes()
    for kept in (b'"unheard.of":[1]', b'"Unheard":{"of":1}', b'"StopTimeout":4', b'"OnBuild":["LABEL built=upon"]'):
        assert kept in written.replace(b'": ', b'":').replace(b", ", b",")


def test_onbuild_acts_when_something_is_built_upon_it(combine: Combine, own: Built, tmp_path: Path) -> None:
    """C9: in Docker's format, which has it."""
    image = combine.load(combine.build(own.archive), PODMAN)
    made = build(tmp_path, f"FROM {image}\n", "localhost/pillion-test/upon:1", "--pull=never", "--format=docker")
    try:
        assert PODMAN.image(made)["Labels"]["built"] == "upon"
    finally:
        podman("rmi", "--force", made)
