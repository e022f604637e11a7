"""From what a user calls an image to its value, whichever form it has."""

from __future__ import annotations

from pillion.image.compose.archive import read_members
from pillion.image.compose.docker_archive import MANIFEST, read_docker_archive
from pillion.image.compose.image import Images, Platform
from pillion.image.compose.layout import INDEX, LayoutReader, in_directory
from pillion.image.compose.reference import DOCKER_ARCHIVE, LAYOUT, Reference
from pillion.image.refusal import Refusal


def load(reference: Reference, platform: Platform | None, what: str, source: str = "") -> Images:
    """Reads the documents and finds the layers; no layer is read yet. `source` is what the user called it, where that
    is not the reference. Raises Refusal."""
    path, source = reference.path, source or str(reference)
    try:
        if not path.exists():
            raise Refusal(what, f"{path}: there is no such file or directory", "name an OCI layout or an image archive")
        if path.is_dir():
            if reference.transport not in (LAYOUT, ""):
                raise Refusal(what, f"{path} is a directory", f"write oci:{path}")
            return LayoutReader(in_directory(path), source, what).read(reference.tag, platform)
        if reference.transport == LAYOUT:
            raise Refusal(what, f"{path} is a file", f"write oci-archive:{path} or docker-archive:{path}")
        members = read_members(path, what)
        if reference.transport == DOCKER_ARCHIVE or (not reference.transport and INDEX not in members):
            if MANIFEST not in members and not reference.transport:
                why = f"{path} has neither {INDEX} nor {MANIFEST}, so it is no image"
                raise Refusal(what, why, "name what skopeo copy, podman save or docker save has written")
            return read_docker_archive(members, source, reference.tag, platform, what)
        return LayoutReader(members.get, source, what).read(reference.tag, platform)
    except OSError as error:
        raise Refusal(what, f"{path}: {error.strerror}", "name an OCI layout or an image archive") from error
