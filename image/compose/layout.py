"""Reads an OCI image layout, as a directory or as the members of an archive (OCI image-spec, image-layout.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pillion.image.compose.blob import Blob, check_blob, check_size
from pillion.image.compose.document import LONGEST_DOCUMENT, check_descriptor, is_digest, read_document
from pillion.image.compose.image import Document, Image, Images, Layer, Platform, platform_of
from pillion.image.compose.media_types import INDEXES, MANIFESTS, compression_of, family_of
from pillion.image.compose.reference import is_full_name
from pillion.image.refusal import Refusal

INDEX = "index.json"
REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
_REFERENCE_TYPE = "vnd.docker.reference.type"
_DEEPEST_INDEX = 3
_AGAIN = "export the image again"

Find = Callable[[str], "Blob | None"]


def in_directory(root: Path) -> Find:
    """Finds the layout's files in a directory."""

    def find(name: str) -> Blob | None:
        try:
            return Blob.of_file(root / name)
        except FileNotFoundError:
            return None

    return find


class LayoutReader:
    """Reads documents by digest, and verifies each, as they are small. `what` and `source` are for errors."""

    def __init__(self, find: Find, source: str, what: str) -> None:
        self._find, self._source, self._what = find, source, what

    def read(self, tag: str, platform: Platform | None) -> Images:
        """The image with this tag, or the only one; of several platforms only the one asked for. Raises Refusal."""
        index = self._find(INDEX)
        if index is None:
            raise self._refuse(f"has no {INDEX}", "name an OCI layout or an archive of one")
        name = f"{self._source}: {INDEX}"
        document = read_document(index.read(self._what, name, LONGEST_DOCUMENT), self._what, name)
        top = self._descriptors(document, INDEX)
        chosen = self._choose(top, tag)
        full_name = _name(chosen[0]) if len(chosen) == 1 else ""
        found, dropped, nested = self._expand(chosen, _DEEPEST_INDEX)
        multi = nested or len(found) > 1
        images = [self._image(descriptor, full_name) for descriptor in found]
        if platform:
            fitting = tuple(image for image in images if image.platform.fits(platform))
            if len(fitting) != 1:
                there = ", ".join(str(image.platform) for image in images)
                raise self._refuse(f"has no image for {platform} (it has {there})", "choose one of those")
            return Images(fitting, False, dropped)
        if len({image.platform for image in images}) < len(images):
            raise self._refuse("has several images", f"name one of them: {self._names(top)}")
        if not images:
            raise self._refuse("has no image", _AGAIN)
        return Images(tuple(images), multi, dropped)

    def _choose(self, descriptors: list[Document], tag: str) -> list[Document]:
        if not tag:
            return descriptors
        named = [each for each in descriptors if tag in (_annotation(each, REF_NAME), _annotation(each, FULL_NAME))]
        if not named:
            raise self._refuse(f"has no image {tag!r}", f"it has {self._names(descriptors)}")
        return named

    def _names(self, descriptors: list[Document]) -> str:
        return ", ".join(filter(None, (_annotation(each, REF_NAME) for each in descriptors))) or "unnamed images only"

    def _expand(self, descriptors: list[Document], deeper: int) -> tuple[list[Document], int, bool]:
        """Indexes replaced by what they list, attestations counted and dropped, and whether there was an index."""
        found, dropped, nested = list[Document](), 0, False
        for descriptor in descriptors:
            if _is_attestation(descriptor):
                dropped += 1
            elif descriptor["mediaType"] in INDEXES:
                if not deeper:
                    raise self._refuse("has indexes in indexes in indexes", _AGAIN)
                document = self._document(descriptor)
                more, fewer, _ = self._expand(self._descriptors(document, descriptor["digest"]), deeper - 1)
                found, dropped, nested = found + more, dropped + fewer, True
            elif descriptor["mediaType"] in MANIFESTS:
                if descriptor not in found:
                    found.append(descriptor)
            else:
                raise self._refuse(f"holds a {descriptor['mediaType']:.100}, which is no image manifest", _AGAIN)
        return found, dropped, nested

    def _image(self, descriptor: Document, name: str) -> Image:
        manifest = self._document(descriptor)
        family = family_of(manifest)
        digest = descriptor["digest"]
        if family is None or family.manifest != descriptor["mediaType"]:
            raise self._refuse(f"manifest {digest} is not the {descriptor['mediaType']} it is said to be", _AGAIN)
        config_descriptor = check_descriptor(manifest.get("config"), self._what, f"{self._source}: {digest}.config")
        if config_descriptor["mediaType"] not in (family.config, "application/vnd.oci.image.config.v1+json"):
            raise self._refuse(f"holds a {config_descriptor['mediaType']:.100}, which is no image", "name an image")
        config = self._document(config_descriptor)
        descriptors = self._descriptors(manifest, digest, "layers")
        diff_ids = diff_ids_of(config, self._what, self._source)
        if len(diff_ids) != len(descriptors):
            why = f"has {len(descriptors)} layers and {len(diff_ids)} rootfs.diff_ids"
            raise self._refuse(why, _AGAIN)
        layers = tuple(
            Layer(each, diff_id, self._layer(each, diff_id))
            for each, diff_id in zip(descriptors, diff_ids, strict=True)
        )
        check_config(config, self._what, self._source)
        return Image(self._source, family, manifest, config, layers, digest, name)

    def _layer(self, descriptor: Document, diff_id: str) -> Blob:
        kind = compression_of(descriptor["mediaType"])
        if kind is None:
            why = f"layer {descriptor['digest']} is {descriptor['mediaType']:.100}, which cannot be carried along"
            raise self._refuse(why, "use an image without foreign or encrypted layers")
        if kind == "plain" and diff_id != descriptor["digest"]:
            raise self._refuse(f"layer {descriptor['digest']} has the diff id {diff_id} in the config", _AGAIN)
        return self._blob(descriptor)

    def _blob(self, descriptor: Document) -> Blob:
        digest = descriptor["digest"]
        blob = self._find(f"blobs/{digest.replace(':', '/')}")
        if blob is None:
            raise self._refuse(f"has no blob {digest}", _AGAIN)
        return check_size(blob, descriptor["size"], self._what, f"{self._source}: blob {digest}")

    def _document(self, descriptor: Document) -> Document:
        digest = descriptor["digest"]
        name = f"{self._source}: blob {digest}"
        blob = self._blob(descriptor)
        data = blob.read(self._what, name, LONGEST_DOCUMENT)
        check_blob(blob, digest, self._what, name, lambda size: None)
        return read_document(data, self._what, name)

    def _descriptors(self, document: Document, name: str, key: str = "manifests") -> list[Document]:
        listed = document.get(key)
        if not isinstance(listed, list):
            raise self._refuse(f"{name}.{key} is not a list", _AGAIN)
        where = f"{self._source}: {name}.{key}"
        return [check_descriptor(each, self._what, f"{where}[{at}]") for at, each in enumerate(listed)]

    def _refuse(self, why: str, mend: str) -> Refusal:
        return Refusal(self._what, f"{self._source} {why}", mend)


