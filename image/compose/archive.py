"""The members of an archive that is a plain tar: where each lies in it, without unpacking any."""

from __future__ import annotations

import posixpath
from pathlib import Path

from pillion.image.compose.blob import Blob
from pillion.image.compose.media_types import PLAIN
from pillion.image.compose.tar_headers import HARD_LINK, REGULAR, SYMLINK, Entry, entries
from pillion.image.compose.tar_stream import Damaged, Seekable, compression
from pillion.image.refusal import Refusal

# An image has some dozens; a directory of more is not an image.
MOST_MEMBERS = 100_000
_MOST_LINKS = 8


def read_members(path: Path, what: str) -> dict[str, Blob]:
    """Name to section of the file; links (old `docker save` has them) lead to what they name. Raises Refusal."""
    try:
        whole = Blob.of_file(path)
        if compression(whole) != PLAIN:
            raise Refusal(what, f"{path} is compressed", f"decompress it first: gunzip {path}")
        return _resolve(*_index(whole))
    except Damaged as error:
        raise Refusal(what, f"{path}: {error}", "export the image again") from error
    except OSError as error:
        raise Refusal(what, f"{path}: {error.strerror}", "name the archive") from error


def _index(whole: Blob) -> tuple[dict[str, Blob], dict[str, str]]:
    members: dict[str, Blob] = {}
    links: dict[str, str] = {}
    stream = Seekable(whole)
    try:
        for entry in entries(stream):
            name = _inside(entry.name, entry)
            if entry.kind == REGULAR:
                if stream.position + entry.size > whole.size:
                    raise Damaged("it ends in the middle of a file")
                members[name] = Blob(whole.path, stream.position, entry.size)
            elif entry.kind == SYMLINK:
                links[name] = _inside(posixpath.join(posixpath.dirname(name), entry.link), entry)
            elif entry.kind == HARD_LINK:
                links[name] = _inside(entry.link, entry)
            if len(members) + len(links) > MOST_MEMBERS:
                raise Damaged(f"it has more than {MOST_MEMBERS} members and is no image")
    finally:
        stream.close()
    return members, links


def _inside(name: str, entry: Entry) -> str:
    normal = posixpath.normpath(name)
    if normal.startswith(("/", "../")) or normal == ".." or "\0" in normal:
        raise Damaged(f"its member {entry.name[:200]!r} leads out of the archive")
    return normal


def _resolve(members: dict[str, Blob], links: dict[str, str]) -> dict[str, Blob]:
    for name, target in links.items():
        for _ in range(_MOST_LINKS):
            if target in members:
                members.setdefault(name, members[target])
                break
            target = links.get(target, "")
    return members
