"""Composing, step by step: read the documents, verify and look through the layers, merge; writing comes after that.

The thin edge around `merge`: files are read here and written in `write`; nothing is written before all is known.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pillion.image.compose.base_files import judge_files
from pillion.image.compose.contents import contents_of, zstd_layer
from pillion.image.compose.image import Image, Images, Layer, Platform, Sidecar
from pillion.image.compose.layer_files import PREFIX, Files, LayerFiles, stack
from pillion.image.compose.look_through import files_of, look_through, needs_accounts
from pillion.image.compose.media_types import DOCKER, GZIP, Family
from pillion.image.compose.merge import Merged, Options, merge
from pillion.image.compose.rebase import backend_of, is_combined
from pillion.image.compose.reference import LAYOUT, OCI_ARCHIVE, REGISTRY, STORES, Reference
from pillion.image.compose.sidecar import bare_layer, is_bare_layer, judge_sidecars
from pillion.image.compose.stores.fetch import Fetched, Wanted, fetch
from pillion.image.compose.stores.outside import Outside
from pillion.image.compose.write import size_of, write_archive, write_layout
from pillion.image.environ.finding import Finding
from pillion.image.refusal import Refusal

# (what is being done, bytes of all of it, bytes more that are done)
Progress = Callable[[str, int, int], None]
_WHAT = "build the combined image"


# What is exported of the images that stand in the store where the result goes: each step if the one before failed.
NOTHING, SIDECAR, ALL = range(3)


class Request(NamedTuple):
    """`sidecar` None is for a check without one. `rebase` says that `base` is a combined image, whose backend is meant.
    Without `verify` neither the digests of the base's layers nor its files are looked at. `family` is the format of the
    result where it is not to be the base's. `cache` keeps what layers hold from one build to the next. `to` is where it
    will be written, if that is known: layers that stand in that store already stay there and are not verified (None: in
    whatever store they stand), but for what `export` says. Without `tls_verify` a registry may speak plain HTTP."""

    base: Reference
    sidecar: Reference | None
    options: Options = Options()
    platform: Platform | None = None
    verify: bool = True
    rebase: bool = False
    family: Family | None = None
    cache: Path | None = None
    to: Reference | None = None
    export: int = NOTHING
    tls_verify: bool = True


class Composed(NamedTuple):
    """One platform's backend, sidecar and what they merge into; `findings` are all that is to be said of it."""

    base: Image
    sidecar: Sidecar
    merged: Merged
    findings: tuple[Finding, ...]


class Composition(NamedTuple):
    """The combined image, or one a platform, not yet written. What was fetched for it is gone when it is, or closed."""

    composed: tuple[Composed, ...]
    multi_platform: bool
    findings: tuple[Finding, ...]
    request: Request
    outside: Outside

    def close(self) -> None:
        """It was written, or is not going to be."""
        self.outside.close()


def compose(request: Request, progress: Progress) -> Composition:
    """Read, verify, look through and merge. Raises Refusal."""
    outside = Outside(os.environ, [each for each in (request.base, request.sidecar) if each])
    try:
        return _compose(request, outside, progress)
    except BaseException:
        outside.close()
        raise


def _compose(request: Request, outside: Outside, progress: Progress) -> Composition:
    base = fetch(request.base, _base_wanted(request), outside, _WHAT, tls_verify=request.tls_verify)
    loaded = base.images
    images = [backend_of(image, _WHAT) if request.rebase else image for image in loaded.images]
    if request.family:
        images = [image._replace(family=request.family) for image in images]
    for image in images:
        if image.platform.os != "linux":
            raise Refusal(_WHAT, f"{image.source} is for {image.platform}, not for linux", "choose another image")
    composed = []
    with look_through(images, request.verify, request.cache, progress, _WHAT) as looking:
        sidecars = _sidecars(request, outside)
        chosen = [_choose(image, sidecars) if request.sidecar else (_no_sidecar(image), None) for image in images]
        looked_through = looking.files()
        for image, (sidecar, sidecar_files) in zip(images, chosen, strict=True):
            files = _seen_in_store(base, request.rebase) or files_of(image, looked_through)
            merged = merge(image, sidecar, files or Files({}), request.options)
            seen = tuple(judge_files(files, sidecar_files)) if files else (_NOT_LOOKED_AT,)
            composed.append(Composed(image, sidecar, merged, (*seen, *merged.findings)))
        looking.finish()
    return Composition(tuple(composed), loaded.multi_platform, _findings(loaded, composed), request, outside)


def _base_wanted(request: Request) -> Wanted:
    stays = request.export < ALL and (request.to is None or request.to.transport == request.base.transport)
    return Wanted(request.platform, lambda image: stays, lambda image: request.verify or needs_accounts(image))


def _sidecars(request: Request, outside: Outside) -> list[tuple[Sidecar, LayerFiles]]:
    """Where the sidecar stays in its store, docker finds its layer only if it is above this very base already."""
    reference = request.sidecar
    if reference is None:
        return []
    to = request.to or reference
    stays = request.export < SIDECAR and to.transport == reference.transport

    def stays_there(image: Image) -> bool:
        # What is no sidecar at all will be refused, and need not be exported for that.
        return not is_combined(image) and (stays or len(image.layers) != 1)

    if is_bare_layer(reference, _WHAT):
        return [bare_layer(reference, _WHAT)]
    wanted = Wanted(request.platform if reference.transport == REGISTRY else None, stays_there, lambda image: True)
    fetched = fetch(reference, wanted, outside, _WHAT, tls_verify=request.tls_verify)
    return judge_sidecars(fetched.images, fetched.files[-1] if fetched.files else None, request.cache, _WHAT)


