"""What `pillion build` writes is what the engines load: the same name, the same image id, the same bytes (C8, C10)."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import cannot_test
from tests.containers.composed import pillion_build
from tests.containers.engines import ENGINES, PODMAN, Engine
from tests.images import (
    DEFAULT_CONFIG,
    DOCKER_LAYER,
    ELF_ARM64,
    OCI_LAYER,
    image,
    index_of,
    sidecar,
    sidecar_layer,
    write_docker_archive,
    write_layout,
)

# Compression and format of the base's layers.
KINDS: dict[str, dict[str, Any]] = {
    "oci": {},
    "docker": {"docker": True},
    "zstd": {"compress": "zstd"},
    "plain": {"compress": "plain"},
    "mixed": {"types": (f"{OCI_LAYER}+gzip", f"{DOCKER_LAYER}.gzip")},
    "docker-archive": {},
}


def skopeo(*arguments: str | Path) -> None:
    if shutil.which("skopeo") is None:
        cannot_test("not installed: skopeo")
    command = ["skopeo", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


def build(*arguments: str | Path) -> dict[str, Any]:
    """What it says as JSON."""
    done = pillion_build(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture
def name(engine: None) -> Iterator[str]:
    """Of an image that is removed afterwards."""
    name = f"localhost/pillion-test-{uuid.uuid4().hex[:8]}:1"
    yield name
    for each in ENGINES:
        if shutil.which(each.name):
            each("rmi", "--force", name, check=False)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the caller's."""
    monkeypatch.setenv("PILLION_TEST_CACHE", str(tmp_path_factory.mktemp("cache")))


def base(tmp_path: Path, kind: str) -> Path:
    config = {**DEFAULT_CONFIG, "User": "app", "Healthcheck": {"Test": ["CMD", "true"]}, "OnBuild": ["RUN x"]}
    if kind == "docker-archive":
        return write_docker_archive(tmp_path / "base.tar")
    return write_layout(tmp_path / "base", image(config=config, **KINDS[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_one_archive_for_all(tmp_path: Path, name: str, kind: str, either: Engine) -> None:
    """C8, C10: the engine loads it under its name with the id that we said, or we said that and why it cannot."""
    side, out = write_layout(tmp_path / "side", sidecar()), tmp_path / "out.tar"
    given = (base(tmp_path, kind), "--sidecar", side, "-o", out, "--name", name)
    (said,) = build(*given)["images"]
    told = pillion_build(*given).stderr
    if (kind, either.name) == ("zstd", "docker"):
        assert f"docker 20.10 does not: layer {said['layers'][0]} is zstd" in told
        with pytest.raises(AssertionError, match="Error processing tar file"):
            either.load(out)
        return
    assert ("docker 20.10" in told) == (kind == "zstd")
    assert name in either.load(out)
    assert either.image_id(name) == said["id"]
    settings = either.image(name)["Config"]
    assert settings["Entrypoint"] == ["/opt/pillion/bin/pillion", "enter", "--", "/bin/app"]
    assert settings["Cmd"] == ["--serve", "a b"]


@pytest.mark.parametrize("kind", KINDS)
def test_skopeo_reads_it_in_both_forms(tmp_path: Path, kind: str) -> None:
    """C10: as OCI and as Docker archive, and finds the same image."""
    side, out = write_layout(tmp_path / "side", sidecar()), tmp_path / "out.tar"
    (said,) = build(base(tmp_path, kind), "--sidecar", side, "-o", out, "--name", "localhost/x:1")["images"]
    for transport in ("oci-archive", "docker-archive"):
        if (kind, transport) == ("zstd", "docker-archive"):
            continue  # Docker's format has no zstd
        target = tmp_path / transport
        exact = ["--preserve-digests"] if transport == "oci-archive" else []
        skopeo("copy", "--quiet", *exact, f"{transport}:{out}", f"dir:{target}")
        manifest = json.loads((target / "manifest.json").read_text())
        assert manifest["config"]["digest"] == said["id"], transport


@pytest.mark.parametrize("family", ["oci", "docker"])
def test_a_rebase_after_a_round_trip(tmp_path: Path, name: str, family: str, either: Engine) -> None:
    """C13: through an engine's store and out again: what is the sidecar is still known where labels say it, and
    annotations, which no Docker format keeps, are missed with one clear line."""
    side, out, saved = write_layout(tmp_path / "side", sidecar()), tmp_path / "out.tar", tmp_path / "saved.tar"
    given = (base(tmp_path, "docker-archive"), "--sidecar", side, "--format", family)
    first = build(*given, "-o", out, "--name", name)
    either.load(out)
    form = ["--format=oci-archive"] if (either, family) == (PODMAN, "oci") else []
    either("save", *form, "--output", saved, name)
    again = (saved, "--rebase", "--sidecar", side, "-o", tmp_path / "again")
    if family == "oci" and not form:
        refused = pillion_build(*again)
        assert refused.returncode == 2 and "is no combined image of pillion build" in refused.stderr
        return
    rebased = build(*again)
    assert rebased["images"][0]["platform"] == "linux/amd64"
    assert len(rebased["images"][0]["layers"]) == len(first["images"][0]["layers"])


def test_podman_builds_on_it(tmp_path: Path, name: str) -> None:
    """Its history tells of every layer, also when the base's did not: buildah refuses an image otherwise."""
    untold = write_layout(tmp_path / "base", image(top={"history": None}))
    side, out = write_layout(tmp_path / "side", sidecar()), tmp_path / "out.tar"
    build(untold, "--sidecar", side, "-o", out, "--name", name)
    PODMAN.load(out)
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Containerfile").write_text(f"FROM {name}\nLABEL a=b\nCOPY Containerfile /x\n")
    built = PODMAN("build", "--quiet", "--pull=never", tmp_path / "context").stdout.strip()
    PODMAN("rmi", "--force", built)


def test_an_image_for_two_platforms(tmp_path: Path, name: str) -> None:
    """C15: podman takes its own of the two, skopeo both with their digests; that docker cannot is said."""
    sides = index_of(sidecar(), sidecar(sidecar_layer(ELF_ARM64), architecture="arm64"))
    side = write_layout(tmp_path / "side", sides)
    both = write_layout(tmp_path / "base", index_of(image(), image(architecture="arm64")))
    out, copied = tmp_path / "out.tar", tmp_path / "copied"
    said = build(both, "--sidecar", side, "-o", out, "--name", name)
    assert [each["platform"] for each in said["images"]] == ["linux/amd64", "linux/arm64"]
    told = pillion_build(both, "--sidecar", side, "-o", out, "--name", name).stderr
    assert "docker 20.10 does not: it is for several platforms" in told
    PODMAN.load(out)
    assert PODMAN.image_id(name) == said["images"][0]["id"]
    assert PODMAN.image(name)["Architecture"] == "amd64"
    skopeo("copy", "--quiet", "--all", "--preserve-digests", f"oci-archive:{out}", f"dir:{copied}")
    listed = json.loads((copied / "manifest.json").read_text())["manifests"]
    ids = [
        json.loads((copied / f"{each['digest'][7:]}.manifest.json").read_text())["config"]["digest"] for each in listed
    ]
    assert ids == [each["id"] for each in said["images"]]
    chosen = build(both, "--sidecar", side, "-o", tmp_path / "arm.tar", "--platform", "linux/arm64")
    assert [each["id"] for each in chosen["images"]] == ids[1:]
