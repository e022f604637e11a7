"""From images to the combined one: what stays byte for byte, the forms it is read from and written to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pillion.image.compose.media_types import DOCKER, OCI, Family
from pillion.image.compose.reference import full_name
from pillion.image.refusal import Refusal
from tests.composing import built, combined, composed, refusal
from tests.images import (
    BASE_LAYER,
    DEFAULT_CONFIG,
    DOCKER_LAYER,
    ELF_ARM64,
    OCI_LAYER,
    TOP_LAYER,
    File,
    Result,
    image,
    read_archive,
    sha256,
    sidecar,
    sidecar_layer,
    tar,
    write_docker_archive,
    write_layout,
    write_oci_archive,
)


def test_the_base_s_layers_stay_and_ours_comes_last(tmp_path: Path) -> None:
    """Digests and order unchanged, duplicates included."""
    layers = [BASE_LAYER, TOP_LAYER, BASE_LAYER, tar("srv/.wh.app.py", "var/.wh..wh..opq")]
    backend = image(layers)
    base = write_layout(tmp_path / "base", backend)
    result = Result(built(base, write_layout(tmp_path / "side", sidecar()), tmp_path / "out"))
    before = [layer["digest"] for layer in json.loads(backend.blobs[backend.descriptor["digest"]])["layers"]]
    assert result.digests[:-1] == before
    assert result.config["rootfs"]["diff_ids"] == [*map(sha256, layers), sha256(sidecar_layer())]
    assert all(result.blob(layer) == backend.blobs[layer["digest"]] for layer in result.manifest["layers"][:-1])


def test_where_it_comes_from(tmp_path: Path) -> None:
    """The base by name and digest, the sidecar by digest and version; one history entry more."""
    backend = image()
    base = write_layout(tmp_path / "base", backend, names=["registry.example/team/orders:1"])
    result = Result(built(base, write_layout(tmp_path / "side", sidecar()), tmp_path / "out"))
    said = result.manifest["annotations"]
    assert said["org.opencontainers.image.base.name"] == "registry.example/team/orders:1"
    assert said["org.opencontainers.image.base.digest"] == backend.descriptor["digest"]
    assert said["dev.pillion.sidecar.digest"] == result.digests[-1]
    assert said["dev.pillion.sidecar.version"] == "1.2"
    assert [each.get("created_by", "")[:13] for each in result.config["history"]] == [
        "step 0",
        "step 1",
        "pillion build",
    ]


def test_docker_s_format(tmp_path: Path) -> None:
    """One family out, the sidecar's layer included; labels, as its manifests have no annotations."""
    result = combined(tmp_path, docker=True)
    assert result.manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert {layer["mediaType"] for layer in result.manifest["layers"]} == {f"{DOCKER_LAYER}.gzip"}
    assert "annotations" not in result.manifest
    assert result.settings["Labels"]["dev.pillion.sidecar.digest"] == result.digests[-1]


@pytest.mark.parametrize("family", [OCI, DOCKER])
def test_the_other_format_on_request(tmp_path: Path, family: Family) -> None:
    """The bytes of the layers stay, the types change together, and a rebase of it still works."""
    base = write_layout(tmp_path / "base", image(docker=family is OCI))
    side = write_layout(tmp_path / "side", sidecar())
    out = built(base, side, tmp_path / "out", family=family)
    manifest = Result(out).manifest
    assert manifest["mediaType"] == family.manifest and manifest["config"]["mediaType"] == family.config
    assert {layer["mediaType"] for layer in manifest["layers"]} == {family.layers["gzip"]}
    again = built(out, side, tmp_path / "again", rebase=True)
    assert Result(again).digests == Result(out).digests


def test_a_mixed_manifest_becomes_one_family(tmp_path: Path) -> None:
    """podman refuses one that has both; the bytes stay."""
    result = combined(tmp_path, types=[f"{OCI_LAYER}+gzip", f"{DOCKER_LAYER}.gzip"])
    assert {layer["mediaType"] for layer in result.manifest["layers"]} == {f"{OCI_LAYER}+gzip"}


@pytest.mark.parametrize("compress", ["plain", "zstd"])
def test_layers_that_are_not_gzip(tmp_path: Path, compress: str) -> None:
    """Carried along as they are."""
    result = combined(tmp_path, compress=compress)
    suffix = {"plain": "", "zstd": "+zstd"}[compress]
    assert result.manifest["layers"][0]["mediaType"] == OCI_LAYER + suffix


def test_zstd_in_docker_s_format(tmp_path: Path) -> None:
    """It has no such type: refused, naming the layer."""
    kinds = ["application/vnd.docker.image.rootfs.diff.tar.zstd"] * 2
    said = refusal(tmp_path, DEFAULT_CONFIG, docker=True, compress="zstd", types=kinds)
    assert "layer sha256:" in said and "is zstd" in said


def test_zstd_into_a_docker_archive(tmp_path: Path) -> None:
    """docker 20.10 cannot load it."""
    base = write_layout(tmp_path / "base", image(compress="zstd"))
    with pytest.raises(Refusal, match=r"layer sha256:.* is zstd"):
        built(base, write_layout(tmp_path / "side", sidecar()), f"docker-archive:{tmp_path / 'out.tar'}")
    assert not list(tmp_path.glob("*out.tar*"))


