"""Where bytes lie: a section of a file, so that layouts and archives are read alike and never unpacked."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pillion.image.refusal import Refusal

CHUNK = 1 << 20
VIEW = 1 << 18


class Blob(NamedTuple):
    """`size` bytes from `offset` of a regular file."""

    path: Path
    offset: int
    size: int

    @classmethod
    def of_file(cls, path: Path) -> Blob:
        """The whole of a file. Raises OSError; a device or a FIFO is one too (it could be read for ever)."""
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a regular file")
        return cls(path, 0, status.st_size)

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """The bytes in pieces; fewer than promised if the file was cut."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            left = self.size
            while left and (chunk := file.read(min(size, left))):
                left -= len(chunk)
                yield chunk

    def views(self) -> Iterator[memoryview]:
        """The bytes in pieces that are good until the next one: in one buffer, which stays in the processor's cache."""
        buffer = memoryview(bytearray(min(self.size, VIEW) or 1))
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            left = self.size
            while left and (length := file.readinto(buffer[:left])):
                left -= length
                yield buffer[:length]

    def read(self, what: str, name: str, longest: int) -> bytes:
        """All of it, if that is not more than `longest` bytes. Raises Refusal."""
        if self.size > longest:
            raise Refusal(what, f"{name} has {self.size} bytes, over the limit of {longest}", "export the image again")
        return b"".join(self.chunks())


def check_blob(blob: Blob, digest: str, what: str, name: str, progress: Callable[[int], None]) -> None:
    """Read it all and compare. Raises Refusal if the bytes are not those that the digest names."""
    found = hash_blob(blob, progress)
    if found != digest:
        why = f"{name} has the digest {found} where {digest} is promised"
        raise Refusal(what, why, "it was changed or damaged: export the image again")


def hash_blob(blob: Blob, progress: Callable[[int], None] = lambda size: None) -> str:
    """The digest of the bytes."""
    sha256 = hashlib.sha256()
    for chunk in blob.views():
        sha256.update(chunk)
        progress(len(chunk))
    return f"sha256:{sha256.hexdigest()}"


def check_size(blob: Blob, size: int, what: str, name: str) -> Blob:
    """Cheap, and finds what was truncated. Raises Refusal."""
    if blob.size != size:
        why = f"{name} has {blob.size} bytes where {size} are promised"
        raise Refusal(what, why, "it was cut off or changed: export the image again")
    return blob