def _seen_in_store(base: Fetched, rebase: bool) -> Files | None:
    """A combined image shows its old sidecar at our prefix; below that was nothing, or it would not have been built."""
    if base.files is None:
        return None
    files = stack(base.files)
    if rebase:
        kept = {path: entry for path, entry in files.present.items() if not f"{path}/".startswith(f"{PREFIX}/")}
        return Files(kept)
    return files


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


def not_for_docker(composition: Composition, to: Reference) -> str:
    """Why docker 20.10 cannot load the archive that podman and skopeo can; "" if it can, and elsewhere."""
    if to.transport != OCI_ARCHIVE:
        return ""
    if composition.multi_platform:
        return "it is for several platforms"
    layer = zstd_layer(_parts(composition)[0])
    return f"layer {layer} is zstd" if layer else ""


def _no_sidecar(image: Image) -> Sidecar:
    """Stands for the sidecar in a check of the backend alone."""
    nothing = f"sha256:{64 * '0'}"
    descriptor = {"mediaType": image.family.layers[GZIP], "digest": nothing, "size": 0}
    return Sidecar("", Layer(descriptor, nothing, None), image.platform)


def _choose(image: Image, sidecars: list[tuple[Sidecar, LayerFiles]]) -> tuple[Sidecar, LayerFiles]:
    for sidecar, files in sidecars:
        if sidecar.platform.fits(image.platform):
            return sidecar, files
    there = ", ".join(str(sidecar.platform) for sidecar, _ in sidecars)
    why = f"the sidecar is for {there}, and {image.source} has an image for {image.platform}"
    raise Refusal(_WHAT, why, f"give a sidecar for it, or choose with --platform {there.partition(',')[0]}")


def write(composition: Composition, name: str, to: Reference, progress: Progress) -> str:
    """Write it; `name` is a full name or "", and of no account where `to` is one itself. Gives the digest that the
    image then has: the manifest's, in docker's store the config's. Raises Refusal."""
    if not _is_whole(composition, to):
        whole = compose(composition.request._replace(to=to), progress)
        try:
            return write(whole, name, to, progress)
        finally:
            whole.close()
    if to.transport in STORES:
        return _load(composition, to, progress)
    contents = contents_of(_parts(composition), composition.multi_platform, name, to)
    assert contents.descriptor is not None
    total = sum(map(size_of, contents.blobs.values()))

    def tick(size: int) -> None:
        progress("writing", total, size)

    if to.transport == REGISTRY:
        from pillion.image.compose.stores.registry import push

        layout = _place(composition, "combined")
        write_layout(layout, contents, _WHAT, tick)
        push(layout, to, _WHAT, tls_verify=composition.request.tls_verify)
    else:
        writer = write_layout if to.transport == LAYOUT else write_archive
        writer(to.path, contents, _WHAT, tick)
    return str(contents.descriptor["digest"])


def _is_whole(composition: Composition, to: Reference) -> bool:
    """Whether every layer is at hand, or in the store where the image goes."""
    request = composition.request
    absent = [
        reference
        for each in composition.composed
        for reference, layers in ((request.base, each.base.layers), (request.sidecar, (each.sidecar.layer,)))
        if any(layer.blob is None for layer in layers)
    ]
    return all(reference and reference.transport == to.transport for reference in absent)


def _load(composition: Composition, to: Reference, progress: Progress) -> str:
    """Into an engine's store; with more of the layers if it does not find there what it should have."""
    store = composition.outside.store(to.transport, _WHAT)
    contents = contents_of(_parts(composition), composition.multi_platform, to.name, to)
    archive = _place(composition, "combined.tar")
    total = sum(map(size_of, contents.blobs.values()))
    write_archive(archive, contents, _WHAT, lambda size: progress("writing", total, size))
    try:
        store.load(archive, _WHAT)
    except Refusal:
        archive.unlink()
        more = _to_export(composition)
        if more == NOTHING:
            raise
        fuller = compose(composition.request._replace(to=to, export=more), progress)
        try:
            return _load(fuller, to, progress)
        finally:
            fuller.close()
    archive.unlink()
    config = composition.composed[0].merged.manifest["config"]["digest"]
    return str(contents.descriptor["digest"] if contents.descriptor else config)


def _to_export(composition: Composition) -> int:
    """What more the engine can be given after it did not find what was left out."""
    if any(each.sidecar.layer.blob is None for each in composition.composed):
        return SIDECAR
    return ALL if any(layer.blob is None for each in composition.composed for layer in each.base.layers) else NOTHING


def _place(composition: Composition, name: str) -> Path:
    try:
        return composition.outside.place(name)
    except OSError as error:
        raise Refusal(_WHAT, f"{error.filename}: {error.strerror}", "set TMPDIR to a place with room") from error


def _parts(composition: Composition) -> list[tuple[Image, Sidecar, Merged]]:
    return [(each.base, each.sidecar, each.merged) for each in composition.composed]
