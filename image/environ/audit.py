"""What processes hold of an environment against what they should: names, origins, classes and lengths, no value (pure).

Only what was started as the launch record says must hold it exactly. What a program became by an exec of its own, and
what it starts, has whatever it chose to give: that is told, and no fault. A fault wherever it is found is what the
split keeps apart: an addressed original (`PROXY__X`), or a secret of the other program under whatever name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pillion.image.environ.classes import variable_class
from pillion.image.environ.secrets import is_secret

MISSING, EXTRA, CHANGED, LEAKED = "missing", "extra", "changed", "leaked"
# A shorter secret may be somebody else's value by chance.
_LEAST_SECRET = 8
Environ = Mapping[str, str]


class Should(NamedTuple):
    """What a program was started with. `origins` maps names to the container's variable ("" if computed) and the layer
    of the split; `originals` are the container's addressed names, whose prefixed form nobody is to hold."""

    program: str
    environ: Environ
    origins: Mapping[str, tuple[str, str]] = {}
    originals: Sequence[str] = ()


class Difference(NamedTuple):
    """One name. `kind` is missing, extra, changed or leaked; `length` the held value's, the expected one's if it is
    missing; `whose` the program from which it leaked; `fault` whether it is one."""

    kind: str
    name: str
    origin: str
    layer: str
    group: str
    length: int
    whose: str
    fault: bool

    def __str__(self) -> str:
        origin = f"from {self.origin}" if self.origin else "computed"
        where = f"{origin}, {self.layer}, " if self.layer else ""
        what = {
            MISSING: "is missing",
            EXTRA: "is not in the launch record",
            CHANGED: "has another value",
            LEAKED: f"is the {self.whose}'s" if self.whose else "is as the container was given it, not split",
        }[self.kind]
        return f"{self.name}: {what} ({where}class {self.group}, {self.length} characters)"


class Looked(NamedTuple):
    """One process. `command` is the kernel's short name of it. `started`: it is what the launch record started, and so
    must hold it exactly. `unread` says why its environment cannot be told, "" if it can; `held` counts its names."""

    pid: int
    program: str
    command: str
    started: bool
    held: int = 0
    unread: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def faults(self) -> int:
        """How many of the differences are faults."""
        return sum(each.fault for each in self.differences)


class Report(NamedTuple):
    """Of a running pair. `supervisord` is its pid; `passed_over` counts processes beyond those that are looked at."""

    supervisord: int
    processes: tuple[Looked, ...]
    originals: tuple[str, ...] = ()
    passed_over: int = 0

    @property
    def faults(self) -> int:
        """How many there are in all."""
        return sum(each.faults for each in self.processes)

    def document(self) -> dict[str, object]:
        """For JSON; the inverse of `read_report`."""
        processes = [
            {**each._asdict(), "differences": [one._asdict() for one in each.differences]} for each in self.processes
        ]
        return {**self._asdict(), "processes": processes}

    def to_json(self) -> str:
        """The document in one line of ASCII."""
        return json.dumps(self.document())


def read_report(text: str | bytes) -> Report:
    """What `Report.to_json` gave. Raises ValueError, TypeError or KeyError for anything else."""
    document = json.loads(text)
    processes = tuple(
        Looked(**{**each, "differences": tuple(Difference(**one) for one in each["differences"])})
        for each in document["processes"]
    )
    return Report(**{**document, "processes": processes, "originals": tuple(document["originals"])})


def compare(should: Should, held: Environ, others: Sequence[Should], *, started: bool) -> tuple[Difference, ...]:
    """What `held` differs by from what the program should hold; `others` are those from which nothing may come."""
    found = [
        _difference(MISSING, name, value, should, fault=started)
        for name, value in should.environ.items()
        if name not in held
    ]
    for name, value in held.items():
        if name in should.environ:
            if value != should.environ[name]:
                whose = _whose(name, value, should, others)
                kind = LEAKED if whose else CHANGED
                found.append(_difference(kind, name, value, should, whose, fault=started or bool(whose)))
        elif name in should.originals:
            found.append(_difference(LEAKED, name, value, should, fault=True))
        elif whose := _whose(name, value, should, others):
            found.append(_difference(LEAKED, name, value, should, whose, fault=True))
        else:
            found.append(_difference(EXTRA, name, value, should, fault=started))
    return tuple(sorted(found, key=lambda each: (not each.fault, each.kind, each.name)))


def as_given(held: Environ, originals: Sequence[str], *, fault: bool) -> tuple[Difference, ...]:
    """The addressed originals among what a process holds that is of no program."""
    nobody = Should("", {})
    return tuple(
        _difference(LEAKED, name, held[name], nobody, fault=fault) for name in sorted(originals) if name in held
    )


def _whose(name: str, value: str, should: Should, others: Sequence[Should]) -> str:
    """The other program whose secret this is: under its own name, or, if it is long enough to tell, under any."""
    if not value or value in should.environ.values():
        return ""
    for other in others:
        for theirs, secret in other.environ.items():
            if secret == value and (theirs == name or len(value) >= _LEAST_SECRET) and is_secret(theirs, secret):
                return other.program
    return ""


def _difference(kind: str, name: str, value: str, should: Should, whose: str = "", *, fault: bool) -> Difference:
    origin, layer = should.origins.get(name, ("", "")) if kind in (MISSING, CHANGED) else ("", "")
    group = "secret" if is_secret(name, value) else variable_class(name)
    return Difference(kind, name, origin, layer, group, len(value), whose, fault)
