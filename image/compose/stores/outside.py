"""What one build needs beyond the files it was given: each engine, found once, and room on disk for what is fetched."""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pillion.image.compose.reference import PODMAN_STORE, Reference

if TYPE_CHECKING:
    from pillion.image.compose.stores.stored import Store

_DEFAULT = "/var/tmp"


class Outside:
    """Its directory is made when it is first needed, and gone after `close`, when nobody holds this any more, or at the
    end of the program. It is in $TMPDIR, else where there is room for images: not in memory. `references` are those
    that will be fetched."""

    def __init__(self, environ: Mapping[str, str], references: Sequence[Reference] = ()) -> None:
        self._references = references
        self._stores: dict[str, Store] = {}
        self._parent = environ.get("TMPDIR") or (_DEFAULT if os.access(_DEFAULT, os.W_OK) else None)
        self._path: Path | None = None
        self._remove: weakref.finalize[..., Outside] | None = None

    def store(self, transport: str, what: str) -> Store:
        """The engine's. Raises Refusal if it is not installed, does not answer or is too old."""
        if transport not in self._stores:
            expected = [each.name for each in self._references if each.transport == transport]
            self._stores[transport] = _open(transport, what, expected)
        return self._stores[transport]

    def place(self, name: str) -> Path:
        """A path of this name that is not taken. Raises OSError."""
        import tempfile

        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="pillion-build-", dir=self._parent))
            self._remove = weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self._path), name)

    def close(self) -> None:
        """Remove what was fetched, now."""
        if self._remove is not None:
            self._remove()
        self._path = self._remove = None


def _open(transport: str, what: str, expected: Sequence[str]) -> Store:
    """Imported when it is needed: a build from file to file takes hardly longer than to import both."""
    if transport == PODMAN_STORE:
        from pillion.image.compose.stores.podman import PodmanStore

        return PodmanStore.open(what, expected)
    from pillion.image.compose.stores.docker import DockerStore

    return DockerStore.open(what, expected)
