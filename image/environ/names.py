"""Names of environment variables: namespaces, near misses and the decoding of the environment block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

SEPARATOR = "__"
# A prefix further than this from a namespace is somebody else's (`AIRFLOW__`, `Logging__`).
NEAR_MISS_DISTANCE = 2


class Namespaces(NamedTuple):
    """The prefix, without `__`, that addresses a variable to each program."""

    proxy: str = "PROXY"
    backend: str = "BACKEND"


class Address(NamedTuple):
    """What a prefixed name says: the program it is for and the name that the program sees ("" if there is none)."""

    program: str
    name: str


class NearMiss(NamedTuple):
    """A name that was probably meant for a namespace, and what it should probably have been."""

    name: str
    suggestion: str


def read_namespaces(text: str) -> Namespaces:
    """The namespaces that `PILLION_NAMESPACES` asks for: `proxy=SIDECAR,backend=APP`, either may be left out.

    Raises ValueError saying what is wrong with the text.
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        program, equals, prefix = part.partition("=")
        if program not in Namespaces._fields or not equals:
            raise ValueError(f"{part!r} is not of the form proxy=PREFIX or backend=PREFIX")
        if not prefix.isidentifier() or SEPARATOR in prefix:
            raise ValueError(f"{prefix!r} cannot be a prefix (letters, digits and single underscores)")
        found[program] = prefix
    namespaces = Namespaces(**found)
    if namespaces.proxy == namespaces.backend:
        raise ValueError("both programs have the same prefix")
    return namespaces


def address(name: str, namespaces: Namespaces) -> Address | None:
    """Where a prefixed name goes, or None if it carries no namespace. Exactly one namespace is taken off."""
    prefix, separator, rest = name.partition(SEPARATOR)
    if separator:
        for program, namespace in zip(Namespaces._fields, namespaces, strict=True):
            if prefix == namespace:
                return Address(program, rest)
    return None


def near_miss(name: str, namespaces: Namespaces) -> NearMiss | None:
    """The namespace that `name` seems to mean without having it, or None.

    `PROXY__` with nothing behind it is one too, and so is a namespace in other letter case.
    """
    prefix, separator, rest = name.partition(SEPARATOR)
    if not separator:
        return None
    if prefix in namespaces:
        return None if rest else NearMiss(name, f"{prefix}__NAME")
    if not prefix:
        return None
    closest = min(namespaces, key=lambda namespace: distance(prefix.upper(), namespace.upper()))
    if distance(prefix.upper(), closest.upper()) <= NEAR_MISS_DISTANCE:
        return NearMiss(name, f"{closest}__{rest or 'NAME'}")
    return None


def distance(left: str, right: str) -> int:
    """Edit distance in which two neighbours that changed places count once (optimal string alignment)."""
    before_last: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        before_last, last = last, row
    return last[-1]


def decode(block: Mapping[bytes, bytes]) -> dict[str, str]:
    """The environment as text whatever the locale: UTF-8, other bytes as lone surrogates (PEP 383)."""
    return {
        name.decode("utf-8", "surrogateescape"): value.decode("utf-8", "surrogateescape")
        for name, value in block.items()
    }


def encode(environ: Mapping[str, str]) -> dict[bytes, bytes]:
    """The inverse of `decode`: byte-identical for everything that `decode` gave."""
    return {
        name.encode("utf-8", "surrogateescape"): value.encode("utf-8", "surrogateescape")
        for name, value in environ.items()
    }
