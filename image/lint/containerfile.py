"""A Containerfile or Dockerfile as programs: what its last stage, or the one asked for, starts, and with which ENV."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from pillion.image.environ.lint.program import Declaration, Place, Port, Remark
from pillion.image.lint.dockerfile import Instruction, Word, instructions, unquoted, words
from pillion.image.lint.envfile import twice
from pillion.image.lint.tree import Unreadable
from pillion.image.lint.variable import Growth, check
from pillion.image.pairfile.variable import is_name

_ENTRYPOINT, _CMD = "ENTRYPOINT", "CMD"


class Stage(NamedTuple):
    """What a stage makes of its base: `declared` is its ENV, `words` its command, `copied` the sources it copies."""

    name: str
    base: str
    place: Place
    declared: Mapping[str, Declaration] = {}
    words: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    user: str = ""
    copied: tuple[str, ...] = ()


class Containerfile(NamedTuple):
    """`final` is None in a file without a stage."""

    final: Stage | None
    remarks: tuple[Remark, ...]


def read_containerfile(text: str, file: str, target: str = "") -> Containerfile:
    """The stage named `target`, or the last. Raises Unreadable."""
    escape, found = instructions(text, file)
    reader = _Reader(escape)
    for instruction in found:
        if target and reader.current and reader.current.name == target and instruction.keyword == "FROM":
            break
        reader.take(instruction)
    stage = reader.finish()
    remarks = [*reader.remarks]
    for declaration in stage.declared.values() if stage else ():
        remarks.extend(check(declaration))
    return Containerfile(stage, tuple(remarks))


class _Reader:
    """Goes through the instructions. `commands` are the current stage's ENTRYPOINT and CMD, `set_here` its own ones."""

    def __init__(self, escape: str) -> None:
        self.escape = escape
        self.stages: dict[str, tuple[Stage, dict[str, tuple[str, ...]]]] = {}
        self.current: Stage | None = None
        self.commands: dict[str, tuple[str, ...]] = {}
        self.set_here: set[str] = set()
        self.declared: dict[str, Declaration] = {}
        self.first_arguments: dict[str, str | None] = {}
        self.arguments: dict[str, str | None] = {}
        self.own: dict[str, Place] = {}
        self.remarks: list[Remark] = []
        self.growth = Growth()

    def take(self, instruction: Instruction) -> None:
        keyword, rest = instruction.keyword, instruction.rest
        if keyword == "FROM":
            self.begin(instruction)
        elif keyword == "ARG":
            self.argue(instruction)
        elif self.current is None:
            raise Unreadable(instruction.place, f"{keyword} stands before the first FROM", "begin with FROM")
        elif keyword == "ENV":
            self.environment(instruction)
        elif keyword in (_ENTRYPOINT, _CMD):
            self.commands[keyword] = _argv(rest)
            self.set_here.add(keyword)
            if keyword == _ENTRYPOINT and _CMD not in self.set_here:
                self.commands.pop(_CMD, None)  # as the builder does: a base's CMD was meant for its own entrypoint
        elif keyword == "EXPOSE":
            ports = (Port(int(number), instruction.place) for number in re.findall(r"\b(\d{1,5})(?!\d|/udp)", rest))
            self.current = self.current._replace(ports=(*self.current.ports, *ports))
        elif keyword == "USER":
            self.current = self.current._replace(user=rest.split(":")[0])
        elif keyword in ("COPY", "ADD"):
            sources = tuple(word.raw for word in words(rest, self.escape))[:-1]
            self.current = self.current._replace(copied=(*self.current.copied, *sources))

    def begin(self, instruction: Instruction) -> None:
        self.finish()
        parts = [word.raw for word in words(instruction.rest, self.escape)]
        base = unquoted(parts[0], self.escape, self.first_arguments.get) or parts[0] if parts else ""
        name = parts[2] if len(parts) == 3 and parts[1].upper() == "AS" else str(len(self.stages))
        earlier = self.stages.get(base.lower())
        stage, commands = earlier if earlier else (Stage("", base, instruction.place), {})
        self.current = stage._replace(name=name.lower(), place=instruction.place)
        self.commands, self.declared, self.arguments, self.own = dict(commands), dict(stage.declared), {}, {}
        self.set_here = set()

    def finish(self) -> Stage | None:
        """Ends the current stage, and gives it."""
        if self.current is not None:
            argv = (*self.commands.get(_ENTRYPOINT, ()), *self.commands.get(_CMD, ()))
            self.current = self.current._replace(declared=dict(self.declared), words=argv)
            self.stages[self.current.name] = (self.current, dict(self.commands))
        return self.current

    def argue(self, instruction: Instruction) -> None:
        for word in words(instruction.rest, self.escape):
            name, equals, raw = word.raw.partition("=")
            value = unquoted(raw, self.escape, self.known) if equals else self.first_arguments.get(name)
            if value is not None and "$" in raw and not self.growth.allows(value):
                value = None
            (self.arguments if self.current else self.first_arguments)[name] = value

    def environment(self, instruction: Instruction) -> None:
        parts = list(words(instruction.rest, self.escape))
        if parts and "=" not in parts[0].raw:
            # The old form: one variable, and its value is the rest of the line.
            name, _, raw = instruction.rest.partition(" ")
            if not raw.strip():
                raise Unreadable(instruction.place, "ENV has a name without a value", "write NAME=VALUE")
            parts = [Word(f"{parts[0].raw}={instruction.rest[len(parts[0].raw) :].lstrip()}", 0)]
        fresh: dict[str, Declaration] = {}  # an instruction does not see what it sets itself
        for word in parts:
            name, equals, raw = word.raw.partition("=")
            place = instruction.at(word.offset)
            if not equals:
                raise Unreadable(place, "ENV has a word without =", "quote values that hold spaces")
            name = unquoted(name, self.escape, self.known) or ""
            if not is_name(name):
                raise Unreadable(place, "ENV has a name that is none", "write NAME=VALUE")
            value = unquoted(raw, self.escape, self.known)
            if value is not None and "$" in raw and not self.growth.allows(value):
                value = None
            if name in self.own and place.line == self.own[name].line:
                self.remarks.append(twice(name, place))
            self.own[name] = place
            fresh[name] = Declaration(name, value, place, "ENV")
        self.declared.update(fresh)

    def known(self, name: str) -> str | None:
        """What `$NAME` is in this stage: ENV outranks ARG; nothing is known of the base's own."""
        found = self.declared.get(name)
        return found.value if found else self.arguments.get(name)


def _argv(rest: str) -> tuple[str, ...]:
    """The exec form as it is; the shell form as the command line that a shell is given."""
    if rest.lstrip().startswith("["):
        try:
            argv = json.loads(rest)
        except ValueError:
            argv = None
        if isinstance(argv, list) and all(isinstance(word, str) for word in argv):
            return tuple(argv)
    return ("/bin/sh", "-c", rest) if rest else ()
