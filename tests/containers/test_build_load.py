"""What `pillion build` writes is what the engines load: the same name, the same image id, the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ENTRY
from tests.images import DEFAULT_CONFIG, image, sidecar, write_docker_archive, write_layout

MISSING = [tool for tool in ("podman", "skopeo") if shutil.which(tool) is None]
if MISSING and os.environ.get("CI") == "true":
    raise RuntimeError(f"{' and '.join(MISSING)} must be there when CI=true")
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} is not installed")


def run(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the caller's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def name() -> Iterator[str]:
    """Of an image that is removed afterwards."""
    name = f"localhost/pillion-test-{uuid.uuid4().hex[:8]}:1"
    yield name
    if not MISSING:
        subprocess.run(["podman", "rmi", "--force", name], capture_output=True, timeout=60, check=False)


def base(tmp_path: Path, kind: str) -> Path:
    config = {**DEFAULT_CONFIG, "User": "app", "Healthcheck": {"Test": ["CMD", "true"]}, "OnBuild": ["RUN x"]}
    if kind == "docker-archive":
        return write_docker_archive(tmp_path / "base.tar")
    docker, compress = {"docker": (True, "gzip"), "oci": (False, "gzip"), "zstd": (False, "zstd")}.get(
        kind, (False, "plain")
    )
    return write_layout(tmp_path / "base", image(config=config, docker=docker, compress=compress))


@pytest.mark.parametrize("kind", ["oci", "docker", "zstd", "plain", "docker-archive"])
def test_one_archive_for_all(tmp_path: Path, name: str, kind: str) -> None:
    """podman loads it under its name with the id that we said; skopeo reads it both as OCI and as Docker archive."""
    side, out = write_layout(tmp_path / "side", sidecar()), tmp_path / "out.tar"
    command = (ENTRY, "build", base(tmp_path, kind), "--sidecar", side, "-o", out, "--name", name, "--json")
    built = json.loads(run(*command))
    (said,) = built["images"]

    assert name in run("podman", "load", "--input", out)
    inspected = json.loads(run("podman", "image", "inspect", name))[0]
    assert f"sha256:{inspected['Id']}" == said["id"]
    assert inspected["Config"]["Entrypoint"] == ["/opt/pillion/bin/pillion", "enter", "--", "/bin/app"]
    assert inspected["Config"]["Cmd"] == ["--serve", "a b"]
    assert inspected["Config"]["StopSignal"] == "SIGTERM"

    for transport in ("oci-archive", "docker-archive"):
        if (kind, transport) == ("zstd", "docker-archive"):
            continue  # Docker's format has no zstd
        target = tmp_path / transport
        run(
            "skopeo",
            "copy",
            "--quiet",
            "--preserve-digests" if transport == "oci-archive" else "--quiet",
            f"{transport}:{out}",
            f"dir:{target}",
        )
        manifest = json.loads((target / "manifest.json").read_text())
        assert manifest["config"]["digest"] == said["id"], transport


@pytest.mark.parametrize(("family", "form"), [("oci", "oci-archive"), ("docker", "docker-archive")])
def test_a_rebase_after_a_round_trip(tmp_path: Path, name: str, family: str, form: str) -> None:
    """Through podman's store and out again in the same format: what is the sidecar is still known."""
    side, out, saved = write_layout(tmp_path / "side", sidecar()), tmp_path / "out", tmp_path / "saved.tar"
    build = (ENTRY, "build", "--sidecar", side, "--json")
    first = json.loads(run(*build, base(tmp_path, "docker-archive"), "-o", out, "--name", name, "--format", family))
    tag = ":1" if family == "oci" else ""
    run("skopeo", "copy", "--quiet", f"oci:{out}{tag}", f"containers-storage:{name}")
    run("skopeo", "copy", "--quiet", f"containers-storage:{name}", f"{form}:{saved}")
    again = json.loads(run(*build, saved, "--rebase", "-o", tmp_path / "again"))
    assert again["images"][0]["platform"] == "linux/amd64"
    assert len(again["images"][0]["layers"]) == len(first["images"][0]["layers"])


def test_podman_builds_on_it(tmp_path: Path, name: str) -> None:
    """Its history tells of every layer, also when the base's did not: buildah refuses an image otherwise."""
    untold = write_layout(tmp_path / "base", image(top={"history": None}))
    side, out = write_layout(tmp_path / "side", sidecar()), tmp_path / "out.tar"
    run(ENTRY, "build", untold, "--sidecar", side, "-o", out, "--name", name)
    run("podman", "load", "--input", out)
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Containerfile").write_text(f"FROM {name}\nLABEL a=b\nCOPY Containerfile /x\n")
    built = run("podman", "build", "--quiet", "--pull=never", tmp_path / "context").strip()
    run("podman", "rmi", "--force", built)
