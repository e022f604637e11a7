"""Podman's store (containers-storage.conf(5)): documents from its files, verified; the few files that matter from where
its layers lie unpacked; no more of these, unless they are wanted elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path

from pillion.image.compose.document import LONGEST_DOCUMENT, check_descriptor, digest_of, read_document
from pillion.image.compose.image import Image
from pillion.image.compose.layer_files import LayerFiles
from pillion.image.compose.media_types import DOCKER, compression_of, family_of
from pillion.image.compose.reference import LAYOUT, Reference
from pillion.image.compose.stores.directory import as_layout
from pillion.image.compose.stores.overlay import layer_directories, look_into_all
from pillion.image.compose.stores.stored import Inspected, Stored, full_name_of, image_of, tell
from pillion.image.engine import PODMAN, Engine, check_engine, locate_engine
from pillion.image.refusal import Refusal


class PodmanStore:
    """The caller's own: root's, or a user's."""

    def __init__(self, engine: Engine, inspected: Inspected) -> None:
        self._engine, self._inspected = engine, inspected

    @classmethod
    def open(cls, what: str, expected: Sequence[str]) -> PodmanStore:
        """`expected` are names that will be asked for. Raises Refusal if there is no podman that can be worked with."""
        engine = locate_engine(PODMAN, what, "name an image in a layout or an archive")
        inspected = Inspected(engine, expected)
        return cls(check_engine(engine, what), inspected)

    def find(self, reference: Reference, what: str) -> Stored:
        """Raises Refusal if it has no such image."""
        said = self._inspected.find(reference)
        if said is None:
            raise Refusal(what, f"podman's store has no image {reference.name}", "podman images lists those it has")
        return Stored(reference, f"sha256:{said['Id']}", full_name_of(reference, said), said)

    def image(self, stored: Stored, what: str) -> Image | None:
        """Of an overlay store, the only one whose place podman tells along with the image."""
        said = stored.said
        directories = layer_directories(stored.driver)
        if not directories:
            return None
        folder = directories[-1].parents[2] / f"{stored.driver['Name']}-images" / said["Id"]
        digest = str(said.get("Digest"))
        data = _kept(folder, f"manifest-{digest}", digest) or _kept(folder, "manifest", digest)
        config = _kept(folder, stored.id, stored.id)
        if data is None or config is None:
            return None
        manifest = read_document(data, what, f"{stored.reference}: manifest {digest}")
        family = family_of(manifest) or (DOCKER if manifest.get("mediaType") == DOCKER.manifest else None)
        layers = manifest.get("layers")
        if family is None or not isinstance(layers, list) or (manifest.get("config") or {}).get("digest") != stored.id:
            return None
        for at, layer in enumerate(layers):
            check_descriptor(layer, what, f"{stored.reference}: {digest}.layers[{at}]")
            if compression_of(layer["mediaType"]) is None:
                return None
        return image_of(stored, family, manifest, config, digest, what)

    def look(self, stored: Stored, what: str) -> tuple[LayerFiles, ...] | None:
        """Without a mount, which would have to be undone."""
        return look_into_all(stored.driver, len(stored.diff_ids))

    def export(self, stored: Stored, place: Callable[[str], Path], what: str) -> Reference:
        """In the format it has, or podman would write its config anew; layers as they are, uncompressed."""
        folder = place("exported")
        docker = stored.said.get("ManifestType") == DOCKER.manifest
        form = ("docker-dir",) if docker else ("oci-dir", "--uncompressed")
        tell(self._engine, what, "save", "--quiet", "--format", *form, stored.said["Id"], "--output", file=folder)
        if docker:
            as_layout(folder, what)
        return Reference(LAYOUT, folder)

    def load(self, archive: Path, what: str) -> None:
        """podman looks for each layer in its store before it opens the archive for it."""
        tell(self._engine, what, "load", "--quiet", "--input", file=archive)


def _kept(folder: Path, key: str, digest: str) -> bytes | None:
    """A document of the store ("big data", named in base64 but for plain words), if it is what the digest says."""
    name = key if key.isalpha() else f"={base64.b64encode(key.encode()).decode()}"
    try:
        with (folder / name).open("rb") as file:
            data = file.read(LONGEST_DOCUMENT + 1)
    except OSError:
        return None
    return data if digest_of(data) == digest else None
