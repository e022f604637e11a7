"""What programs read, as far as it was learned, and what follows: which names they would fight over (pure).

How sure it is, surest first: `observed` in a trial run; `declared` in a schema (the proxy's settings); `scanned` from a
source, which may never come to that line; `known` of that kind of program by the catalogue.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import NamedTuple

from pillion.image.environ.catalogue import GENERIC, Entry, look_up
from pillion.image.environ.classes import variable_class
from pillion.image.environ.secrets import is_secret

SURENESS = ("observed", "declared", "scanned", "known")
RUNTIME = "runtime"
# What a process finds around it, alike for both wherever they are.
_SURROUNDINGS = frozenset(
    ("PWD", "OLDPWD", "SHLVL", "TERM", "TMPDIR", "TEMP", "TMP", "COLUMNS", "LINES", "XDG_RUNTIME_DIR", "NO_COLOR")
)
# Before the name of a program where a kind of program could stand among the readers of a catalogue's row.
BY_NAME = "@"


class Read(NamedTuple):
    """How sure it is that a name is read, where, and by whose code: `application`, `library` or `runtime`."""

    sure: str
    at: str = ""
    by: str = "application"


class Clash(NamedTuple):
    """A name that both read; `given` are the programs that the pair gives a value to."""

    name: str
    severity: str
    happens: str
    given: tuple[str, ...]
    seen_in: str


def clashes(reads: Mapping[str, Mapping[str, Read]], given: Mapping[str, Collection[str]]) -> list[Clash]:
    """The names that two programs both read, whether or not anything sets them; by severity, then name.

    `reads` maps program to name to read, `given` program to the names that it is given. What the catalogue does not
    know is noise where no application reads it: the same library is in both, and means the same by it.
    """
    found = []
    first, *others = reads
    for name in reads[first]:
        if not all(name in reads[other] for other in others):
            continue
        entry = look_up(name)
        if _is_nobodys(name, entry):
            continue
        setters = tuple(program for program in reads if name in given[program])
        severity = entry.severity if setters else max(entry.severity, "S2")
        if entry is GENERIC and all(reads[program][name].by != "application" for program in reads):
            severity = "S3"
        found.append(Clash(name, severity, entry.happens, setters, entry.seen_in))
    return sorted(found, key=lambda clash: (clash.severity, clash.name))


def rows(reads: Mapping[str, Mapping[str, Read]]) -> list[Entry]:
    """What was learned as rows of a catalogue, the programs by name. What the runtime alone reads is left out, and so
    is a secret: that another reads its name is no news."""
    names = sorted({name for each in reads.values() for name, read in each.items() if read.by != RUNTIME})
    found = []
    for name in names:
        entry = look_up(name)
        if _is_nobodys(name, entry) or is_secret(name, None):
            continue
        readers = [f"{BY_NAME}{program}" for program in reads if name in reads[program]]
        sure = [f"{BY_NAME}{program}" for program in reads if name in reads[program] and _is_sure(reads[program][name])]
        kinds = tuple(kind for kind in entry.readers if kind not in sure)
        found.append(
            entry._replace(
                patterns=(name,),
                seen_in=entry.seen_in if entry is not GENERIC else "a trial run",
                readers=(*sure, *kinds),
                may_read=(*(each for each in readers if each not in sure), *entry.may_read),
            )
        )
    return found


def _is_nobodys(name: str, entry: Entry) -> bool:
    """Whether it is no wonder that both read it, and no harm."""
    return entry.severity == "S3" or name in _SURROUNDINGS or variable_class(name) in ("derived", "ours")


def _is_sure(read: Read) -> bool:
    return read.sure in ("observed", "declared")


def catalogue_text(entries: Collection[Entry]) -> str:
    """The rows as `--catalogue` reads them: YAML, a row a line."""
    lines = []
    for entry in entries:
        fields = [
            f"names: {json.dumps(list(entry.patterns))}",
            f"severity: {entry.severity}",
            f"happens: {json.dumps(entry.happens)}",
            *([f"readers: {json.dumps(list(entry.readers))}"] if entry.readers else []),
            *([f"may_read: {json.dumps(list(entry.may_read))}"] if entry.may_read else []),
            f"seen_in: {json.dumps(entry.seen_in)}",
        ]
        lines.append(f"- {{{', '.join(fields)}}}\n")
    return "".join(lines) or "[]\n"
