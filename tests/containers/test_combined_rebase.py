"""A new backend or a new sidecar under the other's unchanged part, in real engines (C13)."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.containers.backends import saved
from tests.containers.bases import REPOSITORY, derived, musl_backend
from tests.containers.bases import build as build_image
from tests.containers.composed import Combine, pillion_build
from tests.containers.conftest import Run
from tests.containers.engines import PODMAN, Engine
from tests.images import ELF_ARM64, read_archive, sidecar_layer


def build(*arguments: str | Path) -> dict[str, Any]:
    """What it says as JSON."""
    done = pillion_build(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def newer(combine: Combine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sidecar's layer with one file more."""
    files = read_archive(combine.sidecar())
    (layer,) = json.loads(files["manifest.json"])[0]["Layers"]
    path = tmp_path_factory.mktemp("newer") / "layer.tar"
    path.write_bytes(files[layer])
    with tarfile.open(path, "a") as archive:
        more = tarfile.TarInfo("opt/pillion/newer")
        more.size = 5
        archive.addfile(more, io.BytesIO(b"newer"))
    return path


def test_a_new_sidecar_under_an_old_backend(
    combine: Combine, run: Run, either: Engine, newer: Path, tmp_path: Path
) -> None:
    """C13: through the engine's store and out again, it equals a fresh composition, and runs."""
    old = combine.load(combine.build(saved(musl_backend())), either)
    either("save", "--output", tmp_path / "old.tar", old)
    name = f"{old}-{either.name}"
    arguments = ("--sidecar", newer, "--name", name)
    rebased = build(tmp_path / "old.tar", "--rebase", *arguments, "-o", tmp_path / "rebased.tar")
    fresh = build(saved(musl_backend()), *arguments, "-o", tmp_path / "fresh.tar")
    assert rebased["images"] == fresh["images"]
    image = combine.keep(tmp_path / "rebased.tar", name, either)
    assert either.image_id(image) == rebased["images"][0]["id"]
    container = run(image, options=["--publish=127.0.0.1::8080"], engine=either)
    assert container.get("/opt/pillion/newer").content == b"newer"
    assert container.stop() == 0


def test_a_new_backend_under_an_old_sidecar(combine: Combine, tmp_path: Path) -> None:
    """C13: the sidecar is taken from an earlier combined image."""
    new = derived(musl_backend(), "USER 0\nRUN touch /new\nUSER 1000")
    old = combine.build(saved(musl_backend())).archive
    taken = build(saved(new), "--sidecar", old, "-o", tmp_path / "taken.tar")
    assert taken["images"] == combine.build(saved(new)).said["images"]


@pytest.mark.parametrize("wrong", ["base", "architecture", "built upon"])
def test_what_cannot_be_rebased_is_refused(combine: Combine, tmp_path: Path, wrong: str) -> None:
    """C13: before anything is written."""
    base, side = combine.build(saved(musl_backend())).archive, combine.sidecar()
    if wrong == "base":
        base = saved(musl_backend())
    elif wrong == "built upon":
        base = tmp_path / "upon.tar"
        upon = build_image(
            tmp_path, f"FROM {combine(musl_backend())}\nUSER 0\nRUN touch /upon\n", f"{REPOSITORY}/upon:1"
        )
        PODMAN("save", "--quiet", "--output", base, upon)
        PODMAN("rmi", "--force", upon)
    else:
        side = tmp_path / "arm64.tar"
        side.write_bytes(sidecar_layer(ELF_ARM64))
    before = sorted(tmp_path.iterdir())
    done = pillion_build(base, "--rebase", "--sidecar", side, "-o", tmp_path / "out.tar")
    says = {
        "base": "it does not say what of it is the sidecar",
        "architecture": "the sidecar is for linux/arm64",
        "built upon": "its last layer is not the sidecar",
    }
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and says[wrong] in done.stderr
    assert sorted(tmp_path.iterdir()) == before
