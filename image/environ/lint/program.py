"""What the linter reads from files, whatever their kind: programs, what each is given, and who shares with whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Place(NamedTuple):
    """Where something stands: line and column count from 1 and are 0 where there is none (an image's ENV)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(number) for number in self[1:] if number)])


class Declaration(NamedTuple):
    """A variable that something is given. `value` is None where only a cluster or a shell knows it.

    `origin` says by what (`env`, `ConfigMap web`, `env_file`, `ENV`); `secret` that a Secret gives it. `reference` is
    what an unknown value is taken from: two with the same have the same. The value is compared and looked at, never
    shown: it is not in the representation either.
    """

    name: str
    value: str | None
    place: Place
    origin: str = "env"
    secret: bool = False
    reference: str = ""

    def equals(self, other: Declaration) -> bool:
        """Whether both are known to have the same value."""
        if self.value is None or other.value is None:
            return bool(self.reference) and self.reference == other.reference
        return self.value == other.value

    def __repr__(self) -> str:
        known = "unknown" if self.value is None else f"{len(self.value)} characters"
        return f"<Declaration {self.name} {known} at {self.place}>"


class Port(NamedTuple):
    """A TCP port that a program is said to listen on."""

    number: int
    place: Place


class Program(NamedTuple):
    """One process, or the container that is one today. `words` is its command line as far as the file has it; `mounts`
    whether files that are not seen are put into it."""

    name: str
    place: Place
    image: str = ""
    words: tuple[str, ...] = ()
    declared: Mapping[str, Declaration] = {}
    ports: tuple[Port, ...] = ()
    mounts: bool = False

    def __repr__(self) -> str:
        return f"<Program {self.name} at {self.place}>"


class Source(NamedTuple):
    """A file of a program that reads variables: which, and where first; a script may also export some to what it
    starts. `kind` is the kind of program that it is of."""

    file: str
    kind: str
    reads: Mapping[str, Place]
    exports: Mapping[str, Place] = {}


class Group(NamedTuple):
    """Programs that would share one container, or do (`shared`): then each also has `inherited`.

    `links` are the services, upper case, whose service links the platform sets in them. `users` maps programs that a
    supervisor runs as another user to where it says so. `sources` are files of these programs, of which is not said.
    `set_again` are the names that a script exports although the container is given them. `network`: they share one
    today, as in a pod. `built` is the image that lies beside them, of which nothing says whose it is.
    """

    title: str
    place: Place
    programs: tuple[Program, ...]
    shared: bool = False
    inherited: Mapping[str, Declaration] = {}
    links: Mapping[str, Place] = {}
    users: Mapping[str, Place] = {}
    sources: tuple[Source, ...] = ()
    set_again: Mapping[str, Place] = {}
    network: bool = False
    built: Program | None = None


class Remark(NamedTuple):
    """Something wrong with the file itself that a reader found on its way: a finding that needs no second program."""

    rule: str
    severity: str
    subject: str
    place: Place
    happens: str
    mend: str = ""


class Reading(NamedTuple):
    """What one or several files hold. `skipped` maps files that hold nothing to lint to the reason; `included` are the
    files, by their resolved paths, that are part of another."""

    groups: tuple[Group, ...] = ()
    remarks: tuple[Remark, ...] = ()
    skipped: Mapping[str, str] = {}
    included: frozenset[str] = frozenset()
