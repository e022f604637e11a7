"""The two families of media types that an image's documents and layers come in.

OCI image-spec, media-types.md; Docker Image Manifest Version 2, Schema 2. The bytes are the same in both; a manifest
that mixes them is refused by podman.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

PLAIN, GZIP, ZSTD = "plain", "gzip", "zstd"


class Family(NamedTuple):
    """`layers` maps each compression that the family knows to the media type of such a layer."""

    name: str
    index_type: str
    manifest: str
    config: str
    layers: Mapping[str, str]


OCI = Family(
    "OCI",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    {
        PLAIN: "application/vnd.oci.image.layer.v1.tar",
        GZIP: "application/vnd.oci.image.layer.v1.tar+gzip",
        ZSTD: "application/vnd.oci.image.layer.v1.tar+zstd",
    },
)
DOCKER = Family(
    "Docker",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    {
        PLAIN: "application/vnd.docker.image.rootfs.diff.tar",
        GZIP: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    },
)
FAMILIES = (OCI, DOCKER)
INDEXES = tuple(family.index_type for family in FAMILIES)
MANIFESTS = tuple(family.manifest for family in FAMILIES)
_COMPRESSIONS = {
    **{media_type: compression for family in FAMILIES for compression, media_type in family.layers.items()},
    # Written by some tools although Docker's own format has no such type.
    "application/vnd.docker.image.rootfs.diff.tar.zstd": ZSTD,
}


def family_of(manifest: Mapping[str, Any]) -> Family | None:
    """The family of a manifest: by its own media type, else (optional in OCI) its config's; None if it is neither's."""
    config = manifest.get("config")
    said = manifest.get("mediaType") or ""
    for family in FAMILIES:
        if said == family.manifest or (
            not said and isinstance(config, dict) and config.get("mediaType") == family.config
        ):
            return family
    return None


def compression_of(media_type: str) -> str | None:
    """How a layer of this type is compressed; None if it is no layer that can be carried along."""
    return _COMPRESSIONS.get(media_type)
