"""The files of a Compose project: the one that is named, and those to which `include` and `extends` lead."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from pillion.image.environ.lint.program import Place
from pillion.image.lint.tree import Unreadable, Value, read_documents, read_text
from pillion.image.lint.variable import Growth
from pillion.image.pairfile import dotenv

# Files that one file may lead to.
_MOST_FILES = 200


class File(NamedTuple):
    """A Compose file: its document, its name as it is shown, and the folder that its own paths are relative to."""

    document: Value
    shown: str
    directory: Path


def is_compose(document: Value) -> bool:
    """Whether a document is a Compose file: it has services, or includes files that have, and each is a mapping."""
    services = document["services"]
    if not services.given:
        return bool(document["include"].entries())
    return isinstance(services.content, dict) and all(
        isinstance(service.content, dict) for _, service, _ in services.fields()
    )


def dot_env(paths: Collection[Path], shown: str) -> dict[str, str]:
    """`.env` files; a broken one is told of where it is read as a file of its own."""
    known: dict[str, str] = {}
    for path in paths:
        if there(path.parent, path.name):
            try:
                known.update(dotenv.parse(read_text(path, str(Path(shown).parent / path.name)), lambda _: None))
            except (Unreadable, ValueError):
                continue
    return known


class Files:
    """Further files, each read once. `included` are those that became part of the first."""

    def __init__(self) -> None:
        self._read: dict[Path, File] = {}
        self.included: set[str] = set()
        self.growth = Growth()

    def read(self, path: Path, shown: str, place: Place) -> File:
        """Raises Unreadable if it is no Compose file, or one too many."""
        resolved = path.resolve()
        if resolved in self._read:
            return self._read[resolved]
        if len(self._read) >= _MOST_FILES:
            raise Unreadable(place, f"it leads to more than {_MOST_FILES} files", "no project needs that")
        documents = read_documents(read_text(path, shown), shown)
        if len(documents) != 1 or not is_compose(documents[0]):
            raise Unreadable(place, f"{shown} is no Compose file", "name one")
        self._read[resolved] = File(documents[0], shown, path.parent)
        return self._read[resolved]


def texts(field: Value, *, mappings: bool = False) -> list[Value]:
    """What may be one text or a list of them (or, with `mappings`, of mappings too)."""
    if isinstance(field.content, str):
        return [field]
    return [each for each in field.entries() if isinstance(each.content, str) or mappings]


def beside(shown: str, name: str) -> str:
    """How a file is shown that another one names."""
    return str(Path(shown).parent / name)


def there(folder: Path, name: str) -> Path | None:
    """The file that is called so from a folder; None if there is none, or no file can be called so."""
    try:
        path = folder / name
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None
