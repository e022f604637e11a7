"""A `.env` file, as Compose reads it: what every process started from it would be given."""

from __future__ import annotations

import re

from pillion.image.environ.lint.program import Declaration, Place, Remark
from pillion.image.lint.tree import Unreadable
from pillion.image.pairfile import dotenv
from pillion.image.pairfile.interpolation import Lookup


def read_env_file(text: str, file: str, lookup: Lookup, origin: str) -> tuple[dict[str, Declaration], list[Remark]]:
    """Its variables, and a remark for each that it gives twice. Raises Unreadable."""
    found: dict[str, Declaration] = {}
    remarks: list[Remark] = []
    try:
        for entry in dotenv.entries(text, lookup):
            place = Place(file, entry.line, entry.column)
            if entry.name in found:
                remarks.append(twice(entry.name, place))
            found[entry.name] = Declaration(entry.name, entry.value, place, origin)
    except ValueError as error:
        line = re.match(r"line (\d+) (.*)", str(error), re.DOTALL)
        place = Place(file, int(line[1]) if line else 0, 1 if line else 0)
        raise Unreadable(place, line[2] if line else str(error), "correct the line") from None
    return found, remarks


def twice(name: str, place: Place) -> Remark:
    """One container gives the name twice."""
    return Remark("twice", "S2", name, place, "is given a second time here; the later value counts", "keep one")
