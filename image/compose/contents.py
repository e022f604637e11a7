"""What is written of a composition: all blobs that are at hand, and the documents that list them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pillion.image.compose.document import digest_of, write_document
from pillion.image.compose.image import Image, Platform, Sidecar
from pillion.image.compose.layout import FULL_NAME, REF_NAME
from pillion.image.compose.media_types import ZSTD, compression_of
from pillion.image.compose.merge import Merged
from pillion.image.compose.reference import DOCKER_ARCHIVE, DOCKER_STORE, STORES, Reference
from pillion.image.compose.write import Content, Contents, blob_path
from pillion.image.refusal import Refusal

_WHAT = "build the combined image"


def contents_of(
    parts: Sequence[tuple[Image, Sidecar, Merged]], multi_platform: bool, name: str, to: Reference
) -> Contents:
    """Layers that are not at hand stand where the image goes; docker's store is given no manifest, as it has none.

    Raises Refusal if the form cannot hold the image."""
    blobs: dict[str, Content] = {}
    manifests = []
    for base, sidecar, merged in parts:
        for layer in (*base.layers, sidecar.layer):
            if layer.blob is not None:
                blobs[layer.digest] = layer.blob
        for data in (merged.config_bytes, merged.manifest_bytes):
            blobs[digest_of(data)] = data
        manifests.append(_descriptor(merged.manifest["mediaType"], merged.manifest_bytes, base.platform))
    first, _, merged = parts[0]
    if multi_platform:
        family = first.family
        index = write_document({"schemaVersion": 2, "mediaType": family.index_type, "manifests": manifests})
        blobs[digest_of(index)] = index
        descriptor = _descriptor(family.index_type, index, None)
        docker = None
    else:
        (descriptor,) = manifests
        docker = _docker_entry(merged, name)
    _check_form(parts, multi_platform, to)
    if to.transport == DOCKER_STORE:
        del blobs[descriptor["digest"]]
        return Contents(blobs, None, docker)
    if annotations := _names(name, to):
        descriptor["annotations"] = annotations
    return Contents(blobs, descriptor, docker)


def _descriptor(media_type: str, data: bytes, platform: Platform | None) -> dict[str, Any]:
    descriptor: dict[str, Any] = {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
    if platform:
        descriptor["platform"] = {key: value for key, value in platform._asdict().items() if value}
    return descriptor


def _names(name: str, to: Reference) -> dict[str, str]:
    """skopeo finds an image in a layout by the tag alone; podman and containerd take the full name."""
    found = {FULL_NAME: name} if name else {}
    if tag := to.tag or name.rpartition(":")[2]:
        found[REF_NAME] = tag
    return found


def _docker_entry(merged: Merged, name: str) -> dict[str, Any]:
    return {
        "Config": blob_path(digest_of(merged.config_bytes)),
        "RepoTags": [name] if name else None,
        "Layers": [blob_path(layer["digest"]) for layer in merged.manifest["layers"]],
    }


def _check_form(parts: Sequence[tuple[Image, Sidecar, Merged]], multi_platform: bool, to: Reference) -> None:
    if multi_platform and to.transport in (DOCKER_ARCHIVE, *STORES):
        holder = "Docker's archives hold" if to.transport == DOCKER_ARCHIVE else "a store holds"
        raise Refusal(_WHAT, f"{to}: {holder} one platform", "choose with --platform, or oci-archive:")
    if to.transport not in (DOCKER_ARCHIVE, DOCKER_STORE):
        return
    if layer := zstd_layer(parts[0]):
        why = f"layer {layer} is zstd, which docker before 23 cannot load"
        raise Refusal(_WHAT, why, "write an oci-archive:, or compress the base with gzip")


def zstd_layer(part: tuple[Image, Sidecar, Merged]) -> str:
    """The digest of a layer at hand that docker before 23 cannot load; "" if there is none."""
    base, sidecar, _ = part
    at_hand = [layer for layer in (*base.layers, sidecar.layer) if layer.blob is not None]
    return next((each.digest for each in at_hand if compression_of(each.descriptor["mediaType"]) == ZSTD), "")
