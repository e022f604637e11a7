"""Every layer that is at hand: its digest verified, and its headers read for the few paths that matter to us."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pillion.image.compose.blob import Blob, check_blob
from pillion.image.compose.image import Image, Layer
from pillion.image.compose.layer_cache import recall, remember
from pillion.image.compose.layer_files import Files, LayerFiles, scan_layer, stack
from pillion.image.compose.tar_stream import Damaged
from pillion.image.compose.user import is_numeric
from pillion.image.refusal import Refusal

if TYPE_CHECKING:
    from concurrent.futures import Future

# How long one thread may keep Python from the others, in seconds: those that hash need it for a moment a piece.
_TURN_S = 0.0005


def needs_accounts(image: Image) -> bool:
    """Whether USER is a name, so that the image's passwd has to be read."""
    return not is_numeric(str(image.settings.get("User") or ""))


class Looking:
    """What goes on beside the caller, who has other things to do meanwhile."""

    def __init__(
        self,
        known: Mapping[str, LayerFiles],
        scans: Mapping[str, Future[LayerFiles]],
        checks: list[Future[None]],
        cache: Path | None,
    ) -> None:
        self._known, self._scans, self._checks, self._cache = known, scans, checks, cache

    def files(self) -> Mapping[str, LayerFiles]:
        """What is in the layers; if that is not known already, once all are verified. Raises Refusal."""
        if not self._scans:
            return self._known
        self.finish()
        found = {digest: done.result() for digest, done in self._scans.items()}
        if self._cache and self._checks:
            for digest, new in found.items():
                remember(self._cache, digest, new)
        return {**self._known, **found}

    def finish(self) -> None:
        """Until all are verified that are to be. Raises Refusal."""
        for done in self._checks:
            done.result()


@contextmanager
def look_through(
    images: list[Image], verify: bool, cache: Path | None, progress: Callable[[str, int, int], None], what: str
) -> Iterator[Looking]:
    """Each layer once and several at a time: hashing and inflating let others run. Raises Refusal."""
    layers = {
        layer.digest: (image, layer, layer.blob) for image in images for layer in image.layers if layer.blob is not None
    }
    names = any(map(needs_accounts, images))
    hashed = layers if verify else {}
    known = {digest: files for digest in layers if cache and (files := recall(cache, digest))}
    scanned = {digest: each for digest, each in layers.items() if (verify or names) and digest not in known}
    if not hashed and not scanned:
        yield Looking(known, {}, [], None)
        return
    total = sum(blob.size for chosen in (hashed, scanned) for _, _, blob in chosen.values())
    stop = threading.Event()

    def tick(size: int) -> None:
        if stop.is_set():
            raise InterruptedError
        progress("verifying", total, size)

    def scan(image: Image, layer: Layer, blob: Blob) -> LayerFiles:
        try:
            return scan_layer(blob, tick)
        except Damaged as error:
            raise Refusal(what, f"{image.source}: layer {layer.digest}: {error}", "export the image again") from error

    def check(image: Image, layer: Layer, blob: Blob) -> None:
        check_blob(blob, layer.digest, what, f"{image.source}: layer {layer.digest}", tick)

    from concurrent.futures import ThreadPoolExecutor  # it takes as long to import as small images to build

    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 4)) as pool:
        try:
            scans = {digest: pool.submit(scan, *each) for digest, each in _largest_first(scanned)}
            checks = [pool.submit(check, *each) for _, each in _largest_first(hashed)]
            yield Looking(known, scans, checks, cache if verify else None)
        except OSError as error:
            raise Refusal(what, f"{error.filename}: {error.strerror}", "export the image again") from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            sys.setswitchinterval(before)


_Found = tuple[Image, Layer, Blob]


def _largest_first(layers: Mapping[str, _Found]) -> Iterator[tuple[str, _Found]]:
    return iter(sorted(layers.items(), key=lambda item: -item[1][2].size))


def files_of(image: Image, looked_through: Mapping[str, LayerFiles]) -> Files | None:
    """All of its layers on each other; None if one of them was not looked through."""
    if any(layer.digest not in looked_through for layer in image.layers):
        return None
    return stack(looked_through[layer.digest] for layer in image.layers)
