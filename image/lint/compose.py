"""A Compose file as programs: its services would share one container.

Interpolation sees the `.env` beside the file and nothing of the caller's environment, so that a finding is the same on
every machine; what is not set there has no known value.

https://docs.docker.com/reference/compose-file/
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from pillion.image.environ.lint.program import Declaration, Group, Place, Port, Program, Reading, Remark
from pillion.image.environ.readers import command_words
from pillion.image.lint.compose_files import File, Files, beside, dot_env, texts, there
from pillion.image.lint.containerfile import Stage, read_containerfile
from pillion.image.lint.envfile import read_env_file, twice
from pillion.image.lint.kubernetes import elsewhere
from pillion.image.lint.tree import Unreadable, Value, read_text
from pillion.image.lint.variable import check
from pillion.image.pairfile.interpolation import interpolate
from pillion.image.pairfile.variable import is_name

_PORTS = re.compile(r"(?:.*:)?(\d{1,5})(?:-(\d{1,5}))?(?:/(\w+))?", re.ASCII | re.DOTALL)
_MOST_PORTS = 64
_MOST_EXTENDS = 50


class _Part(NamedTuple):
    """A service as one file has it, which others may add to."""

    service: Value
    file: File


def read_compose(document: Value, path: Path, profiles: Collection[str]) -> Reading:
    """The services that these profiles start, as one group, those of included files too. Raises Unreadable for a broken
    file that it names, and for files or services that refer to one another in a circle."""
    own = File(document, document.place.file, path.parent)
    known = dot_env([path.parent / ".env"], own.shown)
    reader = _Reader(known, profiles, Files())
    programs = reader.programs([own], [path.resolve()])
    links = {
        alias.upper().replace("-", "_"): entry.place
        for _, service, _ in document["services"].fields()
        for entry in service["links"].entries()
        if (alias := entry.text().rpartition(":")[2])
    }
    title = document["name"].text() or path.absolute().parent.name
    group = Group(title, document.place, tuple(programs.values()), links=links)
    return Reading((group,), tuple(reader.remarks), included=frozenset(reader.files.included))


class _Reader:
    """Reads services with what is `known` for interpolation; an included file has a reader of its own."""

    def __init__(self, known: Mapping[str, str], profiles: Collection[str], files: Files) -> None:
        self.known, self.profiles, self.files = known, profiles, files
        self.remarks: list[Remark] = []

    def programs(self, files: list[File], within: list[Path]) -> dict[str, Program]:
        """The services of one file, or of several of which each adds to those before it, and of what they include.
        `within` are the files that led here."""
        found: dict[str, Program] = {}
        for file in files:
            for entry in file.document["include"].entries():
                for name, program in self._included(entry, file, within).items():
                    self._put_program(found, name, program)
        names = dict.fromkeys(name for file in files for name, _, _ in file.document["services"].fields())
        for name in names:
            parts = [_Part(file.document["services"][name], file) for file in reversed(files)]
            parts = [part for part in parts if part.service.given]
            if parts and self._wanted(name, parts[0]):
                self._put_program(found, name, self.program(name, parts))
        return found

    def _put_program(self, found: dict[str, Program], name: str, program: Program) -> None:
        if name in found:
            happens = "is a service of two files of which one includes the other, which Compose refuses"
            self.remarks.append(Remark("twice", "S1", name, program.place, happens, "rename one of them"))
        found[name] = program

    def _wanted(self, name: str, part: _Part) -> bool:
        wanted = {each.text() for each in part.service["profiles"].entries()}
        if not wanted or "*" in self.profiles or wanted & set(self.profiles):
            return True
        happens = f"starts with a profile only ({', '.join(sorted(wanted))}) and is left out"
        place = part.file.document["services"].keys[name]
        self.remarks.append(Remark("profile", "S3", name, place, happens, "give --profile"))
        return False

    def _included(self, entry: Value, file: File, within: list[Path]) -> dict[str, Program]:
        """What an entry of `include` brings; its own `.env` counts less than what is known here."""
        paths = texts(entry["path"] if isinstance(entry.content, dict) else entry)
        found: list[File] = []
        for each in paths:
            name = self._value(each.text()) or ""
            path = there(file.directory, name) if name else None
            if path is None:
                self.remarks.append(elsewhere(name or "include", each.place))
                continue
            if path.resolve() in within:
                raise Unreadable(each.place, "files include one another in a circle", "leave one of them out")
            if str(path.resolve()) in self.files.included:
                continue  # by two ways
            other = self.files.read(path, beside(file.shown, name), each.place)
            self.files.included.add(str(path.resolve()))
            found.append(other)
        if not found:
            return {}
        project = self._value(entry["project_directory"].text())
        folder = file.directory / project if project else found[0].directory
        own = [file.directory / each.text() for each in texts(entry["env_file"])] or [folder / ".env"]
        reader = _Reader({**dot_env(own, found[0].shown), **self.known}, self.profiles, self.files)
        resolved = [(each.directory / Path(each.shown).name).resolve() for each in found]
        placed = [each._replace(directory=folder) for each in found]
        programs = reader.programs(placed, [*within, *resolved])
        self.remarks.extend(reader.remarks)
        return programs

    def program(self, name: str, parts: list[_Part]) -> Program:
        """A service, from the parts of it that files have, the last one first."""
        chain = [each for part in parts for each in self._extended(name, part)]
        stage = self._image(chain)
        declared: dict[str, Declaration] = dict(stage.declared) if stage else {}
        for each in reversed(chain):
            for file in texts(each.service["env_file"], mappings=True):
                declared.update(self._env_file(file, each.file, declared))
            self._environment(each.service["environment"], declared)
        files = {each.file.shown for each in chain}
        for declaration in declared.values():
            if declaration.place.file in files:
                self.remarks.extend(check(declaration))
        words = (*self._words(_first(chain, "entrypoint")), *self._words(_first(chain, "command")))
        image = _first(chain, "image").text() or (stage.base if stage else "")
        if not words and stage:
            words = stage.words
        ports = self._ports(chain) or (stage.ports if stage else ())
        place = parts[0].file.document["services"].keys[name]
        mounts = any(_first(chain, field).given for field in ("volumes", "configs"))
        return Program(name, place, image, words, declared, ports, mounts)

    def _extended(self, name: str, part: _Part) -> list[_Part]:
        """The service and those that it extends, of this file or of others, nearest first."""
        chain, seen = [part], {(part.file.shown, name)}
        while (extends := chain[-1].service["extends"]).given:
            near = chain[-1].file
            file: File | None = near
            wanted = extends.text() or extends["service"].text() or name
            if extends["file"].given:
                other = self._value(extends["file"].text()) or ""
                path = there(near.directory, other)
                file = self.files.read(path, beside(near.shown, other), extends["file"].place) if path else None
            base = file.document["services"][wanted] if file else None
            if file is None or base is None or not isinstance(base.content, dict):
                self.remarks.append(elsewhere("extends", extends.place))
                break
            if len(chain) > _MOST_EXTENDS:
                raise Unreadable(extends.place, f"a service extends more than {_MOST_EXTENDS}", "no project needs that")
            if (file.shown, wanted) in seen:
                raise Unreadable(extends.place, "services extend one another in a circle", "leave one extends out")
            seen.add((file.shown, wanted))
            chain.append(_Part(base, file))
        return chain

    def _image(self, chain: list[_Part]) -> Stage | None:
        """The image's ENV and command, if the service is built from a file that is there."""
        file = next((each.file for each in chain if each.service["build"].given), chain[0].file)
        build = _first(chain, "build")
        context = build.text() or build["context"].text()
        if not context or "$" in context or "://" in context:
            return None
        name = build["dockerfile"].text() or "Dockerfile"
        path = there(file.directory / context, name)
        if path is None:
            return None
        shown = beside(file.shown, str(Path(context) / name))
        return read_containerfile(read_text(path, shown), shown, build["target"].text()).final

    def _env_file(self, entry: Value, file: File, declared: Mapping[str, Declaration]) -> dict[str, Declaration]:
        place = entry["path"] if isinstance(entry.content, dict) else entry
        name = self._value(place.text())
        if not name:
            return {}
        path = there(file.directory, name)
        if path is None:
            if entry["required"].text().lower() != "false":
                self.remarks.append(elsewhere(name, place.place))
            return {}
        shown = beside(file.shown, name)
        values = {each.name: each.value for each in declared.values()}
        found, remarks = read_env_file(
            read_text(path, shown), shown, lambda each: self.known.get(each, values.get(each)), f"env_file {name}"
        )
        self.remarks.extend(remarks)
        return found

    def _environment(self, environment: Value, declared: dict[str, Declaration]) -> None:
        given: set[str] = set()
        for entry in environment.entries():
            name, equals, value = entry.text().partition("=")
            if name in given:
                self.remarks.append(twice(name, entry.place))
            given.add(name)
            self._put(declared, name, value if equals else None, entry.place)
        for name, field, place in environment.fields():
            self._put(declared, name, field.content if isinstance(field.content, str) else None, place)

    def _put(self, declared: dict[str, Declaration], name: str, raw: str | None, place: Place) -> None:
        if not is_name(name):
            self.remarks.append(
                Remark("name", "S1", "environment", place, 'is no name of a variable; use printable ASCII without "="')
            )
        elif raw is None:
            value = self.known.get(name)
            declared[name] = Declaration(name, value, place, "the caller", reference=f"${{{name}}}")
        else:
            declared[name] = Declaration(name, self._value(raw), place, "environment", reference=raw)

    def _value(self, raw: str) -> str | None:
        """What Compose makes of a text; None if that depends on what is not set here."""
        if "$" not in raw:
            return raw
        unset: set[str] = set()
        try:
            value = interpolate(raw, self.known.get, unset)
        except ValueError:
            return None
        return None if unset or not self.files.growth.allows(value) else value

    def _words(self, field: Value) -> tuple[str, ...]:
        if isinstance(field.content, str):
            return command_words(field.content)
        return tuple(entry.text() for entry in field.entries())

    def _ports(self, chain: list[_Part]) -> tuple[Port, ...]:
        """The TCP ports on the container's side."""
        found: dict[int, Port] = {}
        for service in (each.service for each in chain):
            for entry in (*service["ports"].entries(), *service["expose"].entries()):
                long = isinstance(entry.content, dict)
                text = self._value((entry["target"] if long else entry).text()) or ""
                match = _PORTS.fullmatch(text)
                if match is None or ((entry["protocol"].text() if long else "") or match[3] or "tcp") != "tcp":
                    continue
                first, last = int(match[1]), int(match[2] or match[1])
                for number in range(first, min(last, first + _MOST_PORTS) + 1):
                    if 0 < number < 65536:
                        found.setdefault(number, Port(number, entry.place))
        return tuple(found.values())


def _first(chain: list[_Part], name: str) -> Value:
    """The field of the nearest service that has it."""
    return next((each.service[name] for each in chain if each.service[name].given), chain[0].service[name])
