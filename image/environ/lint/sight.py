"""A group with what can be told of its programs: what kinds they are, which names they read, and how to say so."""

from __future__ import annotations

from collections.abc import Iterable

from pillion.image.environ.catalogue import Catalogue, Entry
from pillion.image.environ.learning import BY_NAME
from pillion.image.environ.lint.finding import LintFinding, Named
from pillion.image.environ.lint.program import Declaration, Group, Place, Program
from pillion.image.environ.readers import kinds_of, named_on

SEPARATE = "give each program an environment of its own"
SHELL = "shell"


class Sight:
    """`workers` are the programs without the supervisor that keeps them."""

    def __init__(self, group: Group, catalogue: Catalogue) -> None:
        self.group, self.catalogue = group, catalogue
        self._kinds = {id(program): kinds_of(program.words, program.image) for program in group.programs}
        self._words = {id(program): named_on(program.words) for program in group.programs}
        self.workers = tuple(each for each in group.programs if "supervisord" not in self._kinds[id(each)])

    def kinds(self, program: Program) -> frozenset[str]:
        """What kinds of program it is; none if nothing tells."""
        return self._kinds[id(program)]

    def names(self, program: Program, name: str) -> bool:
        """Whether its command line refers to the variable."""
        return name in self._words[id(program)]

    def reads(self, program: Program, name: str, entry: Entry) -> bool:
        """Whether it certainly reads the variable."""
        return self.names(program, name) or entry.read_by(self.kinds(program) | {f"{BY_NAME}{program.name}"})

    def perhaps(self, program: Program, entry: Entry) -> bool:
        """Whether what it is makes it likely to, or it was learned that it may."""
        learned = f"{BY_NAME}{program.name}" in (*entry.readers, *entry.may_read)
        return learned or (bool(self.kinds(program)) and entry.perhaps_read_by(self.kinds(program)))

    def readers(self, name: str, entry: Entry) -> dict[str, Named | None]:
        """Who reads a name that all are given, and where that is seen; who has a value of its own is not among them."""
        found: dict[str, Named | None] = {}
        covered = {program.place.file for program in self.group.programs if self.names(program, name)}
        for program in self.group.programs:
            sources = [each for each in self.group.sources if name in each.reads and each.kind in self.kinds(program)]
            covered.update(source.file for source in sources)
            if name in program.declared:
                continue
            if self.names(program, name):
                found[program.name] = Named(program.place, f"{program.name} is started with it")
            elif sources:
                found[program.name] = Named(sources[0].reads[name], f"{program.name} may read it here")
            elif self.reads(program, name, entry) or self.perhaps(program, entry):
                found[program.name] = None
        for source in self.group.sources:
            if name in source.reads and source.file not in covered:
                label = source.file.rpartition("/")[2] if source.kind == SHELL else f"a {source.kind} program"
                found.setdefault(label, Named(source.reads[name], "read here"))
        return found

    def finding(
        self,
        rule: str,
        severity: str,
        given: Declaration | tuple[str, Place],
        happens: str,
        mend: str,
        programs: Iterable[str] = (),
        seen_in: str = "",
        also: Iterable[Named] = (),
    ) -> LintFinding:
        """`given` is what it is about: a declaration, or a subject and its place."""
        subject, place = (given.name, given.place) if isinstance(given, Declaration) else given
        kept = tuple(each for each in also if each.place != place)
        seen_in = "" if seen_in == "derived" else seen_in
        return LintFinding(
            rule, severity, subject, place, happens, mend, tuple(programs), self.group.title, seen_in, kept
        )


def listed(names: Iterable[str]) -> str:
    """`a, b and c`."""
    every = list(names)
    return " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)


def names_of(programs: Iterable[Program]) -> str:
    """The programs' names, listed."""
    return listed(program.name for program in programs)
