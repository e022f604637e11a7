"""Programs that each have a container of their own: what a naive merge of their environments would do (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from pillion.image.environ.catalogue import Entry
from pillion.image.environ.lint.finding import LintFinding, Named
from pillion.image.environ.lint.program import Declaration, Program
from pillion.image.environ.lint.sight import SEPARATE, Sight, listed, names_of
from pillion.image.environ.secrets import is_secret

_Given = tuple[Program, Declaration]


def merged(sight: Sight) -> Iterator[LintFinding]:
    """Names that several are given, unlike, and names that one is given and another reads."""
    if len(sight.group.programs) < 2:
        return
    owners: dict[str, list[_Given]] = {}
    for program in sight.group.programs:
        for name, declaration in program.declared.items():
            owners.setdefault(name, []).append((program, declaration))
    for name, declared in sorted(owners.items()):
        entry = sight.catalogue.look_up(name)
        unlike = [each for each in declared[1:] if not each[1].equals(declared[0][1])]
        if unlike:
            yield _unlike(sight, name, entry, [declared[0], *unlike])
        elif len(declared) < len(sight.group.programs):
            yield from _reaching(sight, name, entry, declared)


def unset(sight: Sight) -> Iterator[LintFinding]:
    """Names that nothing sets and of which was learned that several read them: whoever sets one later, sets it for
    all."""
    given = {*sight.group.inherited, *(name for program in sight.group.programs for name in program.declared)}
    for name, entry in sorted(sight.catalogue.learned.items()):
        if name in given or entry.severity == "S3":
            continue
        readers = {f"@{program.name}": program for program in sight.group.programs}
        found = [program for by, program in readers.items() if by in (*entry.readers, *entry.may_read)]
        if len(found) > 1:
            sure = all(f"@{program.name}" in entry.readers for program in found)
            happens = f"{names_of(found)} {'read' if sure else 'may read'} it alike: {entry.happens}; nothing sets it"
            subject = (name, found[0].place)
            also = [Named(program.place, f"{program.name} reads it") for program in found[1:]]
            programs = [program.name for program in found]
            yield sight.finding(
                "variable", max(entry.severity, "S2"), subject, happens, SEPARATE, programs, entry.seen_in, also
            )


def _unlike(sight: Sight, name: str, entry: Entry, declared: list[_Given]) -> LintFinding:
    programs = [program.name for program, _ in declared]
    secret = any(declaration.secret or is_secret(name, declaration.value) for _, declaration in declared)
    also = [Named(declaration.place, f"{program.name}'s own") for program, declaration in declared[1:]]
    happens = f"{listed(programs)} give it unlike values: {entry.happens}"
    rule, severity = ("secret", "S0") if secret else ("variable", entry.severity)
    return sight.finding(rule, severity, declared[0][1], happens, SEPARATE, programs, entry.seen_in, also)


def _reaching(sight: Sight, name: str, entry: Entry, declared: list[_Given]) -> Iterator[LintFinding]:
    """A name that some are given and others read."""
    given = declared[0][1]
    owners = [program for program, _ in declared]
    others = [program for program in sight.group.programs if program not in owners]
    if any(declaration.secret or is_secret(name, declaration.value) for _, declaration in declared):
        happens = f"is {names_of(owners)}'s; {names_of(others)} could read it"
        programs = [program.name for program in (*owners, *others)]
        yield sight.finding("secret", "S3", given, happens, SEPARATE, programs)
        return
    sure = [other for other in others if sight.reads(other, name, entry)]
    reached = sure or [other for other in others if sight.perhaps(other, entry)]
    if not reached or entry.severity == "S3":
        return
    verb = "reads" if sure else "may read"
    severity = entry.severity if sure else max(entry.severity, "S2")
    happens = f"is {names_of(owners)}'s, and {names_of(reached)} {verb} it too: {entry.happens}"
    programs = [program.name for program in (*owners, *reached)]
    yield sight.finding("variable", severity, given, happens, SEPARATE, programs, entry.seen_in)
