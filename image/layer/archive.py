"""Pack a tree into a layer: the same tree gives the same bytes, whoever packs it, when and where.

python3 image/layer/archive.py tree layer.tar.gz
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

PREFIX = "opt/pillion"


class Digests(NamedTuple):
    """The SHA-256 of the tar (`diff_id` in an image's config) and of the file as it was written (in its manifest)."""

    diff_id: str
    blob: str
    size: int


class _Hashing(io.RawIOBase):
    """Passes bytes on and hashes them on the way."""

    def __init__(self, target: BinaryIO | gzip.GzipFile) -> None:
        self._target = target
        self.hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.hash.update(data)
        self.size += len(data)
        return self._target.write(data)


def pack(tree: Path, layer: Path) -> Digests:
    """Write `tree` as /opt/pillion into a gzip file. Raises OSError."""
    with layer.open("wb") as file:
        outer = _Hashing(file)
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=outer, mtime=0) as packed:
            inner = _Hashing(packed)
            with tarfile.open(fileobj=inner, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
                for entry, path in _entries(tree):
                    if path.is_file():
                        with path.open("rb") as content:
                            archive.addfile(entry, content)
                    else:
                        archive.addfile(entry)
    return Digests(f"sha256:{inner.hash.hexdigest()}", f"sha256:{outer.hash.hexdigest()}", outer.size)


def _entries(tree: Path) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    """Everything below the prefix, and the prefix; /opt itself too, because on `scratch` there is none."""
    yield _entry("opt", True, 0, True), tree
    yield _entry(PREFIX, True, 0, True), tree
    for path in sorted(tree.rglob("*"), key=lambda path: path.relative_to(tree).parts):
        status = path.lstat()
        if not (path.is_file() or path.is_dir()) or path.is_symlink():
            raise OSError(f"{path} is neither a file nor a directory")
        name = f"{PREFIX}/{path.relative_to(tree).as_posix()}"
        yield _entry(name, path.is_dir(), status.st_size, bool(status.st_mode & 0o100)), path


def _entry(name: str, directory: bool, size: int, runs: bool) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE if directory else tarfile.REGTYPE
    entry.size = 0 if directory else size
    entry.mode = 0o755 if runs else 0o644
    return entry


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Pack a tree as the layer of /opt/pillion.")
    parser.add_argument("tree", type=Path)
    parser.add_argument("layer", type=Path)
    given = parser.parse_args()
    print(*pack(given.tree, given.layer), sep="\n")


if __name__ == "__main__":
    main()
