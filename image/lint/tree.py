"""A YAML (or JSON) file as values that know their line and column, in bounded time and memory.

From the events of PyYAML's parser (libyaml where it is there: 5,000 lines in a tenth of a second) and not from its
nodes: those recurse, and resolve scalars by rules that neither Kubernetes nor Compose has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pillion.image.environ.lint.program import Place

MAX_BYTES = 4 << 20  # a Kubernetes object has at most 1.5 MiB
MAX_DEPTH = 100
MAX_VALUES = 400_000  # what merge keys copy is counted again
_PARSER: Any = getattr(yaml, "CLoader", yaml.Loader)
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TAG = "tag:yaml.org,2002:"


class Unreadable(Exception):
    """A file that cannot be read as what it is. Never quotes the file: it holds secrets."""

    def __init__(self, place: Place, why: str, mend: str = "") -> None:
        self.place, self.why, self.mend = place, why, mend
        super().__init__(f"{place}: {why}" + (f"; {mend}" if mend else ""))


class Value:
    """A value and where it stands. `content` is a dict of values, a list of them, a text, or None.

    `plain` is whether a text was written without quotes; `keys` has the place of each key of a mapping, and `doubles`
    of a document the keys that any of its mappings gives again, with the place of the later one.
    """

    __slots__ = ("content", "doubles", "keys", "place", "plain")

    def __init__(self, content: Any, place: Place, *, plain: bool = False) -> None:
        self.content, self.place, self.plain = content, place, plain
        self.keys: dict[str, Place] = {}
        self.doubles: list[tuple[str, Place]] = []

    def __repr__(self) -> str:
        return f"<Value at {self.place}>"

    def __getitem__(self, key: str) -> Value:
        """The field of this mapping; one without content if it is not there, or this is no mapping."""
        found = self.content.get(key) if isinstance(self.content, dict) else None
        return found if found is not None else Value(None, self.place)

    def fields(self) -> Iterator[tuple[str, Value, Place]]:
        """Key, value and the key's place of this mapping; nothing if it is none."""
        if isinstance(self.content, dict):
            for key, value in self.content.items():
                yield key, value, self.keys[key]

    def entries(self) -> list[Value]:
        """The entries of this list; none if it is none."""
        return self.content if isinstance(self.content, list) else []

    def text(self) -> str:
        """This text; "" if it is none."""
        return self.content if isinstance(self.content, str) else ""

    @property
    def given(self) -> bool:
        """Whether it is there and not null."""
        return self.content is not None

    def number(self) -> bool:
        """Whether this is a plain number or truth value, which Kubernetes takes for no text."""
        return self.plain and isinstance(self.content, str) and _NO_TEXT.fullmatch(self.content) is not None


