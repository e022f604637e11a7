"""Reads the sidecar (an image of one layer, the last layer of a combined image, or a bare layer) and judges it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pillion.image.compose import marks
from pillion.image.compose.archive import read_members
from pillion.image.compose.blob import Blob, check_blob, hash_blob
from pillion.image.compose.docker_archive import MANIFEST, diff_id_of
from pillion.image.compose.image import Image, Images, Layer, Platform, Sidecar
from pillion.image.compose.layer_cache import recall, remember
from pillion.image.compose.layer_files import ENTRY, PREFIX, LayerFiles, scan_layer
from pillion.image.compose.layout import INDEX
from pillion.image.compose.media_types import OCI, PLAIN
from pillion.image.compose.rebase import is_combined, sidecar_of
from pillion.image.compose.reference import Reference
from pillion.image.compose.tar_stream import Damaged, compression
from pillion.image.refusal import Refusal

_BUILD = "build it with podman build --target sidecar"
# ELF's e_machine (System V ABI, gABI), little-endian.
_MACHINES = {0x3E: "amd64", 0xB7: "arm64", 0x28: "arm", 0xF3: "riscv64", 0x03: "386"}


def judge_sidecars(
    images: Images, seen: LayerFiles | None, cache: Path | None, what: str
) -> list[tuple[Sidecar, LayerFiles]]:
    """One a platform, each verified (they are small) and looked through; `seen` is what was found of one whose layer
    stays in a store, which is trusted. Raises Refusal."""
    return [_checked(_of_image(image, what), seen, cache, what) for image in images.images]


def is_bare_layer(reference: Reference, what: str) -> bool:
    """Whether it is a tar that is no image. Raises Refusal."""
    path = reference.path
    if reference.transport or not path.is_file():
        return False
    try:
        if compression(Blob.of_file(path)) != PLAIN:
            return True
    except OSError as error:
        raise Refusal(what, f"{path}: {error.strerror}", "name the sidecar") from error
    members = read_members(path, what)
    return INDEX not in members and MANIFEST not in members


def bare_layer(reference: Reference, what: str) -> tuple[Sidecar, LayerFiles]:
    """Verified and looked through. Raises Refusal."""
    blob = Blob.of_file(reference.path)
    kind = compression(blob)
    descriptor = {"mediaType": OCI.layers[kind], "digest": hash_blob(blob), "size": blob.size}
    layer = Layer(descriptor, diff_id_of(blob, what, str(reference)), blob)
    sidecar = Sidecar(str(reference), layer, Platform("linux", ""))
    found = _look_through(sidecar, blob, what)
    _judge(sidecar, found, what)
    machine = _machine(found)
    if not machine:
        raise Refusal(what, f"{reference}: /{ENTRY} is no program of a machine known here", _BUILD)
    return sidecar._replace(platform=Platform("linux", machine)), found


def _of_image(image: Image, what: str) -> Sidecar:
    if is_combined(image):
        return sidecar_of(image, what)
    if len(image.layers) != 1:
        raise Refusal(what, f"{image.source} has {len(image.layers)} layers where a sidecar has one", _BUILD)
    (layer,) = image.layers
    return Sidecar(image.source, layer, image.platform, _said(image))


def _said(image: Image) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for docker in (True, False):
        written = marks.marks_of(image.manifest, image.config, docker=docker)
        for key in marks.SAID:
            if value := written.get(f"org.opencontainers.image.{key}"):
                found[key] = value
    return found


def _checked(sidecar: Sidecar, seen: LayerFiles | None, cache: Path | None, what: str) -> tuple[Sidecar, LayerFiles]:
    files = seen or _verified(sidecar, cache, what)
    _judge(sidecar, files, what)
    machine = _machine(files)
    if machine and machine != sidecar.platform.architecture:
        why = f"{sidecar.source} is said to be for {sidecar.platform}, but /{ENTRY} is for {machine}"
        raise Refusal(what, why, _BUILD)
    return sidecar, files


def _verified(sidecar: Sidecar, cache: Path | None, what: str) -> LayerFiles:
    layer, blob = sidecar.layer, sidecar.layer.blob
    name = f"{sidecar.source}: layer {layer.digest}"
    assert blob is not None
    check_blob(blob, layer.digest, what, name, lambda size: None)
    files = recall(cache, layer.digest) if cache else None
    if files is None or not files.diff_id:
        files = _look_through(sidecar, blob, what)._replace(diff_id=diff_id_of(blob, what, name))
        if cache:
            remember(cache, layer.digest, files)
    if files.diff_id != layer.diff_id:
        raise Refusal(what, f"{name} has the diff id {files.diff_id} where its config has {layer.diff_id}", _BUILD)
    return files


def _look_through(sidecar: Sidecar, blob: Blob, what: str) -> LayerFiles:
    try:
        return scan_layer(blob)
    except Damaged as error:
        raise Refusal(what, f"{sidecar.source}: {error}", _BUILD) from error


def _judge(sidecar: Sidecar, files: LayerFiles, what: str) -> None:
    entry = files.present.get(ENTRY)
    if entry is None or not entry.mode & 0o001:
        raise Refusal(what, f"{sidecar.source} has no /{ENTRY} that everyone may run", _BUILD)
    if files.outside:
        why = f"{sidecar.source} has /{files.outside}, and a sidecar has nothing outside /{PREFIX}"
        raise Refusal(what, why, _BUILD)


def _machine(files: LayerFiles) -> str:
    head = files.present[ENTRY].content
    if not head.startswith(b"\x7fELF") or len(head) < 20 or head[5] != 1:
        return ""
    return _MACHINES.get(int.from_bytes(head[18:20], "little"), "")
