"""An image in an engine's store, as far as the engine says it, and what a store can do."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pillion.image.compose.document import digest_of, read_document
from pillion.image.compose.image import Document, Image, Layer
from pillion.image.compose.layer_files import LayerFiles
from pillion.image.compose.layout import check_config, diff_ids_of
from pillion.image.compose.media_types import Family
from pillion.image.compose.reference import Reference
from pillion.image.engine import Engine, complaint
from pillion.image.refusal import Refusal

# Gigabytes may have to be moved.
MOVE_S = 3600.0


class Stored(NamedTuple):
    """`id` is what the engine calls it, `sha256:...`; `name` a full name of it or ""; `said` all that was said."""

    reference: Reference
    id: str
    name: str
    said: dict[str, Any]

    @property
    def driver(self) -> Mapping[str, Any]:
        """How its layers lie on disk."""
        return self.said.get("GraphDriver") or {}

    @property
    def diff_ids(self) -> list[str]:
        """Its layers', lowest first."""
        return (self.said.get("RootFS") or {}).get("Layers") or []


class Store(Protocol):
    """One engine's. `what` is for errors."""

    def find(self, reference: Reference, what: str) -> Stored:
        """Raises Refusal if it has no such image."""

    def image(self, stored: Stored, what: str) -> Image | None:
        """The image without its layers' bytes, each document verified; None if the store does not show them."""

    def look(self, stored: Stored, what: str) -> tuple[LayerFiles, ...] | None:
        """What is at the paths that matter, by layers or all as if they were one; None if the store does not let us."""

    def export(self, stored: Stored, place: Callable[[str], Path], what: str) -> Reference:
        """The whole image as files. Raises Refusal."""

    def load(self, archive: Path, what: str) -> None:
        """Take in an archive, which may lack what the store has. Raises Refusal."""


class Inspected:
    """What an engine says of images; of those that will be asked for at once, as each call takes as long as all, and
    from the start, while the engine's version is asked for."""

    def __init__(self, engine: Engine, expected: Sequence[str]) -> None:
        self._engine, self._expected = engine, expected
        self._known: dict[str, dict[str, Any]] = {}
        self._asking = threading.Thread(target=self._ask, name="inspect", daemon=True)
        self._asking.start()

    def find(self, reference: Reference) -> dict[str, Any] | None:
        """None if it has no such image."""
        self._asking.join()
        return self._known.get(reference.name) or self._engine.inspect_image(reference.name)

    def _ask(self) -> None:
        with contextlib.suppress(Refusal):  # whoever needs an image asks again
            said = self._engine.inspect_images(*self._expected) if self._expected else None
            self._known.update(zip(self._expected, said or (), strict=False))


def full_name_of(reference: Reference, said: Mapping[str, Any]) -> str:
    """Of the names that an image has, the one that it was asked for by; "" if it has none."""
    names = [name for name in said.get("RepoTags") or [] if isinstance(name, str)]
    asked = reference.name.removesuffix(":latest")
    named = [name for name in names if name.removesuffix(":latest").endswith(asked)]
    return next(iter((*named, *names)), "")


def tell(engine: Engine, what: str, *arguments: str, file: Path) -> None:
    """A Refusal with the engine's complaint if it does not do it. `file` is what it is to read or write: beside that it
    may have its temporary files too, as not all of them are gone when it fails."""
    environ = {**os.environ, "TMPDIR": str(file.parent)}
    done = engine.run(*arguments, str(file), environ=environ, timeout_s=MOVE_S)
    if done.returncode:
        mend = "set TMPDIR to a place with room" if "no space left" in done.stderr else ""
        raise Refusal(what, f"{engine.name} {arguments[0]}: {complaint(done.stderr)}", mend)


def image_of(stored: Stored, family: Family, manifest: Document, config_data: bytes, digest: str, what: str) -> Image:
    """From the documents that a store has, the layers staying where they are. Raises Refusal."""
    source = str(stored.reference)
    config = read_document(config_data, what, f"{source}: the config {digest_of(config_data)}")
    check_config(config, what, source)
    diff_ids = diff_ids_of(config, what, source)
    layers = manifest["layers"]
    if len(diff_ids) != len(layers):
        raise Refusal(what, f"{source} has {len(layers)} layers and {len(diff_ids)} rootfs.diff_ids", "pull it again")
    placed = tuple(Layer(layer, diff_id, None) for layer, diff_id in zip(layers, diff_ids, strict=True))
    return Image(source, family, manifest, config, placed, digest, stored.name)
