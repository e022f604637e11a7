"""On which line of a pair file a field stands, by the path under which messages name it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pillion.image.lint.tree import Unreadable, Value, read_documents, read_text

_ENTRY = re.compile(r"(.*)\[(\d+)\]")


def lines_of(file: Path, fields: Iterable[str]) -> dict[str, int]:
    """Of each path, as in `spec.containers[0].env[3]`, the line; those that no document has are left out."""
    try:
        documents = read_documents(read_text(file, str(file)), str(file))
    except Unreadable:
        return {}
    found = {field: next(filter(None, (_find(each, field) for each in documents)), None) for field in set(fields)}
    return {field: value.place.line for field, value in found.items() if value}


def _find(value: Value, path: str) -> Value | None:
    if not path:
        return value
    for name, rest in _steps(path):
        entry = _ENTRY.fullmatch(name)
        if isinstance(value.content, dict) and name in value.content:
            if found := _find(value.content[name], rest):
                return found
        elif entry and (whole := _find(value, entry[1])) and int(entry[2]) < len(whole.entries()):
            return _find(whole.entries()[int(entry[2])], rest)
    return None


def _steps(path: str) -> Iterator[tuple[str, str]]:
    """Every way to take a first name off a path, the shortest first: keys may hold dots."""
    parts = path.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count]), ".".join(parts[count:])
