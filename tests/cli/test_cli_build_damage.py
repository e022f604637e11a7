"""`pillion build` of what is damaged or cannot be written: refused in one sentence, nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.building import flip, pillion, refused
from tests.conftest import ENTRY, eventually
from tests.images import (
    DEFAULT_CONFIG,
    OCI_LAYER,
    File,
    image,
    sha256,
    sidecar,
    tar,
    write_docker_archive,
    write_layout,
    write_oci_archive,
)


def blob_of(place: Path, kind: str) -> Path:
    blobs = place / "base/blobs/sha256"
    index = json.loads((place / "base/index.json").read_text())
    manifest = blobs / str(index["manifests"][0]["digest"][7:])
    if kind == "manifest":
        return manifest
    document = json.loads(manifest.read_bytes())
    descriptor = document["config"] if kind == "config" else document["layers"][0]
    return blobs / str(descriptor["digest"][7:])


def rewrite_index(place: Path, change: Callable[[dict[str, object]], object]) -> None:
    index = json.loads((place / "base/index.json").read_text())
    change(index["manifests"][0])
    (place / "base/index.json").write_text(json.dumps(index))


def text_config(place: Path) -> None:
    """A config that is no JSON, with the right digest everywhere."""
    blob_of(place, "config").unlink()
    document = json.loads(blob_of(place, "manifest").read_bytes())
    blob_of(place, "manifest").unlink()
    document["config"] |= {"digest": sha256(b"not json"), "size": 8}
    data = json.dumps(document).encode()
    for each in (b"not json", data):
        (place / "base/blobs/sha256" / sha256(each)[7:]).write_bytes(each)
    rewrite_index(place, lambda descriptor: descriptor.update(digest=sha256(data), size=len(data)))


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda place: flip(blob_of(place, "layer")), "has the digest"),
    (lambda place: flip(blob_of(place, "config")), "has the digest"),
    (lambda place: flip(blob_of(place, "manifest")), "has the digest"),
    (lambda place: blob_of(place, "layer").unlink(), "has no blob sha256:"),
    (lambda place: os.truncate(blob_of(place, "layer"), 40), "has 40 bytes where"),
    (lambda place: (place / "base/index.json").write_text("{"), "index.json is not JSON"),
    (lambda place: (place / "base/index.json").write_text("[]"), "is not a JSON object"),
    (lambda place: (place / "base/index.json").write_text("[" * 99999), "is not JSON"),
    (lambda place: (place / "base/index.json").write_bytes(b"\xff\xfe"), "is not JSON"),
    (lambda place: (place / "base/index.json").unlink(), "has no index.json"),
    (text_config, "is not JSON"),
    (lambda place: rewrite_index(place, lambda each: each.update(digest="sha256:../../../etc/passwd")), "no sha256"),
    (lambda place: rewrite_index(place, lambda each: each.update(size=-1)), "is no size"),
    (lambda place: rewrite_index(place, lambda each: each.update(size=9**99)), "bytes where"),
    (lambda place: rewrite_index(place, lambda each: each.update(mediaType="text/plain")), "no image manifest"),
]


@pytest.mark.parametrize(("damage", "says"), DAMAGE)
def test_a_damaged_layout(place: Path, damage: Callable[[Path], object], says: str) -> None:
    """Named and refused, nothing written."""
    damage(place)
    line = refused(place, "base", "--sidecar", "side", "-o", "out")
    assert says in line and "base" in line


def test_no_verify_trusts_the_layers_alone(place: Path) -> None:
    """Documents are verified in any case."""
    flip(blob_of(place, "layer"))
    assert pillion(place, "base", "--sidecar", "side", "-o", "out", "--no-verify").returncode == 0
    flip(blob_of(place, "config"))
    assert pillion(place, "base", "--sidecar", "side", "-o", "out2", "--no-verify").returncode == 2


def archive_members(place: Path, *members: File) -> None:
    (place / "base.tar").write_bytes(tar(*members))


ARCHIVES: list[tuple[Callable[[Path], object], str]] = [
    (lambda place: os.truncate(place / "base.tar", 3000), "in the middle"),
    (lambda place: flip(place / "base.tar", 10), "header in it is damaged"),
    (lambda place: (place / "base.tar").write_bytes(b"x" * 5000), "no tar"),
    (lambda place: (place / "base.tar").write_bytes(b""), "no image"),
    (lambda place: (place / "base.tar").write_bytes(b"\x1f\x8bxxx"), "compressed"),
    (lambda place: archive_members(place, File("../index.json", b"{}")), "leads out of the archive"),
    (lambda place: archive_members(place, File("manifest.json", b"[{}]")), "None"),
    (lambda place: archive_members(place, File("manifest.json", b"{}")), "not a list of images"),
    (
        lambda place: archive_members(place, File("manifest.json", b'[{"Config": "/etc/passwd", "Layers": []}]')),
        "no member '/etc/passwd'",
    ),
    (
        lambda place: archive_members(
            place, File("c", b"{}"), File("manifest.json", b'[{"Config":"c","Layers":["c"]}]')
        ),
        "1 layers and 0",
    ),
]


@pytest.mark.parametrize("writer", [write_oci_archive, write_docker_archive])
@pytest.mark.parametrize(("damage", "says"), ARCHIVES)
def test_a_damaged_archive(
    place: Path, writer: Callable[..., Path], damage: Callable[[Path], object], says: str
) -> None:
    """Truncated, garbage, compressed, or with names that lead out."""
    writer(place / "base.tar", *([image()] if writer is write_oci_archive else []))
    damage(place)
    assert says in refused(place, "base.tar", "--sidecar", "side", "-o", "out")


def test_a_docker_archive_s_layer_is_verified(place: Path) -> None:
    """By its diff id, as it has no digest of its own."""
    write_docker_archive(place / "base.tar")
    data = (place / "base.tar").read_bytes()
    at = data.index(b"print(1)")
    (place / "base.tar").write_bytes(data[:at] + b"print(2)" + data[at + 8 :])
    assert "has the digest" in refused(place, "base.tar", "--sidecar", "side", "-o", "out")


def test_a_layer_that_leads_out(place: Path) -> None:
    """Named with the layer."""
    write_layout(place / "evil", image([tar(File("../../etc/cron.d/x"))]))
    assert "leads out of its root" in refused(place, "evil", "--sidecar", "side", "-o", "out")


@pytest.mark.parametrize("out", ["out", "out.tar", "oci:base:new"])
def test_a_full_disk(place: Path, out: str) -> None:
    """No file may be longer than what is left: everything that was begun is gone again."""
    write_layout(place / "elsewhere", sidecar())
    write_oci_archive(place / "base.tar", image())
    source = "base.tar" if out != "oci:base:new" else "base"
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900)); os.execv(sys.argv[1], sys.argv[1:])"
    command = [
        sys.executable,
        "-c",
        f"import os, resource, sys; {limit}",
        str(ENTRY),
        "build",
        source,
        "--sidecar",
        "side",
        "-o",
        out,
    ]
    before = sorted(place.rglob("*"))
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2 and "File too large" in ended.stderr, ended.stderr
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("out", ["out.tar", "out"])
def test_a_signal_in_the_middle(place: Path, out: str) -> None:
    """Ends it with 128 + signal; what was begun is gone. The layer is sparse, and too long to be written at once."""
    size, digest = 64 << 30, f"sha256:{'0' * 64}"
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "config": DEFAULT_CONFIG, "rootfs": {"diff_ids": [digest]}}
    )
    layer = {"mediaType": OCI_LAYER, "digest": digest, "size": size}
    built = image([], top=json.loads(config), manifest={"layers": [layer]})
    write_layout(place / "big", built)
    sparse = place / "big/blobs/sha256" / digest[7:]
    sparse.touch()
    os.truncate(sparse, size)
    verify = ["--no-verify"] if out == "out.tar" else []
    command = [ENTRY, "build", "big", "--sidecar", "side", "-o", out, *verify]
    process = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def begun() -> object:
        if verify:
            return list(place.glob(".out*"))
        opened = Path(f"/proc/{process.pid}/fd").iterdir()
        return [each for each in opened if str(each.readlink()) == str(sparse)]

    eventually(begun)
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + 15 and "stopped by SIGTERM" in said
    assert not list(place.glob(".out*")) and not (place / out).exists()
