"""A tar read from front to back: exact reads and cheap skips, from a plain file or through a decompressor.

gzip may have several members (RFC 1952 section 2.2: estargz layers have thousands).
"""

from __future__ import annotations

import importlib
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from pillion.image.compose.blob import CHUNK, Blob
from pillion.image.compose.media_types import GZIP, PLAIN, ZSTD

_MAGIC = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTD}
_GZIP_WINDOW = 31
# Of compressed bytes, and the most of what comes out of them at once: small enough to stay in the processor's cache
# (twice as much is a sixth slower).
_PIECE, _INFLATED = 1 << 16, 1 << 17


class Damaged(Exception):
    """The stream ends early, or is no such stream; the text says which."""


class TarStream(Protocol):
    """What a tar is read from."""

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or what is left of them at the end."""

    def skip(self, size: int) -> None:
        """Move on. Raises Damaged if the stream has ended before."""


class Seekable:
    """Skips by seeking."""

    def __init__(self, blob: Blob) -> None:
        self._file = blob.path.open("rb", buffering=0)
        self._end = blob.offset + blob.size
        self.position = blob.offset

    def read(self, size: int) -> bytes:
        # One system call a header, and not a buffer full of a file that is skipped next.
        data = os.pread(self._file.fileno(), min(size, self._end - self.position), self.position)
        self.position += len(data)
        return data

    def skip(self, size: int) -> None:
        if self.position + size > self._end:
            raise Damaged("it ends in the middle of a file")
        self.position += size

    def close(self) -> None:
        """Done with it."""
        self._file.close()


class Chunked:
    """Skips by dropping pieces as they come."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._piece = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        at = self._at
        if at + size <= len(self._piece):
            self._at = at + size
            return self._piece[at : at + size]
        parts = []
        while size:
            if self._at == len(self._piece) and not self._next():
                break
            part = self._piece[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        while size:
            left = len(self._piece) - self._at
            if size <= left:
                self._at += size
                return
            size -= left
            if not self._next():
                raise Damaged("it ends in the middle of a file")

    def close(self) -> None:
        """Done with it."""

    def _next(self) -> bool:
        self._at = 0
        self._piece = next(filter(None, self._chunks), b"")
        return bool(self._piece)


def compression(blob: Blob) -> str:
    """How the bytes are compressed, by their first ones: engines go by these and not by the media type."""
    with blob.path.open("rb", buffering=0) as file:
        file.seek(blob.offset)
        head = file.read(min(4, blob.size))
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), PLAIN)


def decompressed(blob: Blob, tick: Callable[[int], None] = lambda size: None) -> Iterator[bytes]:
    """The bytes of the tar, in pieces of bounded size; `tick` hears of every piece that is read. Raises Damaged, also
    if this Python cannot read zstd."""
    kind = compression(blob)
    chunks = _ticking(blob.chunks(_PIECE), tick)
    if kind == GZIP:
        return _gunzip(chunks)
    return _unzstd(chunks) if kind == ZSTD else chunks


def _ticking(chunks: Iterator[bytes], tick: Callable[[int], None]) -> Iterator[bytes]:
    untold = 0
    for chunk in chunks:
        untold += len(chunk)
        if untold >= CHUNK:
            tick(untold)
            untold = 0
        yield chunk
    tick(untold)


def open_tar(blob: Blob, tick: Callable[[int], None] = lambda size: None) -> Seekable | Chunked:
    """The tar in the blob, decompressed; a plain one is skipped through."""
    return Seekable(blob) if compression(blob) == PLAIN else Chunked(decompressed(blob, tick))


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflating = _inflating()
    member = inflating.decompressobj(_GZIP_WINDOW)
    fresh = True
    try:
        for data in chunks:
            while data:
                piece = member.decompress(data, _INFLATED)
                fresh = False
                while piece:
                    yield piece
                    # What did not fit stays inside, even when all of the input is used up.
                    piece = member.decompress(member.unconsumed_tail, _INFLATED) if not member.eof else b""
                data = member.unused_data if member.eof else b""
                if member.eof:
                    member, fresh = inflating.decompressobj(_GZIP_WINDOW), True
    except (zlib.error, inflating.error) as error:
        raise Damaged(f"its gzip stream is damaged ({str(error).rpartition(': ')[2]})") from error
    if not fresh:
        raise Damaged("its gzip stream ends early")


def _unzstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    zstd = _zstd()
    frame = zstd.ZstdDecompressor()
    fresh = True
    try:
        for data in chunks:
            while data:
                yield frame.decompress(data, CHUNK)
                fresh = False
                while not frame.eof and not frame.needs_input:
                    yield frame.decompress(b"", CHUNK)
                data = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame, fresh = zstd.ZstdDecompressor(), True
    except zstd.ZstdError as error:
        raise Damaged("its zstd stream is damaged") from error
    if not fresh:
        raise Damaged("its zstd stream ends early")


def _inflating() -> Any:
    """Intel's ISA-L where it is installed (the same interface, twice as fast), else the standard library's zlib."""
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError:
        return zlib


def _zstd() -> Any:
    """The module of Python 3.14 (PEP 784), or what brings it to older ones."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise Damaged("it is zstd, which needs pip install backports.zstd")