def test_every_source_and_form_gives_one_image(tmp_path: Path) -> None:
    """The same config, and so the same image id, from a layout and an archive, into a layout and an archive."""
    backend = image()
    side = write_layout(tmp_path / "side", sidecar())
    sources = [write_layout(tmp_path / "base", backend), write_oci_archive(tmp_path / "base.tar", backend)]
    results = []
    for at, source in enumerate(sources):
        results.append(Result(built(source, side, tmp_path / f"{at}")))
        results.append(Result(read_archive(built(source, side, tmp_path / f"{at}.tar"))))
    assert len({result.descriptor["digest"] for result in results}) == 1


@pytest.mark.parametrize("compress", ["plain", "gzip"])
def test_a_docker_archive(tmp_path: Path, compress: str) -> None:
    """Layers plain or gzip, one that is a link to another, and a name."""
    layers = [BASE_LAYER, TOP_LAYER, BASE_LAYER]
    source = write_docker_archive(tmp_path / "base.tar", layers, compress=compress)
    side = write_layout(tmp_path / "side", sidecar())
    result = Result(built(source, side, tmp_path / "out"))
    assert result.config["rootfs"]["diff_ids"][:-1] == [sha256(layer) for layer in layers]
    assert Result(built(f"docker-archive:{source}:orders:1", side, tmp_path / "again")).descriptor == result.descriptor
    with pytest.raises(Refusal, match="orders:1"):
        composed(f"docker-archive:{source}:other", side)


def test_the_archive_is_for_docker_too(tmp_path: Path) -> None:
    """`manifest.json` names the same config and blobs as the index, and the same name."""
    side = write_layout(tmp_path / "side", sidecar())
    base = write_layout(tmp_path / "base", image())
    files = read_archive(built(base, side, tmp_path / "out.tar", full_name("orders", "build")))
    result = Result(files)
    (entry,) = json.loads(files["manifest.json"])
    assert entry["Config"] == f"blobs/sha256/{result.manifest['config']['digest'][7:]}"
    assert entry["Layers"] == [f"blobs/sha256/{digest[7:]}" for digest in result.digests]
    assert entry["RepoTags"] == ["localhost/orders:latest"]
    assert result.descriptor["annotations"]["io.containerd.image.name"] == "localhost/orders:latest"
    assert result.descriptor["annotations"]["org.opencontainers.image.ref.name"] == "latest"


def test_a_layout_takes_one_more_image(tmp_path: Path) -> None:
    """Beside what is there; the same tag is replaced."""
    base = write_layout(tmp_path / "base", image(), names=["v1"])
    side = write_layout(tmp_path / "side", sidecar())
    for _ in range(2):
        built(f"oci:{base}:v1", side, f"oci:{base}:combined")
    tags = [each["annotations"]["org.opencontainers.image.ref.name"] for each in Result(base).index["manifests"]]
    assert tags == ["v1", "combined"]
    assert not list(base.rglob(".*"))


@pytest.mark.parametrize("form", ["layer", "layer.gz", "archive"])
def test_forms_of_the_sidecar(tmp_path: Path, form: str) -> None:
    """The bare layer, plain or gzip, or an archive of the image."""
    base = write_layout(tmp_path / "base", image())
    if form == "archive":
        side = write_oci_archive(tmp_path / "side.tar", sidecar())
    else:
        built_image = sidecar(compress="gzip" if form == "layer.gz" else "plain")
        (digest,) = (
            layer["digest"] for layer in json.loads(built_image.blobs[built_image.descriptor["digest"]])["layers"]
        )
        side = tmp_path / form
        side.write_bytes(built_image.blobs[digest])
    result = Result(built(base, side, tmp_path / "out"))
    assert result.config["rootfs"]["diff_ids"][-1] == sha256(sidecar_layer())


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (tar("opt/", File("opt/pillion/x")), "has no /opt/pillion/bin/pillion"),
        (sidecar_layer(extra=[File("etc/passwd", b"x")]), "has /etc/passwd"),
        (sidecar_layer(extra=["opt/.wh.other"]), "has /opt/.wh.other"),
        (sidecar_layer(ELF_ARM64), "is for arm64"),
        (sidecar_layer(extra=[File("opt/pillion/../../x")]), "leads out of its root"),
    ],
)
def test_what_is_no_sidecar(tmp_path: Path, layer: bytes, why: str) -> None:
    """Nothing outside our prefix, the entry in it, for the machine it is said to be for."""
    base = write_layout(tmp_path / "base", image())
    with pytest.raises(Refusal, match=why):
        composed(base, write_layout(tmp_path / "side", sidecar(layer)))


@pytest.mark.parametrize(
    ("given", "full"), [("a", "localhost/a:latest"), ("x/a:1", "localhost/x/a:1"), ("r.io/a", "r.io/a:latest")]
)
def test_names(given: str, full: str) -> None:
    """So that docker and podman call it the same."""
    assert full_name(given, "build") == full
