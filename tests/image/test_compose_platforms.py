"""Images for several platforms, and the exchange of one part under the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pillion.image.refusal import Refusal
from tests.composing import built, composed, findings
from tests.images import (
    BASE_LAYER,
    DEFAULT_CONFIG,
    ELF_ARM64,
    TOP_LAYER,
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


def two_platforms(**options: Any) -> Any:
    attestation = {
        **image([TOP_LAYER]).descriptor,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    return index_of(image(), image(architecture="arm64", variant="v8"), extra=[attestation], **options)


def test_an_index_for_two_platforms(tmp_path: Path) -> None:
    """Each gets the sidecar of its own; attestations are dropped, as they attest to other bytes."""
    base = write_layout(tmp_path / "base", two_platforms())
    sides = index_of(sidecar(), sidecar(sidecar_layer(ELF_ARM64), architecture="arm64"))
    side = write_layout(tmp_path / "side", sides)
    result = Result(built(base, side, tmp_path / "out"))
    listed = result.json(result.descriptor)["manifests"]
    assert [each["platform"]["architecture"] for each in listed] == ["amd64", "arm64"]
    last = [result.json(result.json(each)["config"])["rootfs"]["diff_ids"][-1] for each in listed]
    assert last == [sha256(sidecar_layer()), sha256(sidecar_layer(ELF_ARM64))]
    assert "attestations: 1 dropped" in findings(composed(base, side), "S3")
    one = Result(built(base, side, tmp_path / "one", platform="linux/arm64"))
    assert one.config["architecture"] == "arm64"


def test_a_missing_architecture(tmp_path: Path) -> None:
    """Of the sidecar, or of the base."""
    base = write_layout(tmp_path / "base", two_platforms())
    side = write_layout(tmp_path / "side", sidecar())
    with pytest.raises(Refusal, match=r"sidecar is for linux/amd64, .* linux/arm64"):
        composed(base, side)
    with pytest.raises(Refusal, match=r"has no image for linux/s390x \(it has linux/amd64, linux/arm64\)"):
        composed(base, side, platform="linux/s390x")
    assert composed(base, side, platform="linux/amd64").composed[0].base.platform.architecture == "amd64"


@pytest.mark.parametrize("docker", [False, True])
def test_a_rebase_equals_a_fresh_composition(tmp_path: Path, docker: bool) -> None:
    """A new sidecar under the old backend, and a new backend under the old sidecar."""
    config = {**DEFAULT_CONFIG, "User": "app", "StopSignal": "SIGINT", "Env": ["LD_PRELOAD=x", "A=1", "BACKEND__B=2"]}
    said: dict[str, Any] = (
        {} if docker else {"manifest": {"annotations": {"org.opencontainers.image.base.name": "x/y:1", "k": "v"}}}
    )
    old = write_layout(tmp_path / "old", image(config=config, docker=docker, **said), names=["example.org/a/b:1"])
    new = write_layout(tmp_path / "new", image([BASE_LAYER, tar("srv/", File("srv/new"))], docker=docker))
    first = write_layout(tmp_path / "first", sidecar(docker=docker))
    second = write_layout(tmp_path / "second", sidecar(sidecar_layer(marker=b"2"), docker=docker))
    combined_image = built(old, first, tmp_path / "combined", env={"A": "9", "PROXY__X": "1"})

    fresh = Result(built(old, second, tmp_path / "fresh"))
    assert Result(built(combined_image, second, tmp_path / "r1", rebase=True)).descriptor == fresh.descriptor
    fresh = Result(built(new, first, tmp_path / "fresh2"))
    assert Result(built(new, combined_image, tmp_path / "r2")).descriptor == fresh.descriptor


def test_a_rebase_of_what_was_not_combined(tmp_path: Path) -> None:
    """And of what was built upon since; a combined image is not combined again."""
    side = write_layout(tmp_path / "side", sidecar())
    base = write_layout(tmp_path / "base", image())
    with pytest.raises(Refusal, match="is no combined image"):
        composed(base, side, rebase=True)
    twice = built(base, side, tmp_path / "combined")
    with pytest.raises(Refusal, match="is a combined image already"):
        composed(twice, side)
    other = write_layout(tmp_path / "arm", sidecar(sidecar_layer(ELF_ARM64), architecture="arm64"))
    with pytest.raises(Refusal, match="sidecar is for linux/arm64"):
        composed(twice, other, rebase=True)
