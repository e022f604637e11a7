"""A value in the user's file together with its place there, so that every refusal can name the field."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pillion.image.refusal import Refusal


class Source:
    """The file that is being read and what its reader should know about it afterwards."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.what = f"read {path}"
        self.notices: list[str] = []


@dataclass(frozen=True)
class Field:
    """A value and its place, written as the user would: `spec.containers[0].env[2]`. A missing field holds None."""

    source: Source
    path: str
    value: Any

    @property
    def given(self) -> bool:
        """Whether the field is there; an explicit null is the same as a missing field, in Kubernetes and Compose."""
        return self.value is not None

    def __getitem__(self, name: str) -> Field:
        """The field `name` of this mapping (missing: a field without value). Raises Refusal if it is no mapping."""
        return Field(self.source, self._path_of(name), self._mapping().get(name))

    def holding(self, value: Any) -> Field:
        """This place with another value."""
        return replace(self, value=value)

    def fields(self) -> dict[str, Field]:
        """The fields of this mapping by name; none if it is missing."""
        return {name: self[name] for name in self._mapping()}

    def entries(self) -> list[Field]:
        """The entries of this list; none if it is missing."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.mistyped("a list")
        return [Field(self.source, f"{self.path}[{index}]", value) for index, value in enumerate(self.value)]

    def text(self, default: str = "") -> str:
        """This text; `default` if it is missing."""
        if self.value is None:
            return default
        if not isinstance(self.value, str):
            raise self.mistyped("text", _QUOTED.get(type(self.value), ""))
        if "\0" in self.value:
            raise self.refuse("holds a NUL character, which no program can be given", "remove it")
        return self.value

    def required(self) -> str:
        """This text, which must be there and not empty."""
        text = self.text()
        if not text:
            raise self.refuse("is missing" if self.value is None else "is empty")
        return text

    def texts(self) -> tuple[str, ...]:
        """This list of texts."""
        return tuple(entry.text() for entry in self.entries())

    def integer(self, low: int, high: int) -> int | None:
        """This whole number from `low` to `high`; None if it is missing."""
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.mistyped("a whole number", "write it without quotes" if isinstance(self.value, str) else "")
        if not low <= self.value <= high:
            raise self.refuse(f"is not between {low} and {high}")
        return self.value

    def flag(self) -> bool:
        """This true or false; false if it is missing."""
        if not isinstance(self.value, bool | None):
            raise self.mistyped("true or false")
        return bool(self.value)

    def kind(self) -> str:
        """What this value is, in words that do not show it."""
        return _KINDS.get(type(self.value), "is of an unknown type")

    def mistyped(self, wanted: str, mend: str = "") -> Refusal:
        """The refusal of a value of the wrong type."""
        return self.refuse(f"{self.kind()}, not {wanted}", mend)

    def refuse(self, why: str, mend: str = "") -> Refusal:
        """The refusal of this field, to be raised: "cannot read FILE: FIELD WHY; MEND"."""
        return Refusal(self.source.what, f"{self.path} {why}".lstrip(), mend)

    def notice(self, text: str) -> None:
        """Something to know about this field that is no error."""
        self.source.notices.append(f"{self.path}: {text}")

    def _mapping(self) -> dict[str, Any]:
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.mistyped("a mapping")
        return self.value

    def _path_of(self, name: str) -> str:
        if not re.fullmatch(r"[\w-]+", name):
            return f"{self.path}['{name}']"
        return f"{self.path}.{name}" if self.path and not self.path.endswith(" ") else f"{self.path}{name}"


# What a platform would do, and a measurement must not hide.
NOT_RESTARTED = "is not obeyed where a layout is run here: a container that ends is not started again"
_KINDS = {
    dict: "is a mapping",
    list: "is a list",
    str: "is text",
    int: "is a number",
    float: "is a number",
    bool: "is true or false",
    type(None): "is empty",
}
# Constant examples: the value itself may be a secret.
_QUOTED = {int: 'quote it, as in "8000"', float: 'quote it, as in "0.5"', bool: 'quote it, as in "true"'}
