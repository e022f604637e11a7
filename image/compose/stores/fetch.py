"""From a reference of any kind to the images it means, with their layers at hand or left where they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pillion.image.compose.image import Image, Images, Platform
from pillion.image.compose.layer_files import LayerFiles
from pillion.image.compose.load import load
from pillion.image.compose.reference import REGISTRY, STORES, Reference
from pillion.image.compose.stores.outside import Outside
from pillion.image.refusal import Refusal


class Fetched(NamedTuple):
    """`files` is what was found at the paths that matter, lowest layer first, where the layers stay in a store and it
    was looked for."""

    images: Images
    files: tuple[LayerFiles, ...] | None = None


class Wanted(NamedTuple):
    """`stays` asks whether an image may stay in its store, `looks` whether its files are to be looked at."""

    platform: Platform | None
    stays: Callable[[Image], bool]
    looks: Callable[[Image], bool]


def fetch(reference: Reference, wanted: Wanted, outside: Outside, what: str, *, tls_verify: bool) -> Fetched:
    """Reads documents; files are exported or copied only if they have to be. Raises Refusal."""
    try:
        if reference.transport == REGISTRY:
            from pillion.image.compose.stores.registry import pull

            pulled = pull(reference, wanted.platform, outside.place, what, tls_verify=tls_verify)
            return Fetched(_named(load(pulled, wanted.platform, what, str(reference)), reference.name))
        if reference.transport in STORES:
            return _from_store(reference, wanted, outside, what)
    except OSError as error:
        raise Refusal(
            what, f"{error.filename or reference}: {error.strerror}", "set TMPDIR to a place with room"
        ) from error
    return Fetched(load(reference, wanted.platform, what))


def _from_store(reference: Reference, wanted: Wanted, outside: Outside, what: str) -> Fetched:
    store = outside.store(reference.transport, what)
    stored = store.find(reference, what)
    image = store.image(stored, what)
    if image is not None:
        _check_platform(image, wanted.platform, what)
        if wanted.stays(image):
            looks = wanted.looks(image)
            files = store.look(stored, what) if looks else None
            if files is not None or not looks:
                return Fetched(Images((image,)), files)
    exported = load(store.export(stored, outside.place, what), wanted.platform, what, str(reference))
    named = _named(exported, stored.name)
    return Fetched(named._replace(images=(_known(named.images[0], image),)) if image else named)


def _check_platform(image: Image, platform: Platform | None, what: str) -> None:
    if platform and not image.platform.fits(platform):
        raise Refusal(what, f"{image.source} has no image for {platform} (it has {image.platform})", "choose that")


def _named(images: Images, name: str) -> Images:
    """By the name that it has where it was, which a copy need not tell."""
    return images._replace(images=tuple(each._replace(name=name) for each in images.images))


def _known(exported: Image, stored: Image) -> Image:
    """By the digests that it has in the store, whose manifest an export does not keep."""
    pairs = zip(exported.layers, stored.layers, strict=True)
    layers = tuple(layer._replace(before=there.digest) for layer, there in pairs)
    return exported._replace(layers=layers, digest=stored.digest)
