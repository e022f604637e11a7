"""The running containers of the separate layout, which share a network: the backend's own image on Debian, looked at
with testinfra, and the sidecar's, which has no shell and is looked at from outside."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from testinfra.host import Host

from tests.conftest import environ_of
from tests.containers import infra
from tests.containers.backends import python_backend
from tests.containers.bases import sidecar
from tests.containers.conftest import Container, Identity, running
from tests.containers.engines import PODMAN, Engine, carry

POD = f"pillion-test-infra-{os.getpid()}"


class Two(NamedTuple):
    """Both containers; the port of their network is published."""

    backend: Container
    sidecar: Container
    url: str


@pytest.fixture(scope="module")
def two(either: Engine) -> Iterator[Two]:
    """A pod where the engine has such, else the one container in the other's network."""
    given = [(name.partition("__"), value) for name, value in infra.GIVEN.items()]
    backends = [f"--env={rest or name}={value}" for (name, _, rest), value in given if name != "PROXY"]
    proxys = [f"--env={name}__{rest}={value}" for (name, _, rest), value in given if name == "PROXY"]
    port, image = "--publish=127.0.0.1::8080", sidecar()
    there = either.has(image)
    places = [f"--pod={POD}"] * 2
    if either is PODMAN:
        PODMAN("pod", "create", "--name", POD, port)
    try:
        with running() as run:
            if either is not PODMAN:
                places = [port, f"--network=container:{POD}"]
            name = [f"--name={POD}-backend" if either is PODMAN else f"--name={POD}"]
            backend = run(carry(python_backend(), either), options=[*name, places[0], *backends], engine=either)
            proxy = run(carry(image, either), options=[places[1], *proxys], engine=either)
            backend.get()
            yield Two(backend, proxy, backend.url())
    finally:
        if either is PODMAN:
            PODMAN("pod", "rm", "--force", POD)
        if not there:
            either("rmi", image, check=False)


@pytest.fixture(scope="module")
def host(two: Two) -> Host:
    return infra.inside(two.backend)


def test_the_backends_container_holds_the_backend_alone(two: Two, host: Host) -> None:
    """One process, its first; no supervisor, and nothing of ours among its files."""
    (only,) = infra.processes(host)
    assert (only.pid, only.command) == (1, "python3 answer.py 8000")
    assert not host.file("/opt/pillion").exists
    assert host.process.get(pid=1).user == "app"
    assert infra.environ(host, 1)["SECRET_KEY"] == "not-a-secret"


def test_the_sidecars_container_holds_the_proxy_alone(two: Two) -> None:
    """Its master and its workers, as a user that no file names, and no supervisor."""
    found = infra.from_outside(two.sidecar)
    assert found and all(line.endswith("start.pyc proxy") for line in found)
    assert {who for _, who in found.values()} == {Identity(65532, 65532, frozenset())}


def test_both_listen_in_one_network(two: Two, host: Host) -> None:
    """Seen from the backend's container, which has the tools to look."""
    listening = [line for line in host.socket.get_listening_sockets() if not line.startswith("unix://")]
    assert sorted(listening) == ["tcp://0.0.0.0:8000", "tcp://0.0.0.0:8080"]
    spaces = {Path(f"/proc/{each.pid()}/ns/net").readlink() for each in (two.backend, two.sidecar)}
    assert len(spaces) == 1


def test_each_process_sees_its_own_environment(two: Two, host: Host) -> None:
    """Containers divide what the shared layout has to split."""
    backend, proxy = infra.environ(host, 1), environ_of(two.sidecar.pid())
    assert backend["LOG_LEVEL"] == "loud" and backend["GREETING"] == "hello  world"
    assert proxy[b"PROXY__LOG_LEVEL"] == b"debug" and proxy[b"PROXY__RETRY_AFTER"] == b"7"
    assert not {b"SECRET_KEY", b"GREETING", b"BACKEND__SECRET_KEY"} & set(proxy)
    assert not [name for name in backend if name.startswith(("PROXY__", "PILLION"))]


def test_the_sidecar_brings_no_operating_system(two: Two) -> None:
    """Only the layer, root's and to be read, and what an engine mounts; no shell."""
    root = infra.root_of(two.sidecar)
    mounted = {"dev", "etc", "proc", "run", "sys", ".dockerenv"}
    assert {each.name for each in root.iterdir()} - mounted == {"opt"}
    ours = [root / "opt", *(root / "opt").rglob("*")]
    assert {(each.lstat().st_uid, each.lstat().st_gid) for each in ours} == {(0, 0)}
    assert {stat.S_IMODE(each.lstat().st_mode) for each in ours} == {0o755, 0o644}


def test_nothing_of_the_images_has_changed(two: Two) -> None:
    """The proxy's worker files are in memory or gone from their directory."""
    for container in (two.backend, two.sidecar):
        assert [path for path in infra.changed(container) if not path.startswith(infra.ENGINES_OWN)] == []


def test_a_probe_through_the_proxy_is_answered(two: Two, host: Host) -> None:
    """From the backend's container, from the host, and by the sidecar's own executable for a probe by exec."""
    assert infra.answers(host, "http://127.0.0.1:8080/") == infra.answers(host, "http://127.0.0.1:8000/") == 200
    assert "via" in {name.lower() for name in requests.get(two.url, timeout=5).headers}
    said = two.sidecar.engine("exec", two.sidecar.id, "/opt/pillion/bin/pillion", "--version").stdout
    assert said.startswith("pillion ")
