"""A setting: one row of the table, and how it is read from an environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

NAMESPACE = "PROXY__"


class SettingError(Exception):
    """A setting cannot be used. Reads "cannot read NAME: why; mend". Exit code 2."""

    exit_code = 2

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        super().__init__(f"cannot read {name}: {why}")


class Setting(NamedTuple):
    """One row of the table."""

    name: str
    meaning: str
    unit: str
    default: str
    parse: Callable[[str], Any]


def read_rows(rows: Iterable[Setting], environ: Mapping[str, str]) -> dict[str, Any]:
    """The value of each row, by its name in lower case: under its bare name in `environ` or with `PROXY__` before it.

    Raises SettingError for a value that cannot be used, and for two spellings that differ.
    """
    read: dict[str, Any] = {}
    for setting in rows:
        text = _lookup(setting.name, environ)
        if text is None:
            text = setting.default
        elif not text.strip() and setting.default:
            raise SettingError(setting.name, "it is empty; give it a value or take it out of the environment")
        try:
            read[setting.name.lower()] = setting.parse(text.strip())
        except ValueError as error:
            raise SettingError(setting.name, str(error)) from None
    return read


def _lookup(name: str, environ: Mapping[str, str]) -> str | None:
    bare, prefixed = environ.get(name), environ.get(NAMESPACE + name)
    if bare is not None and prefixed is not None and bare != prefixed:
        raise SettingError(name, f"{name} and {NAMESPACE}{name} are both set and differ; keep one")
    return bare if prefixed is None else prefixed
