"""Composing, step by step: read the documents, verify and look through the layers, merge; writing comes after that.

The thin edge around `merge`: files are read here and written in `write`; nothing is written before all is known.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from pillion.image.compose.base_files import judge_files
from pillion.image.compose.blob import Blob, check_blob
from pillion.image.compose.document import digest_of, write_document
from pillion.image.compose.image import Image, Images, Layer, Platform, Sidecar
from pillion.image.compose.layer_cache import recall, remember
from pillion.image.compose.layer_files import Files, LayerFiles, scan_layer, stack
from pillion.image.compose.layout import FULL_NAME, REF_NAME
from pillion.image.compose.load import load
from pillion.image.compose.media_types import DOCKER, GZIP, ZSTD, Family, compression_of
from pillion.image.compose.merge import Merged, Options, merge
from pillion.image.compose.rebase import backend_of
from pillion.image.compose.reference import DOCKER_ARCHIVE, LAYOUT, Reference
from pillion.image.compose.sidecar import load_sidecars
from pillion.image.compose.tar_stream import Damaged
from pillion.image.compose.user import is_numeric
from pillion.image.compose.write import Content, Contents, blob_path, size_of, write_archive, write_layout
from pillion.image.environ.finding import Finding
from pillion.image.refusal import Refusal

# (what is being done, bytes of all of it, bytes more that are done)
Progress = Callable[[str, int, int], None]
_WHAT = "build the combined image"


class Request(NamedTuple):
    """`sidecar` None is for a check without one. `rebase` says that `base` is a combined image, whose backend is meant.
    Without `verify` neither the digests of the base's layers nor its files are looked at. `family` is the format of the
    result where it is not to be the base's. `cache` keeps what layers hold from one build to the next."""

    base: Reference
    sidecar: Reference | None
    options: Options = Options()
    platform: Platform | None = None
    verify: bool = True
    rebase: bool = False
    family: Family | None = None
    cache: Path | None = None


class Composed(NamedTuple):
    """One platform's backend, sidecar and what they merge into; `findings` are all that is to be said of it."""

    base: Image
    sidecar: Sidecar
    merged: Merged
    findings: tuple[Finding, ...]


class Composition(NamedTuple):
    """The combined image, or one a platform, not yet written."""

    composed: tuple[Composed, ...]
    multi_platform: bool
    findings: tuple[Finding, ...]


def compose(request: Request, progress: Progress) -> Composition:
    """Read, verify, look through and merge. Raises Refusal."""
    loaded = load(request.base, request.platform, _WHAT)
    sidecars = load_sidecars(request.sidecar, request.cache, _WHAT) if request.sidecar else []
    images = [backend_of(image, _WHAT) if request.rebase else image for image in loaded.images]
    if request.family:
        images = [image._replace(family=request.family) for image in images]
    chosen = [_choose(image, sidecars) if request.sidecar else (_no_sidecar(image), None) for image in images]
    for image in images:
        if image.platform.os != "linux":
            raise Refusal(_WHAT, f"{image.source} is for {image.platform}, not for linux", "choose another image")
    looked_through = _inspect(images, request.verify, request.cache, progress)
    composed = []
    for image, (sidecar, sidecar_files) in zip(images, chosen, strict=True):
        files = _files(image, looked_through)
        merged = merge(image, sidecar, files or Files({}), request.options)
        seen = tuple(judge_files(files, sidecar_files)) if files else (_NOT_LOOKED_AT,)
        composed.append(Composed(image, sidecar, merged, (*seen, *merged.findings)))
    return Composition(tuple(composed), loaded.multi_platform, _findings(loaded, composed))


_NOT_LOOKED_AT = Finding("S3", "/opt", "the base's files were not looked through (--no-verify)")


def _findings(loaded: Images, composed: list[Composed]) -> tuple[Finding, ...]:
    """Each once, worst first."""
    found = {finding: None for each in composed for finding in each.findings}
    if loaded.dropped:
        happens = f"{loaded.dropped} dropped: they attest to other bytes than the combined image has"
        found[Finding("S3", "attestations", happens)] = None
    return tuple(sorted(found, key=lambda finding: finding.severity))


def unnamed_there(composition: Composition, to: Reference) -> bool:
    """Whether podman and skopeo overlook the image's tag: in layouts they look for OCI manifests' alone."""
    single = None if composition.multi_platform else composition.composed[0].base.family
    return to.transport == LAYOUT and single is DOCKER


def _no_sidecar(image: Image) -> Sidecar:
    """Stands for the sidecar in a check of the backend alone."""
    nothing = f"sha256:{64 * '0'}"
    descriptor = {"mediaType": image.family.layers[GZIP], "digest": nothing, "size": 0}
    return Sidecar("", Layer(descriptor, nothing, Blob(Path(os.devnull), 0, 0)), image.platform)


