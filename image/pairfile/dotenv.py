"""Compose's `.env` files: `NAME=value` lines with quotes, comments and interpolation.

https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pillion.image.pairfile.interpolation import Lookup, interpolate

_ENTRY = re.compile(
    r"""
    [ \t]*(?:export[ \t]+)?(?P<name>[^\s=:#'"]+)[ \t]*
    (?:
        [=:][ \t]*(?:
            '(?P<literal>[^']*)'[ \t]*(?:\#[^\n]*)?
          | "(?P<quoted>(?:[^"\\]|\\.)*)"[ \t]*(?:\#[^\n]*)?
          | (?P<plain>(?!['"])[^\n]*)
        )
      | (?P<inherited>(?:\#[^\n]*)?)
    )(?:\n|$)
    """,
    re.VERBOSE | re.DOTALL,
)
_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|$)")
# All that references may add: references to references multiply, and names are many.
_MOST_GROWTH = 16 << 20
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "b": "\b", "v": "\v", "a": "\a"}


class Entry(NamedTuple):
    """One variable of a file and where its name stands, counted from 1. `value` is None for a name alone that nothing
    has a value for."""

    name: str
    value: str | None
    line: int
    column: int

    def __repr__(self) -> str:
        return f"<Entry {self.name} at line {self.line}>"


def parse(text: str, inherited: Lookup) -> dict[str, str]:
    """The variables of a `.env` file; a name alone takes what `inherited` has for it, or is left out.

    Values in double quotes and without quotes are interpolated, from `inherited` first and then from the lines above.
    Raises ValueError, naming the line and quoting no value.
    """
    return {entry.name: entry.value for entry in entries(text, inherited) if entry.value is not None}


def entries(text: str, inherited: Lookup) -> Iterator[Entry]:
    """The same, one by one and with their places; a name that is given twice comes twice."""
    found: dict[str, str] = {}

    def lookup(name: str) -> str | None:
        value = inherited(name)
        return found.get(name) if value is None else value

    text = text.replace("\r\n", "\n")
    at = counted = grown = 0
    line = 1
    while at < len(text):
        if nothing := _NOTHING.match(text, at):
            at = max(nothing.end(), at + 1)
            continue
        line, counted = line + text.count("\n", counted, at), at
        try:
            entry = _ENTRY.match(text, at)
            if entry is None:
                raise ValueError("is no NAME=value")
            value = _value(entry, lookup)
            grown += len(value or "") - (entry.end() - at)
            if grown > _MOST_GROWTH:
                raise ValueError(f"makes the file grow by more than {_MOST_GROWTH} bytes")
        except ValueError as error:
            raise ValueError(f"line {line} {error}") from None
        at = entry.end()
        if value is not None:
            found[entry["name"]] = value
        yield Entry(
            entry["name"], value, line, entry.start("name") - (text.rfind("\n", 0, entry.start("name")) + 1) + 1
        )


_WRITABLE = re.compile(r"[!-~]+", re.ASCII)
_ODD = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "\r": "\\r"})


def write(environ: Mapping[str, str]) -> str:
    """A `.env` file that `parse` reads back as it was. Raises ValueError, naming what such a file cannot hold."""
    lines = []
    for name, value in environ.items():
        if not _WRITABLE.fullmatch(name) or not re.fullmatch(r"[^\s=:#'\"]+", name):
            raise ValueError(f"{name!r} is no name that a .env file can hold")
        if re.search("[\0\ud800-\udfff]", value):
            raise ValueError(f"the value of {name} is no UTF-8 text")
        quoted = f"'{value}'" if not set(value) & {"'", "\r"} else f'"{value.translate(_ODD)}"'
        lines.append(f"{name}={quoted}\n")
    return "".join(lines)


def parse_raw(text: str) -> dict[str, str]:
    """The variables of a file of `format: raw`: what follows the first `=` of a line is the value, as it stands."""
    lines = (line for line in text.replace("\r\n", "\n").split("\n") if line.strip() and not line.startswith("#"))
    return {name.strip(): value for name, _, value in (line.partition("=") for line in lines)}


def _value(entry: re.Match[str], lookup: Lookup) -> str | None:
    if entry["literal"] is not None:
        return entry["literal"]
    if entry["quoted"] is not None:
        # An escaped dollar is literal, so it must look escaped to the interpolation.
        text = re.sub(
            r"\\(.)", lambda m: "$$" if m[1] == "$" else _ESCAPES.get(m[1], m[1]), entry["quoted"], flags=re.DOTALL
        )
        return interpolate(text, lookup, set())
    if entry["plain"] is not None:
        return interpolate(re.sub(r"(?:^|[ \t])#.*", "", entry["plain"]).strip(), lookup, set())
    return lookup(entry["name"])
