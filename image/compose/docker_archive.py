"""Reads what `docker save` writes (moby image/spec, "Combined Image JSON + Filesystem Changeset Format").

It has no manifests; layers are plain tars named in `manifest.json`, or gzip in what other tools write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pillion.image.compose.blob import Blob, hash_blob
from pillion.image.compose.document import LONGEST_DOCUMENT, digest_of, read_document, read_json
from pillion.image.compose.image import Document, Image, Images, Layer, Platform
from pillion.image.compose.layout import check_config, diff_ids_of
from pillion.image.compose.media_types import DOCKER, PLAIN
from pillion.image.compose.tar_stream import Damaged, compression, decompressed
from pillion.image.refusal import Refusal

MANIFEST = "manifest.json"
_AGAIN = "save the image again"


def read_docker_archive(
    members: Mapping[str, Blob], source: str, tag: str, platform: Platform | None, what: str
) -> Images:
    """The image with this name, or the only one. Raises Refusal."""
    if MANIFEST not in members:
        raise Refusal(what, f"{source} has no {MANIFEST}", "name what docker save or podman save has written")
    data = members[MANIFEST].read(what, f"{source}: {MANIFEST}", LONGEST_DOCUMENT)
    listed = read_json(data, what, f"{source}: {MANIFEST}")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise Refusal(what, f"{source}: {MANIFEST} is not a list of images", _AGAIN)
    chosen = [each for each in listed if not tag or any(_names(tag, name) for name in _tags(each))]
    if len(chosen) != 1:
        there = ", ".join(name for each in listed for name in _tags(each)) or "none with a name"
        raise Refusal(what, f"{source} has {len(chosen) or 'no'} images to choose from", f"name one: {there}")
    image = _image(chosen[0], members, source, what)
    if platform and not image.platform.fits(platform):
        raise Refusal(what, f"{source} has no image for {platform} (it has {image.platform})", "choose that")
    return Images((image,))


def _tags(entry: Document) -> list[str]:
    tags = entry.get("RepoTags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _names(asked: str, name: str) -> bool:
    """`orders`, `orders:latest` and `docker.io/library/orders:latest` are one name to docker."""
    return asked in (name, name.removesuffix(":latest")) or name.endswith((f"/{asked}", f"/{asked}:latest"))


def _image(entry: Document, members: Mapping[str, Blob], source: str, what: str) -> Image:
    config_blob = _member(entry.get("Config"), members, source, what)
    name = f"{source}: {entry.get('Config')}"
    data = config_blob.read(what, name, LONGEST_DOCUMENT)
    _check_named_digest(str(entry.get("Config")), digest_of(data), source, what)
    config = read_document(data, what, name)
    paths = entry.get("Layers")
    if not isinstance(paths, list):
        raise Refusal(what, f"{source}: {MANIFEST} names no Layers", _AGAIN)
    diff_ids = diff_ids_of(config, what, source)
    if len(diff_ids) != len(paths):
        raise Refusal(what, f"{source} has {len(paths)} layers and {len(diff_ids)} rootfs.diff_ids", _AGAIN)
    check_config(config, what, source)
    layers = tuple(
        _layer(_member(path, members, source, what), diff_id, f"{source}: {path}", what)
        for path, diff_id in zip(paths, diff_ids, strict=True)
    )
    manifest: Document = {
        "schemaVersion": 2,
        "mediaType": DOCKER.manifest,
        "config": {"mediaType": DOCKER.config, "digest": digest_of(data), "size": len(data)},
        "layers": [layer.descriptor for layer in layers],
    }
    tags = _tags(entry)
    return Image(source, DOCKER, manifest, config, layers, "", tags[0] if tags else "")


def _member(path: Any, members: Mapping[str, Blob], source: str, what: str) -> Blob:
    blob = members.get(path) if isinstance(path, str) else None
    if blob is None:
        raise Refusal(what, f"{source} has no member {path!r:.100}, which {MANIFEST} names", _AGAIN)
    return blob


def _check_named_digest(path: str, digest: str, source: str, what: str) -> None:
    """A config is called by its digest (`HEX.json`, or `blobs/sha256/HEX` since docker 25)."""
    name = path.rpartition("/")[2].removesuffix(".json")
    if len(name) == 64 and f"sha256:{name}" != digest:
        raise Refusal(what, f"{source}: {path} has the digest {digest}", f"it was changed or damaged: {_AGAIN}")


def _layer(blob: Blob, diff_id: str, name: str, what: str) -> Layer:
    """A plain layer's digest is its diff id, verified with the others; a compressed one's has to be worked out."""
    kind = compression(blob)
    if kind == PLAIN:
        return Layer({"mediaType": DOCKER.layers[PLAIN], "digest": diff_id, "size": blob.size}, diff_id, blob)
    if kind not in DOCKER.layers:
        raise Refusal(what, f"layer {name} is {kind}, which Docker's format does not know", "save it as OCI")
    found = diff_id_of(blob, what, name)
    if found != diff_id:
        raise Refusal(what, f"layer {name} has the diff id {found} where the config has {diff_id}", _AGAIN)
    return Layer({"mediaType": DOCKER.layers[kind], "digest": hash_blob(blob), "size": blob.size}, diff_id, blob)


def diff_id_of(blob: Blob, what: str, name: str) -> str:
    """The digest of the uncompressed tar. Raises Refusal."""
    sha256 = hashlib.sha256()
    try:
        for piece in decompressed(blob):
            sha256.update(piece)
    except Damaged as error:
        raise Refusal(what, f"layer {name}: {error}", _AGAIN) from error
    return f"sha256:{sha256.hexdigest()}"
