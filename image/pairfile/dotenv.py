"""Compose's `.env` files: `NAME=value` lines with quotes, comments and interpolation.

https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
"""

from __future__ import annotations

import re

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
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "b": "\b", "v": "\v", "a": "\a"}


def parse(text: str, inherited: Lookup) -> dict[str, str]:
    """The variables of a `.env` file; a name alone takes what `inherited` has for it, or is left out.

    Values in double quotes and without quotes are interpolated, from `inherited` first and then from the lines above.
    Raises ValueError, naming the line and quoting no value.
    """
    found: dict[str, str] = {}

    def lookup(name: str) -> str | None:
        value = inherited(name)
        return found.get(name) if value is None else value

    text = text.replace("\r\n", "\n")
    at = 0
    while at < len(text):
        if nothing := _NOTHING.match(text, at):
            at = max(nothing.end(), at + 1)
            continue
        try:
            entry = _ENTRY.match(text, at)
            if entry is None:
                raise ValueError("is no NAME=value")
            value = _value(entry, lookup)
        except ValueError as error:
            line = text.count("\n", 0, at) + 1
            raise ValueError(f"line {line} {error}") from None
        at = entry.end()
        if value is not None:
            found[entry["name"]] = value
    return found


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
