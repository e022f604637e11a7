"""What a user calls an image: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, or just a path.

The forms are those of containers-transports(5).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pillion.image.refusal import Refusal

LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE = "oci", "oci-archive", "docker-archive"
TRANSPORTS = (LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE)
_ELSEWHERE = ("containers-storage", "docker", "docker-daemon", "dir", "registry")
# distribution/reference: a name is a domain, a path and a tag.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    rf"(?:(?P<domain>[A-Za-z0-9.-]+(?::\d+)?)/)?(?P<path>{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?", re.A
)


class Reference(NamedTuple):
    """`transport` is one of the three, or "" where only the file can tell; `tag` is "" for the only image there is."""

    transport: str
    path: Path
    tag: str = ""

    def __str__(self) -> str:
        text = f"{self.transport}:{self.path}" if self.transport else str(self.path)
        return f"{text}:{self.tag}" if self.tag else text


def read_reference(text: str, what: str) -> Reference:
    """Raises Refusal for what is no such thing, or lives where we do not go."""
    transport, colon, rest = text.partition(":")
    if colon and transport in TRANSPORTS:
        path, _, tag = rest.partition(":")
        if not path:
            raise Refusal(what, f"{text} names no path", f"as in {transport}:./backend")
        return Reference(transport, Path(path), tag)
    if colon and transport in _ELSEWHERE and not Path(text).exists():
        mend = f"copy it first: skopeo copy {text} oci:backend"
        raise Refusal(what, f"{transport}: (registries and engine stores) is not read here yet", mend)
    return Reference("", Path(text))


def read_destination(text: str, what: str) -> Reference:
    """Where to write; a bare path that ends in .tar is an archive, else a layout. Raises Refusal."""
    reference = read_reference(text, what)
    if reference.transport:
        return reference
    return reference._replace(transport=OCI_ARCHIVE if reference.path.suffix == ".tar" else LAYOUT)


def full_name(text: str, what: str) -> str:
    """A name that all engines understand alike: with a registry (`localhost` by default) and a tag. Raises Refusal."""
    match = _NAME.fullmatch(text)
    if not match:
        raise Refusal(what, f"{text!r} is no image name", "as in localhost/orders:1 (lower case)")
    domain, path, tag = match["domain"], match["path"], match["tag"] or "latest"
    if domain and not ("." in domain or ":" in domain or domain == "localhost"):
        domain, path = "", f"{domain}/{path}"
    return f"{domain or 'localhost'}/{path}:{tag}"


def is_full_name(text: str) -> bool:
    """Whether the text names a repository and not only a tag."""
    return "/" in text and _NAME.fullmatch(text) is not None