def _choose(image: Image, sidecars: list[tuple[Sidecar, LayerFiles]]) -> tuple[Sidecar, LayerFiles]:
    for sidecar, files in sidecars:
        if sidecar.platform.fits(image.platform):
            return sidecar, files
    there = ", ".join(str(sidecar.platform) for sidecar, _ in sidecars)
    why = f"the sidecar is for {there}, and {image.source} has an image for {image.platform}"
    raise Refusal(_WHAT, why, f"give a sidecar for it, or choose with --platform {there.partition(',')[0]}")


def _inspect(images: list[Image], verify: bool, cache: Path | None, progress: Progress) -> Mapping[str, LayerFiles]:
    """Every layer's digest and headers, each layer once and several at a time: hashing and inflating let others run."""
    layers = {layer.digest: (image, layer) for image in images for layer in image.layers}
    names = any(not is_numeric(str(image.settings.get("User") or "")) for image in images)
    hashed = layers if verify else {}
    known = {digest: files for digest in layers if cache and (files := recall(cache, digest))}
    scanned = {digest: each for digest, each in layers.items() if (verify or names) and digest not in known}
    total = sum(layer.blob.size for chosen in (hashed, scanned) for _, layer in chosen.values())
    stop = threading.Event()

    def tick(size: int) -> None:
        if stop.is_set():
            raise InterruptedError
        progress("verifying", total, size)

    def scan(image: Image, layer: Layer) -> LayerFiles:
        try:
            return scan_layer(layer.blob, tick)
        except Damaged as error:
            raise Refusal(_WHAT, f"{image.source}: layer {layer.digest}: {error}", "export the image again") from error

    def check(image: Image, layer: Layer) -> None:
        check_blob(layer.blob, layer.digest, _WHAT, f"{image.source}: layer {layer.digest}", tick)

    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 4)) as pool:
        try:
            scans = {digest: pool.submit(scan, *each) for digest, each in _largest_first(scanned)}
            checks = [pool.submit(check, *each) for _, each in _largest_first(hashed)]
            for done in checks:
                done.result()
            found = {digest: done.result() for digest, done in scans.items()}
        except OSError as error:
            raise Refusal(_WHAT, f"{error.filename}: {error.strerror}", "export the image again") from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    if cache and verify:
        for digest, new in found.items():
            remember(cache, digest, new)
    return {**known, **found}


def _largest_first(layers: Mapping[str, tuple[Image, Layer]]) -> Iterator[tuple[str, tuple[Image, Layer]]]:
    return iter(sorted(layers.items(), key=lambda item: -item[1][1].blob.size))


def _files(image: Image, looked_through: Mapping[str, LayerFiles]) -> Files | None:
    if any(layer.digest not in looked_through for layer in image.layers):
        return None
    return stack(looked_through[layer.digest] for layer in image.layers)


def write(composition: Composition, name: str, to: Reference, progress: Progress) -> str:
    """Write it; `name` is a full name or "". Gives the digest that the image then has. Raises Refusal."""
    contents = contents_of(composition, name, to)
    total = sum(map(size_of, contents.blobs.values()))
    writer = write_layout if to.transport == LAYOUT else write_archive
    writer(to.path, contents, _WHAT, lambda size: progress("writing", total, size))
    return str(contents.descriptor["digest"])


def contents_of(composition: Composition, name: str, to: Reference) -> Contents:
    """All blobs, and the documents that list them. Raises Refusal if the form cannot hold the image."""
    blobs: dict[str, Content] = {}
    manifests = []
    for base, sidecar, merged, _ in composition.composed:
        for layer in (*base.layers, sidecar.layer):
            blobs[layer.digest] = layer.blob
        for data in (merged.config_bytes, merged.manifest_bytes):
            blobs[digest_of(data)] = data
        manifests.append(_descriptor(merged.manifest["mediaType"], merged.manifest_bytes, base.platform))
    if composition.multi_platform:
        family = composition.composed[0].base.family
        index = write_document({"schemaVersion": 2, "mediaType": family.index_type, "manifests": manifests})
        blobs[digest_of(index)] = index
        descriptor = _descriptor(family.index_type, index, None)
        docker = None
    else:
        (descriptor,) = manifests
        docker = _docker_entry(composition.composed[0].merged, name)
    _check_docker(composition, to)
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


def _check_docker(composition: Composition, to: Reference) -> None:
    if to.transport != DOCKER_ARCHIVE:
        return
    if composition.multi_platform:
        raise Refusal(_WHAT, f"{to}: Docker's archives hold one platform", "choose with --platform, or oci-archive:")
    for layer in composition.composed[0].merged.manifest["layers"]:
        if compression_of(layer["mediaType"]) == ZSTD:
            why = f"layer {layer['digest']} is zstd, which docker before 23 cannot load"
            raise Refusal(_WHAT, why, "write an oci-archive:, or compress the base with gzip")
