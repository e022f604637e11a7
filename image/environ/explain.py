"""Who sees one variable, from where, and why; never its value (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pillion.image.environ.catalogue import Entry, look_up
from pillion.image.environ.split import Split
from pillion.image.pair import PROGRAMS


class View(NamedTuple):
    """One program's view of the name. `sees` is False if it does not see it; `why` says why either way.

    `origin` is the container's variable it came from ("" if computed), `field` its place in the pair file, `length` the
    value's in characters.
    """

    program: str
    sees: bool
    why: str
    origin: str = ""
    field: str = ""
    layer: str = ""
    length: int = 0


class Explanation(NamedTuple):
    """The name, what is known of it, and each program's view. `merged` is what one environment for both would do."""

    name: str
    known: Entry
    views: tuple[View, ...]


def explain(name: str, divided: Split, fields: Mapping[str, Mapping[str, str]]) -> Explanation:
    """`fields` maps program to name to the place in the pair file ({} where there is none)."""
    return Explanation(name, look_up(name), tuple(_view(program, name, divided, fields) for program in PROGRAMS))


def _view(program: str, name: str, divided: Split, fields: Mapping[str, Mapping[str, str]]) -> View:
    variable = divided.programs[program].get(name)
    if variable is None:
        other = next(each for each in PROGRAMS if each != program)
        if name in divided.withheld:
            why = divided.withheld[name]
        elif name in divided.programs[other]:
            why = f"it goes to the {other} alone"
        else:
            why = "it is not set"
        return View(program, False, why)
    field = fields.get(program, {}).get(name, "") if variable.layer == "namespaced" else ""
    return View(program, True, variable.why, variable.origin, field, variable.layer, len(variable.value))
