"""`pillion build` from and to a registry, a real one on loopback: what is sent, what is said when it says no."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ENTRY, cannot_test, eventually
from tests.images import (
    BASE_LAYER,
    DEFAULT_CONFIG,
    TOP_LAYER,
    Built,
    File,
    Result,
    image,
    index_of,
    sha256,
    sidecar,
    sidecar_layer,
    tar,
    write_layout,
)

TOOLS = ("skopeo", "docker-registry")
SETTINGS = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
{more}
"""
LOCKED = "auth: {{htpasswd: {{realm: test, path: {root}/users}}}}"
HEALTHY = {**DEFAULT_CONFIG, "Healthcheck": {"Test": ["CMD", "true"]}, "OnBuild": ["RUN x"], "Unknown": [1]}


class Registry:
    """One that runs, and where it keeps its blobs."""

    def __init__(self, port: int, root: Path, place: Path) -> None:
        self.address, self.root, self.place = f"127.0.0.1:{port}", root, place
        self.temporary = place / "temporary"
        self.temporary.mkdir(exist_ok=True)

    def ref(self, name: str) -> str:
        return f"docker://{self.address}/{name}"

    @property
    def blobs(self) -> set[str]:
        """The digests of what it has."""
        return {f"sha256:{file.parent.name}" for file in self.root.glob("docker/registry/v2/blobs/sha256/*/*/data")}

    def push(self, built: Built, name: str) -> str:
        """With skopeo, as it is."""
        layout = write_layout(self.place / f"pushed-{os.urandom(4).hex()}", built)
        command = ["skopeo", "copy", "-q", "--all", "--preserve-digests", "--dest-tls-verify=false"]
        subprocess.run([*command, f"oci:{layout}", self.ref(name)], check=True, capture_output=True, timeout=60)
        return self.ref(name)

    def manifest(self, name: str) -> tuple[str, dict[str, Any]]:
        """Its digest and itself."""
        repository, _, tag = name.rpartition(":")
        accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
        accept += ", application/vnd.docker.distribution.manifest.v2+json"
        url = f"http://{self.address}/v2/{repository}/manifests/{tag}"
        answer = requests.get(url, headers={"Accept": accept}, timeout=10)
        answer.raise_for_status()
        return sha256(answer.content), answer.json()

    def pillion(self, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "TMPDIR": str(self.temporary), **environ}
        command = [ENTRY, "build", "--tls-verify=false", *arguments]
        ended = subprocess.run(
            command, cwd=self.place, env=env, capture_output=True, text=True, timeout=100, check=False
        )
        left = list(self.temporary.rglob("*"))
        assert left == [], left
        return ended

    def built(self, *arguments: str | Path) -> dict[str, Any]:
        ended = self.pillion(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        said: dict[str, Any] = json.loads(ended.stdout)
        return said

    def refused(self, *arguments: str | Path, **environ: str) -> str:
        ended = self.pillion(*arguments, **environ)
        assert ended.returncode == 2, ended.stderr + ended.stdout
        (line,) = ended.stderr.splitlines()
        assert line.startswith("pillion: cannot ")
        return line


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is needed is there; the cache is not the caller's."""
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        cannot_test(f"registries cannot be tested: not installed: {', '.join(absent)}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def start(place: Path, more: str = "") -> tuple[subprocess.Popen[bytes], Registry]:
    root = place / "registry"
    root.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = place / "registry.yml"
    settings.write_text(SETTINGS.format(root=root, port=port, more=more.format(root=root)))
    log = (place / "registry.log").open("wb")
    process = subprocess.Popen(["docker-registry", "serve", settings], stdout=log, stderr=log)
    log.close()

    def answers() -> bool:
        assert process.poll() is None, (place / "registry.log").read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually(answers)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return process, Registry(port, root, place)


@pytest.fixture
def registry(place: Path) -> Iterator[Registry]:
    """Plain HTTP, nobody logs in."""
    process, registry = start(place)
    yield registry
    process.terminate()
    process.wait(timeout=20)


def unique() -> bytes:
    return tar(File("srv/unique", os.urandom(8).hex().encode()))


@pytest.mark.parametrize("docker", [False, True])
def test_from_a_registry_to_a_registry(registry: Registry, docker: bool) -> None:
    """The base's blobs as they were, the id that we said; every member of the config is kept."""
    built = image([BASE_LAYER, unique()], HEALTHY, docker=docker)
    base, side = registry.push(built, "team/base:1"), registry.push(sidecar(docker=docker), "side:1")
    said = registry.built(base, "--sidecar", side, "-o", registry.ref("team/combined:2"))
    digest, manifest = registry.manifest("team/combined:2")
    assert digest == said["digest"]
    assert manifest["config"]["digest"] == said["images"][0]["id"]
    before = registry.manifest("team/base:1")[1]["layers"]
    assert manifest["layers"][:-1] == before
    assert manifest["mediaType"] == registry.manifest("team/base:1")[1]["mediaType"]
    registry.built(registry.ref("team/combined:2"), "--rebase", "--sidecar", side, "-o", "out")
    settings = Result(registry.place / "out").settings
    assert all(settings[key] == HEALTHY[key] for key in ("Healthcheck", "OnBuild", "Unknown"))
    place = settings["Labels"] if docker else Result(registry.place / "out").manifest["annotations"]
    assert place["org.opencontainers.image.base.name"] == f"{registry.address}/team/base:1"
    assert place["org.opencontainers.image.base.digest"] == built.descriptor["digest"]


def test_what_an_update_sends(registry: Registry) -> None:
    """Of a new sidecar, and of a backend with a new top layer: one layer, a config and a manifest each."""
    write_layout(registry.place / "side", sidecar())
    first = write_layout(registry.place / "first", image([BASE_LAYER, TOP_LAYER]))
    to = registry.ref("orders:1")
    registry.built(first, "--sidecar", "side", "-o", to)

    def sent(*command: str | Path) -> set[str]:
        before = registry.blobs
        registry.built(*command, "-o", to)
        _, manifest = registry.manifest("orders:1")
        new = registry.blobs - before
        kinds = {manifest["config"]["digest"]: "config", registry.manifest("orders:1")[0]: "manifest"}
        kinds |= {layer["digest"]: f"layer {at}" for at, layer in enumerate(manifest["layers"])}
        return {kinds.get(digest, digest) for digest in new}

    write_layout(registry.place / "newer", sidecar(sidecar_layer(marker=b"newer")))
    assert sent(first, "--sidecar", "newer") == {"layer 2", "config", "manifest"}
    second = write_layout(registry.place / "second", image([BASE_LAYER, unique()]))
    assert sent(second, "--sidecar", "newer") == {"layer 1", "config", "manifest"}
    assert sent(second, "--sidecar", "newer") == set()


def test_several_platforms(registry: Registry) -> None:
    """All of them, or the one that is asked for."""
    arm_layer = tar("opt/", "opt/pillion/", "opt/pillion/bin/", File("opt/pillion/bin/pillion", b"#!", 0o755))
    registry.push(index_of(image(), image([BASE_LAYER, unique()], architecture="arm64")), "many:1")
    registry.push(index_of(sidecar(), sidecar(arm_layer, architecture="arm64")), "sides:1")
    command = (registry.ref("many:1"), "--sidecar", registry.ref("sides:1"))
    said = registry.built(*command, "-o", registry.ref("combined:1"))
    assert [each["platform"] for each in said["images"]] == ["linux/amd64", "linux/arm64"]
    digest, index = registry.manifest("combined:1")
    assert digest == said["digest"]
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]
    one = registry.built(*command, "-o", registry.ref("one:1"), "--platform", "linux/arm64")
    assert one["images"] == said["images"][1:]
    assert registry.manifest("one:1")[1]["config"]["digest"] == one["images"][0]["id"]
    assert "s390x" in registry.refused(*command, "-o", "out", "--platform", "linux/s390x")
    registry.push(image(), "single:1")
    line = registry.refused(registry.ref("single:1"), *command[1:], "-o", "out", "--platform", "linux/arm64")
    assert "no image for linux/arm64" in line


def test_what_is_not_there(registry: Registry) -> None:
    """What the registry says, in one line; nothing is written."""
    side = write_layout(registry.place / "side", sidecar())
    base = write_layout(registry.place / "base", image())
    assert "manifest unknown" in registry.refused(registry.ref("nothing:1"), "--sidecar", side, "-o", "out")
    assert "manifest unknown" in registry.refused(base, "--sidecar", registry.ref("nothing:1"), "-o", "out")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"docker://127.0.0.1:{taken.getsockname()[1]}/x:1"
        assert "connection refused" in registry.refused(nobody, "--sidecar", side, "-o", "out")
        assert "connection refused" in registry.refused(base, "--sidecar", side, "-o", nobody)
    assert not (registry.place / "out").exists()


def test_a_registry_that_wants_to_know_who_we_are(place: Path) -> None:
    """skopeo's own login decides; without one it is refused."""
    process, registry = start(place, LOCKED)
    try:
        side = write_layout(place / "side", sidecar())
        nobody = {"REGISTRY_AUTH_FILE": str(place / "none.json")}
        line = registry.refused(registry.ref("x:1"), "--sidecar", side, "-o", "out", **nobody)
        assert "authentication required" in line or "unauthorized" in line
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_certificates_are_asked_for(registry: Registry) -> None:
    """Without the flag plain HTTP is not spoken."""
    side = write_layout(registry.place / "side", sidecar())
    command = (registry.push(image(), "base:1"), "--sidecar", side, "-o", "out", "--tls-verify=true")
    assert "HTTP response to HTTPS client" in registry.refused(*command)


def test_without_skopeo(registry: Registry) -> None:
    """Named as what is missing."""
    side = write_layout(registry.place / "side", sidecar())
    (registry.place / "empty").mkdir()
    line = registry.refused(registry.ref("x:1"), "--sidecar", side, "-o", "out", PATH=str(registry.place / "empty"))
    assert "skopeo, which is not installed" in line
