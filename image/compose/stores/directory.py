"""Turns what `dir:` of containers-transports(5) writes (blobs and manifests side by side) into a layout, in place.

It is the one form that keeps every byte: `oci:` would convert Docker's manifests, and drop what OCI's config lacks.
"""

from __future__ import annotations

from pathlib import Path

from pillion.image.compose.blob import Blob
from pillion.image.compose.document import LONGEST_DOCUMENT, digest_of, read_document, write_document
from pillion.image.compose.layout import INDEX
from pillion.image.compose.media_types import FAMILIES, INDEXES, family_of
from pillion.image.refusal import Refusal

_MANIFEST = "manifest.json"
_SUFFIX = ".manifest.json"


def as_layout(folder: Path, what: str) -> None:
    """Raises Refusal, or OSError."""
    data = Blob.of_file(folder / _MANIFEST).read(what, f"{folder}: {_MANIFEST}", LONGEST_DOCUMENT)
    media_type = _media_type(data, what, f"{folder}: {_MANIFEST}")
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for file in folder.iterdir():
        if len(digest := file.name.removesuffix(_SUFFIX)) == 64:
            file.rename(blobs / digest)
    (folder / _MANIFEST).rename(blobs / digest_of(data).removeprefix("sha256:"))
    descriptor = {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
    (folder / INDEX).write_bytes(write_document({"schemaVersion": 2, "manifests": [descriptor]}))


def _media_type(data: bytes, what: str, name: str) -> str:
    document = read_document(data, what, name)
    if document.get("mediaType") in INDEXES:
        return str(document["mediaType"])
    family = family_of(document)
    if family is not None:
        return family.manifest
    if isinstance(document.get("manifests"), list):
        return FAMILIES[0].index_type
    raise Refusal(what, f"{name} is no manifest of an image that is known here", "push the image again")