_NO_TEXT = re.compile(
    r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*|(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"
    r"|y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
)


def read_text(path: Path, shown: str) -> str:
    """The text of a file of at most 4 MiB, without its byte order mark. Raises Unreadable."""
    place = Place(shown)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its name is none"
        raise Unreadable(place, (why or "it is not readable").lower(), "check the path") from None
    if len(data) > MAX_BYTES:
        raise Unreadable(place, f"it is larger than {MAX_BYTES >> 20} MiB", "no manifest is")
    return decoded(data, place)


def decoded(data: bytes, place: Place) -> str:
    """UTF-8 as text. Raises Unreadable with the place of the first byte that is none."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise Unreadable(Place(place.file, line, column), "it is not UTF-8 text", "save it as UTF-8") from None


def read_documents(text: str, file: str) -> list[Value]:
    """The documents of a YAML text; empty ones are left out. Raises Unreadable."""
    template = "render the template first (helm template)" if "{{" in text else ""
    try:
        return list(_Tree(text, file).documents())
    except Unreadable as unreadable:
        raise Unreadable(unreadable.place, unreadable.why, template or unreadable.mend) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        raise Unreadable(place, f"it is not YAML: {_harmless(error.problem)}", template or "correct the YAML") from None
    except yaml.reader.ReaderError as error:
        at = error.position if isinstance(error.position, int) else 0
        place = Place(file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        raise Unreadable(place, "it holds a control character", "remove it") from None
    except yaml.YAMLError:
        raise Unreadable(Place(file), "it is not YAML", "correct the YAML") from None


def _harmless(problem: str | None) -> str:
    """The parser's complaint up to the first word of the file that it quotes: `*word` may be an unquoted password."""
    found = re.match(r"""(?:[^'"]|'<[^'>]*>'|'\\?.')*""", problem or "")
    return (found[0].rstrip(" ,;:") if found else "") or "syntax error"


class _Open:
    """A collection whose end has not been read: its value, its anchor, and the key that waits for its value."""

    __slots__ = ("anchor", "key", "key_place", "merged", "value")

    def __init__(self, value: Value, anchor: str | None) -> None:
        self.value, self.anchor = value, anchor
        self.key: str | None = None
        self.key_place = value.place
        self.merged: list[Value] = []


class _Tree:
    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.parser = _PARSER(text)
        self.anchors: dict[str, Value] = {}
        self.open: list[_Open] = []
        self.root: Value | None = None
        self.count = 0
        self.doubles: list[tuple[str, Place]] = []

    def documents(self) -> Iterator[Value]:
        """Reads event by event; an iteration is a document."""
        try:
            while self.parser.check_event():
                self.event(self.parser.get_event())
                if self.root is not None and not self.open:
                    root, self.root = self.root, None
                    root.doubles, self.doubles = self.doubles, []
                    if root.given:
                        yield root
        finally:
            self.parser.dispose()

    def event(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self.scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            if len(self.open) >= MAX_DEPTH:
                raise self.error(event, f"it nests deeper than {MAX_DEPTH} levels")
            content: Any = {} if kind is yaml.MappingStartEvent else []
            self.open.append(_Open(Value(content, self.place(event)), event.anchor))
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            done = self.open.pop()
            if done.merged:
                self.merge(done, event)
            self.put(done.value, done.anchor, event)
        elif kind is yaml.AliasEvent:
            # An anchor is known from its end on, so that nothing can hold itself.
            value = self.anchors.get(event.anchor)
            if value is None:
                raise self.error(event, "an alias names no anchor before it")
            self.put(value, None, event)
        elif kind is yaml.DocumentStartEvent:
            self.anchors = {}

    def scalar(self, event: Any) -> None:
        plain = event.style is None or event.style == ""
        null = (plain and event.value in _NULL and event.tag in (None, f"{_TAG}null")) or event.tag == f"{_TAG}null"
        value = Value(None if null else event.value, self.place(event), plain=plain and event.tag is None)
        self.put(value, event.anchor, event)

    def put(self, value: Value, anchor: str | None, event: Any) -> None:
        """A value that is complete goes to its document, list, or mapping, as key or as value."""
        self.count += 1
        if self.count > MAX_VALUES:
            raise self.error(event, f"it holds more than {MAX_VALUES} values")
        if anchor is not None:
            self.anchors[anchor] = value
        if not self.open:
            self.root = value
            return
        parent = self.open[-1]
        content = parent.value.content
        if isinstance(content, list):
            content.append(value)
        elif parent.key is None:
            if isinstance(value.content, (dict, list)):
                raise self.error(event, "a key is no text")
            parent.key, parent.key_place = value.content or "", self.place(event)
            if parent.key == "<<" and not value.plain:
                parent.key = '"<<"'
        else:
            key, parent.key = parent.key, None
            if key == "<<":
                parent.merged.append(value)
                return
            if key in content:
                self.doubles.append((key, parent.key_place))
            content[key] = value
            parent.value.keys[key] = parent.key_place

    def merge(self, done: _Open, event: Any) -> None:
        """https://yaml.org/type/merge.html: own keys win, then earlier mappings."""
        into = done.value
        for merged in done.merged:
            for mapping in merged.content if isinstance(merged.content, list) else [merged]:
                if not isinstance(mapping.content, dict):
                    raise self.error(event, "a merge key merges what is no mapping")
                self.count += len(mapping.content)
                if self.count > MAX_VALUES:
                    raise self.error(event, f"it holds more than {MAX_VALUES} values")
                for key, value in mapping.content.items():
                    if key not in into.content:
                        into.content[key] = value
                        into.keys[key] = mapping.keys[key]

    def place(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1)

    def error(self, event: Any, why: str) -> Unreadable:
        return Unreadable(self.place(event), why, "no manifest needs that")
