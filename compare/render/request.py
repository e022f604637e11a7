"""What is to be rendered and what comes out."""

from __future__ import annotations

import re
from typing import NamedTuple

from pillion.image.pair import Container, Pair
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.pairfile.written import Part, Written
from pillion.image.refusal import Refusal

LAYOUTS = ("shared", "separate")
# Where a combined image has our entry.
ENTRY = "/opt/pillion/bin/pillion"
ENTER = (ENTRY, "enter", "--")
SIDECAR_IMAGE = "pillion/sidecar"
IMAGE_NAME = re.compile(r"[A-Za-z0-9][\w.:@/-]*", re.ASCII)


class Request(NamedTuple):
    """`image` is the combined image's name, `command` the command line for the comment at the top. `native_sidecar` is
    for Kubernetes in layout separate; `with_secrets` writes values that look secret where they would be left out."""

    pair: Pair
    written: Written
    layout: str
    image: str = ""
    command: str = ""
    native_sidecar: bool = False
    with_secrets: bool = False

    @property
    def what(self) -> str:
        """What is refused, when it is."""
        return f"render {self.pair.source} in layout {self.layout}"

    @property
    def combined(self) -> str:
        """The combined image's name."""
        return self.image or combined_name(self.pair)

    def programs(self) -> tuple[tuple[str, Container, Part], tuple[str, Container, Part]]:
        """Each program's name, its container, and how the file writes that."""
        return (
            ("backend", self.pair.backend, self.written.backend),
            ("proxy", self.pair.proxy, self.written.proxy),
        )


class Rendered(NamedTuple):
    """A file's text, what its reader should know, and whether it holds values of secrets."""

    text: str
    notices: tuple[str, ...] = ()
    secret: bool = False


def combined_name(pair: Pair) -> str:
    """`registry/orders:1` gives `registry/orders-combined:1`."""
    name = pair.backend.image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{folder}{slash}{repository or pair.name}-combined:{tag or 'latest'}"


def check_layout(request: Request) -> None:
    """Only a proxy of Pillion's can share a container. Raises Refusal."""
    if request.layout == "shared" and not is_pillion_proxy(request.pair.proxy):
        proxy = request.pair.proxy
        why = f"{proxy.field} ({proxy.name}) is not Pillion's proxy"
        raise Refusal(request.what, why, f"render it with --layout separate, or use the image {SIDECAR_IMAGE}")


def heading(request: Request, *more: str) -> str:
    """The comment at the top of a file."""
    lines = [f"{request.pair.name} ({request.pair.source}) in layout {request.layout}, by", f"  {request.command}"]
    if request.layout == "shared":
        base, sidecar = request.pair.backend.image or "the backend's image", request.pair.proxy.image or SIDECAR_IMAGE
        lines += [
            f"The image {request.combined} is {base} with the layer of {sidecar} on top:",
            f"  pillion build BASE --sidecar SIDECAR --name {request.combined} -o OUT",
        ]
    printable = ["".join(c if c.isprintable() else "?" for c in line) for line in (*lines, *more)]
    return "".join(f"# {line}".rstrip() + "\n" for line in printable)