def diff_ids_of(config: Document, what: str, source: str) -> list[str]:
    """The digests of the uncompressed layers. Raises Refusal."""
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if diff_ids is None:
        diff_ids = []
    if not isinstance(diff_ids, list) or not all(map(is_digest, diff_ids)):
        raise Refusal(what, f"{source}: the config's rootfs.diff_ids is not a list of digests", _AGAIN)
    return diff_ids


_Types = dict[str, tuple[type, ...]]
_TOP: _Types = {"config": (dict,), "history": (list,), "created": (str,)}
_SETTINGS: _Types = {
    "Entrypoint": (list, str),
    "Cmd": (list, str),
    "Env": (list,),
    "User": (str,),
    "WorkingDir": (str,),
    "StopSignal": (str,),
    "ExposedPorts": (dict,),
    "Volumes": (dict,),
    "Labels": (dict,),
    "Healthcheck": (dict,),
}
_OF_TEXTS = ("Entrypoint", "Cmd", "Env")


def check_config(config: Document, what: str, source: str) -> None:
    """What we read of a config has the types of config.md. Raises Refusal naming the field."""
    for place, types in ((config, _TOP), (config.get("config") or {}, _SETTINGS)):
        for field, kind in _mistyped(place, types):
            raise Refusal(what, f"{source}: the config's {field} is no {kind}", _AGAIN)


def _mistyped(place: Document, types: _Types) -> Iterator[tuple[str, str]]:
    for field, kinds in types.items():
        value = place.get(field)
        if value is not None and not isinstance(value, kinds):
            yield field, " or ".join(kind.__name__ for kind in kinds)
        if field in _OF_TEXTS and isinstance(value, list) and not all(isinstance(each, str) for each in value):
            yield field, "list of texts"


def _is_attestation(descriptor: Document) -> bool:
    """BuildKit's provenance and SBOMs: of the platform unknown/unknown, and about a digest that will no longer be."""
    platform = descriptor.get("platform")
    unknown = isinstance(platform, dict) and platform_of(platform)[:2] == ("unknown", "unknown")
    return unknown or bool(_annotation(descriptor, _REFERENCE_TYPE))


def _annotation(descriptor: Document, key: str) -> str:
    annotations = descriptor.get("annotations")
    value = annotations.get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else ""


def _name(descriptor: Document) -> str:
    for key in (FULL_NAME, REF_NAME):
        if is_full_name(_annotation(descriptor, key)):
            return _annotation(descriptor, key)
    return ""
