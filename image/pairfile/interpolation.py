"""Compose's interpolation: `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `${VAR:+replacement}`, `$$`.

https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pillion.image.pairfile.field import Field
from pillion.image.pairfile.variable import MAX_STRING_BYTES

_REFERENCE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<operator>\}|:?[-?+]))?"
)
_MOST_NESTED = 16

Lookup = Callable[[str], "str | None"]


def interpolate(text: str, lookup: Lookup, unset: set[str], depth: int = 0) -> str:
    """`text` with its references replaced by what `lookup` has for their names.

    A name that it has not, and that has no default, is empty and joins `unset`.

    Raises ValueError, with a message that quotes no value, if a reference is malformed or demands a missing variable.
    """
    if depth > _MOST_NESTED:
        raise ValueError(f"nests references deeper than {_MOST_NESTED}")
    pieces: list[str] = []
    at = growth = 0
    while reference := _REFERENCE.search(text, at):
        pieces.append(text[at : reference.start()])
        at = reference.end()
        name, operator = reference["plain"] or reference["braced"], reference["operator"]
        if reference["escaped"]:
            pieces.append("$")
        elif name is None:
            raise ValueError("has a $ that begins no ${VARIABLE}; write $$ for a literal one")
        elif operator in (None, "}"):
            value = lookup(name)
            if value is None:
                unset.add(name)
            pieces.append(value or "")
        else:
            end = _closing_brace(text, at)
            pieces.append(_with_operator(name, operator, text[at:end], lookup, unset, depth))
            at = end + 1
        growth += len(pieces[-1])
        if growth > MAX_STRING_BYTES:
            raise ValueError(f"grows by more than {MAX_STRING_BYTES} bytes")
    return "".join((*pieces, text[at:]))


def interpolate_tree(field: Field, lookup: Lookup, unset: set[str]) -> Any:
    """The value of `field` with every text in it interpolated; keys stay as they are. Raises Refusal."""
    if isinstance(field.value, dict):
        return {name: interpolate_tree(child, lookup, unset) for name, child in field.fields().items()}
    if isinstance(field.value, list):
        return [interpolate_tree(child, lookup, unset) for child in field.entries()]
    if not isinstance(field.value, str):
        return field.value
    try:
        return interpolate(field.value, lookup, unset)
    except ValueError as error:
        raise field.refuse(str(error)) from None


def _with_operator(name: str, operator: str, word: str, lookup: Lookup, unset: set[str], depth: int) -> str:
    value = lookup(name)
    counts = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return interpolate(word, lookup, unset, depth + 1) if counts else ""
    if counts:
        return value or ""
    if operator.endswith("?"):
        raise ValueError(f"needs the variable {name}" + (f": {word}" if word else ""))
    return interpolate(word, lookup, unset, depth + 1)


def _closing_brace(text: str, at: int) -> int:
    """Where the brace closes whose content begins at `at`, past those of references within it."""
    depth = 1
    for match in re.compile(r"\$\$|\$\{|\}").finditer(text, at):
        depth += {"${": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    raise ValueError("has a ${ without its }")
