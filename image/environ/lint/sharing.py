"""Programs that share a container today: all of them have what it is given (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pillion.image.environ.catalogue import GENERIC, Entry
from pillion.image.environ.lint.finding import LintFinding, Named
from pillion.image.environ.lint.program import Declaration
from pillion.image.environ.lint.sight import SEPARATE, Sight, listed, names_of
from pillion.image.environ.secrets import is_secret

_LISTENING = frozenset(("HOST", "HOSTNAME"))


def inherited(sight: Sight) -> Iterator[LintFinding]:
    """What all of them are given, and whom it fits."""
    group = sight.group
    names = {*group.inherited, *(name for source in group.sources for name in source.reads)}
    for name in sorted(names):
        given = group.inherited.get(name)
        entry = sight.catalogue.look_up(name)
        if given is not None and (given.secret or is_secret(name, given.value)):
            if len(sight.workers) > 1:
                yield _spread(sight, given)
            continue
        if entry.severity == "S3":
            continue
        readers = sight.readers(name, entry)
        if len(readers) > 1:
            yield _clash(sight, name, entry, given, readers)
        elif given is not None:
            yield from _one_reader(sight, given, entry, readers)
        elif name == "HOSTNAME" and readers:
            yield _hostname(sight, entry, readers)


def _spread(sight: Sight, given: Declaration) -> LintFinding:
    """A secret that every program of the container inherits."""
    baked = given.origin in ("ENV", "environment=") and bool(given.value)
    happens = f"{names_of(sight.workers)} inherit it alike" + (
        ", and it stands in a file of the image" if baked else ""
    )
    return sight.finding(
        "secret",
        "S0" if baked else "S2",
        given,
        happens,
        "give it to the program that needs it alone",
        [program.name for program in sight.workers],
        "kube-agents#1270",
    )


def _clash(
    sight: Sight, name: str, entry: Entry, given: Declaration | None, readers: Mapping[str, Named | None]
) -> LintFinding:
    places = [named for named in readers.values() if named]
    severity = entry.severity if given else max(entry.severity, "S2")
    happens = f"{listed(readers)} read it alike: {entry.happens}" + ("" if given else "; nothing sets it here")
    return sight.finding(
        "variable", severity, given or (name, places[0].place), happens, SEPARATE, readers, entry.seen_in, places
    )


def _one_reader(
    sight: Sight, given: Declaration, entry: Entry, readers: Mapping[str, Named | None]
) -> Iterator[LintFinding]:
    """Two hands may still set it, or the server and its application read it; else what starts later gets it too."""
    setters = sight.group.set_again.get(given.name)
    if setters and readers and entry is not GENERIC:
        happens = f"a script sets it again, and {listed(readers)} reads it: {entry.happens}"
        also = [Named(setters, "set again here")]
        yield sight.finding(
            "variable", max(entry.severity, "S2"), given, happens, SEPARATE, readers, entry.seen_in, also
        )
        return
    for program in sight.group.programs:
        sources = [s for s in sight.group.sources if given.name in s.reads and s.kind in sight.kinds(program)]
        if sources and given.name in _LISTENING and entry.read_by(sight.kinds(program)):
            happens = f"{program.name} listens there, and its application reads it for a purpose of its own"
            also = [Named(sources[0].reads[given.name], "read here")]
            yield sight.finding(
                "variable", "S2", given, happens, "use another name", [program.name], entry.seen_in, also
            )
            return
    if len(sight.workers) > 1 or entry is not GENERIC:
        happens = "is inherited by every program of the container, and by what is started in it later"
        yield sight.finding("variable", "S3", given, happens, SEPARATE, [program.name for program in sight.workers])


def _hostname(sight: Sight, entry: Entry, readers: Mapping[str, Named | None]) -> LintFinding:
    """Every container runtime sets HOSTNAME."""
    place = next((named.place for named in readers.values() if named), sight.group.place)
    happens = f"every runtime sets it to the container's id, and {listed(readers)} reads it: {entry.happens}"
    mend = "set it to the address to listen on, or read another name"
    return sight.finding("variable", "S2", ("HOSTNAME", place), happens, mend, readers, entry.seen_in)


def alone(sight: Sight) -> Iterator[LintFinding]:
    """What a container's one program is given reaches whatever is started in it beside or after: a health check, a
    script, a package manager. Noise, but for what the dynamic loader takes from there."""
    if len(sight.group.programs) != 1 or sight.group.inherited:
        return
    for declaration in sight.group.programs[0].declared.values():
        entry = sight.catalogue.look_up(declaration.name)
        secret = declaration.secret or is_secret(declaration.name, declaration.value)
        if not secret and (entry.severity == "S3" or not (entry.readers or entry.may_read)):
            continue
        severity = "S2" if declaration.name.startswith("LD_") else "S3"
        happens = "reaches whatever else is started in the container, a health check or a script, too"
        rule = "secret" if secret else "variable"
        yield sight.finding(rule, severity, declaration, happens, SEPARATE, (), entry.seen_in)


def homes(sight: Sight) -> Iterator[LintFinding]:
    """A supervisor that changes the uid does not change HOME and USER: they stay root's."""
    users = [
        program
        for program in sight.group.programs
        if program.name in sight.group.users and not {"HOME", "USER"} & program.declared.keys()
    ]
    if not users:
        return
    places = [sight.group.users[program.name] for program in users]
    names = [program.name for program in users]
    happens = f"supervisord starts {listed(names)} as another user and leaves it root's"
    also = [Named(place, "and here") for place in places[1:]]
    for name in ("HOME", "USER"):
        mend, seen_in = "add it to their environment=", "Supervisor#161, Supervisor#307"
        yield sight.finding("user", "S2", (name, places[0]), happens, mend, names, seen_in, also)
