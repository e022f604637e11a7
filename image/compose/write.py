"""Writes a layout or an archive of one: beside, then renamed, so that nothing is ever half-written.

An archive has both `index.json` and `manifest.json`: podman reads the first and wants exactly one manifest in it,
docker the second; both name the same blobs.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from pillion.image.compose.blob import CHUNK, Blob
from pillion.image.compose.document import LONGEST_DOCUMENT, read_document, write_document
from pillion.image.compose.layout import INDEX, REF_NAME
from pillion.image.compose.tar_headers import BLOCK
from pillion.image.refusal import Refusal

MARKER = "oci-layout"
_MARKER_BYTES = write_document({"imageLayoutVersion": "1.0.0"})
_COPY_STEP = 64 << 20
_NO_KERNEL_COPY = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)

Tick = Callable[[int], None]
Content = Blob | bytes


class Contents(NamedTuple):
    """`blobs` maps digests to bytes or where they lie; `descriptor` is what `index.json` will list, None where there
    is to be none; `docker` is the one entry of `manifest.json`, None where Docker's format cannot hold the image."""

    blobs: Mapping[str, Content]
    descriptor: dict[str, Any] | None
    docker: dict[str, Any] | None


def size_of(content: Content) -> int:
    """In bytes."""
    return len(content) if isinstance(content, bytes) else content.size


def blob_path(digest: str) -> str:
    """Where a blob lies in a layout."""
    return f"blobs/{digest.replace(':', '/')}"


def write_layout(path: Path, contents: Contents, what: str, tick: Tick) -> None:
    """A new directory, or one more image in a layout that is there; an image of the same tag is replaced. Blobs that
    are whole files are linked where the file system can: they are never written to again. Raises Refusal."""
    assert contents.descriptor is not None, "a layout without an index is none"
    with _refusing(path, what):
        if path.is_dir() and any(path.iterdir()):
            _add(path, contents, contents.descriptor, what, tick)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(path)
        try:
            (beside / "blobs" / "sha256").mkdir(parents=True)
            for digest, content in contents.blobs.items():
                _place(content, beside / blob_path(digest), tick)
            (beside / MARKER).write_bytes(_MARKER_BYTES)
            (beside / INDEX).write_bytes(write_document(_index([contents.descriptor])))
            beside.rename(path)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise


def _add(path: Path, contents: Contents, descriptor: dict[str, Any], what: str, tick: Tick) -> None:
    """The index is replaced last and at once; blobs that were added are taken away again if that fails."""
    if not (path / MARKER).is_file() or not (path / INDEX).is_file():
        raise Refusal(what, f"{path} is a directory with something else in it", "choose another, or an empty one")
    index = read_document(Blob.of_file(path / INDEX).read(what, INDEX, LONGEST_DOCUMENT), what, f"{path}/{INDEX}")
    listed = index.get("manifests")
    if not isinstance(listed, list):
        raise Refusal(what, f"{path}/{INDEX} has no list of manifests", "choose another directory")
    tag = _tag(descriptor)
    kept = [each for each in listed if not isinstance(each, dict) or _tag(each) != tag]
    added: list[Path] = []
    try:
        for digest, content in contents.blobs.items():
            target = path / blob_path(digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_file() and target.stat().st_size == size_of(content):
                continue
            beside = _beside(target)
            added.append(beside)
            _place(content, beside, tick)
            beside.rename(target)
            added[-1] = target
        beside = _beside(path / INDEX)
        added.append(beside)
        beside.write_bytes(write_document({**index, "manifests": [*kept, descriptor]}))
        beside.rename(path / INDEX)
    except BaseException:
        for each in added:
            each.unlink(missing_ok=True)
        raise


def _tag(descriptor: Mapping[str, Any]) -> str:
    return str((descriptor.get("annotations") or {}).get(REF_NAME, ""))


def write_archive(path: Path, contents: Contents, what: str, tick: Tick) -> None:
    """One tar for podman, docker and skopeo; the same contents give the same bytes. Raises Refusal."""
    with _refusing(path, what):
        if path.is_dir():
            raise Refusal(what, f"{path} is a directory", f"write oci:{path}, or name a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(path)
        try:
            with beside.open("xb") as file:
                if contents.descriptor:
                    _member(file, MARKER, _MARKER_BYTES, tick)
                for digest, content in sorted(contents.blobs.items()):
                    _member(file, blob_path(digest), content, tick)
                if contents.descriptor:
                    _member(file, INDEX, write_document(_index([contents.descriptor])), tick)
                if contents.docker:
                    _member(file, "manifest.json", json.dumps([contents.docker], sort_keys=True).encode("ascii"), tick)
                file.write(bytes(2 * BLOCK))
            beside.rename(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _index(descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": descriptors}


def _member(file: IO[bytes], name: str, content: Content, tick: Tick) -> None:
    import tarfile

    header = tarfile.TarInfo(name)
    header.size = size_of(content)
    header.mode = 0o644
    file.write(header.tobuf(tarfile.GNU_FORMAT))
    _pour(content, file, tick)
    file.write(bytes(-header.size % BLOCK))


def _place(content: Content, target: Path, tick: Tick) -> None:
    if isinstance(content, Blob) and content.offset == 0 and _link(content, target):
        tick(content.size)
        return
    with target.open("xb") as file:
        _pour(content, file, tick)


def _link(blob: Blob, target: Path) -> bool:
    try:
        os.link(blob.path.resolve(), target)
    except OSError:
        return False
    if target.stat().st_size == blob.size:
        return True
    target.unlink()
    return False


def _pour(content: Content, file: IO[bytes], tick: Tick) -> None:
    if isinstance(content, bytes):
        file.write(content)
        tick(len(content))
        return
    file.flush()
    left = content.size
    with content.path.open("rb", buffering=0) as source:
        source.seek(content.offset)
        left -= _kernel_copy(source.fileno(), file.fileno(), left, tick)
        while left and (chunk := source.read(min(CHUNK, left))):
            file.write(chunk)
            left -= len(chunk)
            tick(len(chunk))
    if left:
        raise OSError(errno.EIO, f"{content.path} became shorter while it was read")


def _kernel_copy(source: int, target: int, size: int, tick: Tick) -> int:
    """copy_file_range(2): within one file system it need not copy at all."""
    done = 0
    try:
        while done < size and (step := os.copy_file_range(source, target, min(_COPY_STEP, size - done))):
            done += step
            tick(step)
    except OSError as error:
        if error.errno not in _NO_KERNEL_COPY:
            raise
    return done


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}")


@contextlib.contextmanager
def _refusing(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"{path}: {error.strerror or error}"
        raise Refusal(what, why, "nothing was left there; choose a place that can be written and has room") from error
