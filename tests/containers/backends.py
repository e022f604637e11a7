"""Backends in five shapes, each with a program that answers and says how it was stopped (programs/): an interpreter, a
virtual machine or a compiled program, on Debian, on musl, on nothing. They differ in how they say USER, the command
and the stop signal as well."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.containers.bases import PROGRAMS, cache, debian, kept, musl_backend, scratch_backend
from tests.containers.engines import PODMAN

# As in the public slim images; `ps` and `ss` are for testinfra.
SLIM = tuple(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale"))
TOOLS = ("procps", "iproute2")
_INSTALL = (
    "RUN apt-get update -q && mkdir -p /usr/share/man/man1 && "
    "DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends {} && rm -rf /var/lib/apt/lists/*\n"
)


class Shape(NamedTuple):
    """`uid`, `gid` and `groups` as numbers, whatever the image's USER says; `stop` is the number of its stop signal."""

    name: str
    image: Callable[[], str]
    argv: tuple[str, ...]
    uid: int
    gid: int
    stop: int
    groups: tuple[int, ...] = ()


def minimal() -> str:
    """A minimal Debian, which the shapes share as images of a registry do."""
    return debian(*TOOLS, options=SLIM)


def _on_debian(packages: str, program: str, lines: str) -> str:
    source = PROGRAMS / program
    text = f"FROM {minimal()}\n{_INSTALL.format(packages)}COPY {program} /srv/{program}\n{lines}EXPOSE 8000\n"
    return kept("backend", text, {source: program}, lambda folder: None, source.read_bytes())


@functools.cache
def python_backend() -> str:
    """USER by name; only a CMD."""
    lines = (
        "RUN useradd --uid 10001 --create-home --groups staff,games app\n"
        'USER app\nWORKDIR /srv\nSTOPSIGNAL SIGINT\nCMD ["python3", "answer.py", "8000"]\n'
    )
    return _on_debian("python3-minimal libpython3-stdlib", "answer.py", lines)


@functools.cache
def node_backend() -> str:
    """USER by the names of both; ENTRYPOINT and CMD; a stop signal by number."""
    lines = (
        "RUN useradd --uid 10002 --no-create-home node\n"
        'USER node:staff\nWORKDIR /srv\nSTOPSIGNAL 3\nENTRYPOINT ["node"]\nCMD ["/srv/answer.js", "8000"]\n'
    )
    return _on_debian("nodejs", "answer.js", lines)


@functools.cache
def java_backend() -> str:
    """USER by a number that no file names; only an ENTRYPOINT. The runtime has the compiler's module."""
    lines = (
        "RUN cd /srv && java -m jdk.compiler/com.sun.tools.javac.Main -nowarn Answer.java\n"
        'USER 4321\nENTRYPOINT ["java", "-Xmx64m", "-XX:+UseSerialGC", "-cp", "/srv", "Answer", "8000"]\n'
    )
    return _on_debian("default-jre-headless", "Answer.java", lines)


JAVA = ("java", "-Xmx64m", "-XX:+UseSerialGC", "-cp", "/srv", "Answer", "8000")
SHAPES = (
    Shape("python", python_backend, ("python3", "answer.py", "8000"), 10001, 10001, 2, (50, 60)),
    Shape("node", node_backend, ("node", "/srv/answer.js", "8000"), 10002, 50, 3),
    Shape("java", java_backend, JAVA, 4321, 0, 15),
    Shape("scratch", scratch_backend, ("/answer", "8000"), 1000, 1000, 15),
    Shape("musl", musl_backend, ("/answer", "8000"), 1000, 1000, 15),
)


def saved(image: str) -> Path:
    """The image as a docker-archive, which holds layers as they are; kept like the bases."""
    folder = cache() / "images"
    folder.mkdir(exist_ok=True)
    archive = folder / f"{hashlib.sha256(PODMAN.image_id(image).encode()).hexdigest()[:16]}.tar"
    if not archive.exists():
        made = archive.with_suffix(f".{os.getpid()}")
        PODMAN("save", "--quiet", "--format=docker-archive", "--output", made, image)
        made.replace(archive)
    return archive
