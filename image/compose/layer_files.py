"""What the layers of an image say, together, of the few paths that matter to us; the layers are never unpacked.

OCI image-spec, layer.md: entries add and replace, whiteouts (`.wh.NAME`, and `.wh..wh..opq` for all of a directory)
take away what lower layers have, whatever their place in the tar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pillion.image.compose.blob import Blob
from pillion.image.compose.tar_headers import DIRECTORY, REGULAR, Entry, entries
from pillion.image.compose.tar_stream import Damaged, open_tar

PREFIX = "opt/pillion"
ENTRY = f"{PREFIX}/bin/pillion"
PASSWD, GROUP = "etc/passwd", "etc/group"
# More than any passwd file of an image; a longer one is cut, and then a name may not be found in it.
LONGEST_ACCOUNTS = 1 << 20
ELF_HEADER = 20
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
_TOPS = ("opt", "etc", ".wh.opt", ".wh.etc", OPAQUE)
# How the names of files begin that are none of ours: below another top, which is no whiteout either.
_ELSEWHERE = re.compile(rb"(?:\./)?(?!opt[/\0]|etc[/\0])[^./\0]")
_PATHS = frozenset(("opt", "etc", PASSWD, GROUP, PREFIX, ENTRY))


class LayerFiles(NamedTuple):
    """One layer: the entries at the paths that matter, and what it takes away from lower layers.

    `inside` counts what lies below our prefix; `outside` is the first path that is not ours nor on the way. `diff_id`
    is "" where it was not worked out.
    """

    present: Mapping[str, Entry]
    removed: frozenset[str] = frozenset()
    opaque: frozenset[str] = frozenset()
    inside: int = 0
    outside: str = ""
    diff_id: str = ""


def scan_layer(blob: Blob, tick: Callable[[int], None] = lambda size: None) -> LayerFiles:
    """Read the headers of a layer. Raises Damaged, also if an entry leads out of the root."""
    stream = open_tar(blob, tick)
    try:
        return _scan(entries(stream, _wanted, _ELSEWHERE))
    finally:
        stream.close()


def _wanted(entry: Entry) -> int:
    if entry.kind != REGULAR or entry.name[-6:] not in ("passwd", "/group", "illion"):
        return 0
    path = _normal(entry.name)
    if path in (PASSWD, GROUP):
        return LONGEST_ACCOUNTS
    return ELF_HEADER if path == ENTRY else 0


def _scan(found: Iterable[Entry]) -> LayerFiles:
    present: dict[str, Entry] = {}
    removed: set[str] = set()
    opaque: set[str] = set()
    inside, outside = 0, ""
    for entry in found:
        path = _normal(entry.name)
        top, _, _ = path.partition("/")
        if top not in _TOPS:
            outside = outside or path
            continue
        folder, _, last = path.rpartition("/")
        if last == OPAQUE:
            opaque.add(folder)
            outside = outside or path
        elif last.startswith(WHITEOUT):
            removed.add(f"{folder}/{last[len(WHITEOUT) :]}".lstrip("/"))
            outside = outside or path
        else:
            if path in _PATHS:
                present[path] = entry
            if path.startswith(f"{PREFIX}/"):
                inside += 1
            elif path not in ("opt", PREFIX) or entry.kind != DIRECTORY:
                outside = outside or path
    return LayerFiles(present, frozenset(removed), frozenset(opaque), inside, outside)


def _normal(name: str) -> str:
    """The path below the root, without `./`, doubled and closing slashes; "" for the root itself. Raises Damaged."""
    if ".." in name and ".." in name.split("/"):
        raise Damaged(f"its entry {name[:200]!r} leads out of its root")
    if name.startswith(("/", ".")) or "//" in name or "/./" in name or name.endswith("/."):
        return "/".join(part for part in name.split("/") if part not in ("", "."))
    return name.rstrip("/")


class Files(NamedTuple):
    """What is there when all layers lie on each other; `occupied` says that something is at or below our prefix."""

    present: Mapping[str, Entry]
    occupied: bool = False


def stack(layers: Iterable[LayerFiles]) -> Files:
    """The layers on each other, lowest first (pure)."""
    present: dict[str, Entry] = {}
    occupied = False
    for layer in layers:
        for path in [path for path in present if _taken_away(path, layer)]:
            del present[path]
        if occupied and _taken_away(f"{PREFIX}/.", layer):
            occupied = False
        for path, entry in layer.present.items():
            if entry.kind != DIRECTORY:
                for below in [other for other in present if other.startswith(f"{path}/")]:
                    del present[below]
                occupied = occupied and not f"{PREFIX}/".startswith(f"{path}/")
            present[path] = entry
        occupied = occupied or bool(layer.inside) or PREFIX in layer.present
    return Files(present, occupied)


def _taken_away(path: str, layer: LayerFiles) -> bool:
    """Whether this layer hides what lower ones have at the path."""
    parts = path.split("/")
    ancestors = ["/".join(parts[:length]) for length in range(len(parts))]
    return any(above in layer.opaque for above in ancestors) or any(
        above in layer.removed for above in (*ancestors[1:], path)
    )
