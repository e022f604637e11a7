"""Whom `USER` means, as numbers: Kubernetes' runAsNonRoot refuses names (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from pillion.image.compose.layer_files import GROUP, PASSWD, Files
from pillion.image.compose.tar_headers import REGULAR


class Nobody(Exception):
    """The image does not say who that is, so no engine could start it; the text says what is missing."""


def is_numeric(user: str) -> bool:
    """Whether no file of the image is needed to know who it is."""
    return all(part.isascii() and part.isdigit() for part in user.split(":", 1)) if user else True


def numeric_user(user: str, files: Files) -> str:
    """`UID` or `UID:GID` for a name or number with or without a group, "" for "". Raises Nobody.

    Without a group there is none in the result: engines then add the primary and supplementary groups by the uid.
    """
    if is_numeric(user):
        return user
    name, colon, group = user.partition(":")
    uid = name if name.isascii() and name.isdigit() else _find(name, PASSWD, files)
    if not colon or not group:
        return uid
    gid = group if group.isascii() and group.isdigit() else _find(group, GROUP, files)
    return f"{uid}:{gid}"


def _find(name: str, path: str, files: Files) -> str:
    entry = files.present.get(path)
    if entry is None:
        raise Nobody(f"the image has no /{path}")
    if entry.kind != REGULAR:
        raise Nobody(f"/{path} is a link")
    for fields in _rows(entry.content):
        if fields[0] == name and len(fields) > 2 and fields[2].isdigit():
            return fields[2]
    raise Nobody(f"/{path} does not name {name!r}")


def _rows(content: bytes) -> Iterator[list[str]]:
    for line in content.decode("utf-8", "surrogateescape").splitlines():
        yield line.strip().split(":")
