"""Remembers what was found in a layer, by its digest: inflating it once more would find the same.

Only what was verified is remembered, so that an entry is always true of its digest. Whatever cannot be read is not
there, and a cache that cannot be written is none: nothing depends on it but time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from pillion.image.compose.layer_files import LayerFiles
from pillion.image.compose.tar_headers import Entry

# To be raised when a scan finds more than before.
_VERSION = "layers-1"


def cache_folder(environ: Mapping[str, str]) -> Path | None:
    """By the XDG Base Directory Specification; None if there is no home either."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        home = environ.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/.cache"
    return Path(base, "pillion", _VERSION)


def recall(folder: Path, digest: str) -> LayerFiles | None:
    """What was found in the layer, if that is known."""
    try:
        present, removed, opaque, inside, outside, diff_id = json.loads(_file(folder, digest).read_bytes())
        return LayerFiles(
            {path: Entry._make([*entry[:-1], entry[-1].encode("latin-1")]) for path, entry in present.items()},
            frozenset(removed),
            frozenset(opaque),
            int(inside),
            str(outside),
            str(diff_id),
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def remember(folder: Path, digest: str, found: LayerFiles) -> None:
    """For the next time; beside, then renamed."""
    present = {path: [*entry[:-1], entry.content.decode("latin-1")] for path, entry in found.present.items()}
    document = [present, sorted(found.removed), sorted(found.opaque), found.inside, found.outside, found.diff_id]
    file = _file(folder, digest)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            beside.write_text(json.dumps(document))
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)


def _file(folder: Path, digest: str) -> Path:
    return folder / f"{digest.removeprefix('sha256:')}.json"
