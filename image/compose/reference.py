"""What a user calls an image: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`, or just a path;
by name in an engine's own store, `containers-storage:NAME` (podman) and `docker-daemon:NAME`, or `docker://REGISTRY/NAME`.

The forms are those of containers-transports(5).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pillion.image.refusal import Refusal

LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE = "oci", "oci-archive", "docker-archive"
FILES = (LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE)
PODMAN_STORE, DOCKER_STORE, REGISTRY = "containers-storage", "docker-daemon", "docker"
STORES = (PODMAN_STORE, DOCKER_STORE)
# The transports of others that we do not read.
_ELSEWHERE = ("dir", "registry", "ostree", "sif", "tarball")
# distribution/reference: a name is a domain, a path and a tag.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    rf"(?:(?P<domain>[A-Za-z0-9.-]+(?::\d+)?)/)?(?P<path>{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?", re.A
)
# What may be asked for in a store or registry: also an id, a digest, a registry's address.
_ASKED = re.compile(r"[A-Za-z0-9\[][\w.:/@\[\]+-]*", re.A)


class Reference(NamedTuple):
    """`transport` is one of the above, or "" where only the file can tell. In a file `tag` is "" for the only image
    there is; in a store or registry the image has a `name`, and `path` means nothing."""

    transport: str
    path: Path = Path()
    tag: str = ""
    name: str = ""

    def __str__(self) -> str:
        if self.name:
            return f"{self.transport}:{'//' if self.transport == REGISTRY else ''}{self.name}"
        text = f"{self.transport}:{self.path}" if self.transport else str(self.path)
        return f"{text}:{self.tag}" if self.tag else text


def read_reference(text: str, what: str) -> Reference:
    """Raises Refusal for what is no such thing, or lives where we do not go."""
    transport, colon, rest = text.partition(":")
    if colon and transport in FILES:
        path, _, tag = rest.partition(":")
        if not path:
            raise Refusal(what, f"{text} names no path", f"as in {transport}:./backend")
        return Reference(transport, Path(path), tag)
    if colon and (transport in STORES or (transport == REGISTRY and rest.startswith("//"))):
        name = rest.removeprefix("//") if transport == REGISTRY else rest
        if not _ASKED.fullmatch(name):
            raise Refusal(what, f"{text} names no image", f"as in {_example(transport)}")
        return Reference(transport, name=name)
    if colon and transport in (*_ELSEWHERE, REGISTRY) and not Path(text).exists():
        raise Refusal(what, f"{transport}: is not read here", f"copy it first: skopeo copy {text} oci:backend")
    return Reference("", Path(text))


def _example(transport: str) -> str:
    return f"{transport}://registry.example/orders:1" if transport == REGISTRY else f"{transport}:orders:1"


def read_destination(text: str, what: str) -> Reference:
    """Where to write; a bare path that ends in .tar is an archive, else a layout. In a store or registry the image gets
    the name as the engine would complete it. Raises Refusal."""
    reference = read_reference(text, what)
    if reference.name:
        full = full_name(reference.name, what)
        if reference.transport != PODMAN_STORE:
            # Neither knows `localhost` by default: docker takes a short name as it stands, a registry is always named.
            full = reference.name if ":" in reference.name.rpartition("/")[2] else f"{reference.name}:latest"
        return reference._replace(name=full)
    if reference.transport:
        return reference
    return reference._replace(transport=OCI_ARCHIVE if reference.path.suffix == ".tar" else LAYOUT)


def full_name(text: str, what: str) -> str:
    """A name that all engines understand alike: with a registry (`localhost` by default) and a tag. Raises Refusal."""
    match = _NAME.fullmatch(text)
    domain = match["domain"] if match else None
    folder = domain and not ("." in domain or ":" in domain or domain == "localhost")
    if not match or (folder and not re.fullmatch(_PART, domain or "")):
        raise Refusal(what, f"{text!r} is no image name", "as in localhost/orders:1 (lower case)")
    path, tag = match["path"], match["tag"] or "latest"
    if folder:
        domain, path = "", f"{domain}/{path}"
    return f"{domain or 'localhost'}/{path}:{tag}"


def is_full_name(text: str) -> bool:
    """Whether the text names a repository and not only a tag."""
    return "/" in text and _NAME.fullmatch(text) is not None
