"""Any number of files as groups of programs: which kind each is, and which of them belong to one container."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pillion.image.environ.lint.program import Declaration, Group, Place, Program, Reading, Remark, Source
from pillion.image.lint.compose import read_compose
from pillion.image.lint.compose_files import is_compose
from pillion.image.lint.containerfile import Stage, read_containerfile
from pillion.image.lint.envfile import read_env_file
from pillion.image.lint.kubernetes import Objects, is_kubernetes, read_kubernetes
from pillion.image.lint.oci import is_image, read_image
from pillion.image.lint.sources import SHELL, language, launched, read_source
from pillion.image.lint.supervisord import Configuration, is_supervisord, read_supervisord
from pillion.image.lint.tree import Unreadable, Value, read_documents, read_text
from pillion.image.lint.variable import check

_YAML = (".yaml", ".yml", ".json")
_CONTAINERFILE = re.compile(r"(?:.*\.)?(?:Dockerfile|Containerfile)(?:[.-].*)?|.*\.(?:dockerfile|containerfile)")
_ENV_FILE = re.compile(r"\.env(?:[.-].*)?|.*\.env")
_INI = (".conf", ".ini", ".cfg")
_SKIPPED_FOLDERS = frozenset((".git", "node_modules", ".venv", "venv", "__pycache__", ".tox"))


class Wish(NamedTuple):
    """How to read: Compose `profiles` that count, and whether all the files are of one container (`together`)."""

    profiles: tuple[str, ...] = ()
    together: bool = False


class Read(NamedTuple):
    """What was read, and the files that could not be."""

    reading: Reading
    broken: tuple[Unreadable, ...]


class _Folder:
    """What the files of one folder hold that may belong to one container."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.configurations: list[Configuration] = []
        self.launched: list[Program] = []
        self.variables: dict[str, Declaration] = {}
        self.env_files: list[Place] = []
        self.sources: list[Source] = []
        self.groups: list[Group] = []


class _Files:
    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.folders: dict[str, _Folder] = {}
        self.documents: list[Value] = []
        self.remarks: list[Remark] = []
        self.skipped: dict[str, str] = {}
        self.broken: list[Unreadable] = []
        self.included: set[str] = set()
        self.met: set[str] = set()

    def folder(self, file: str) -> _Folder:
        return self.folders.setdefault(str(Path(file).parent), _Folder())

    def take(self, path: Path, shown: str, *, found: bool) -> None:
        """One file; one that was `found` in a folder is left alone without a word if it is nothing for us."""
        name = path.name
        if is_image(path, shown):
            self.groups_of(shown, read_image(shown))
        elif _CONTAINERFILE.fullmatch(name):
            containerfile = read_containerfile(read_text(path, shown), shown)
            self.remarks.extend(containerfile.remarks)
            if containerfile.final:
                self.folder(shown).stages.append(containerfile.final)
        elif path.suffix.lower() in _YAML:
            self.yaml(path, shown, found=found)
        elif _ENV_FILE.fullmatch(name):
            self.env_file(read_text(path, shown), shown)
        else:
            self.text(read_text(path, shown), shown, found=found)

    def text(self, text: str, shown: str, *, found: bool) -> None:
        if shown.endswith(_INI) and is_supervisord(text):
            configuration = read_supervisord(text, shown)
            self.remarks.extend(configuration.remarks)
            self.folder(shown).configurations.append(configuration)
        elif not found and (kind := language(shown, text)):
            self.source(text, shown, kind)
        elif not found:
            self.skipped[shown] = "is of no kind that is known here"

    def source(self, text: str, shown: str, kind: str) -> None:
        self.folder(shown).sources.append(read_source(text, shown, kind))
        if kind == SHELL:
            self.folder(shown).launched.extend(launched(text, shown))

    def yaml(self, path: Path, shown: str, *, found: bool) -> None:
        text = read_text(path, shown)
        documents = read_documents(text, shown)
        objects = [each for each in documents if is_kubernetes(each)]
        self.documents.extend(objects)
        compose = not objects and len(documents) == 1 and is_compose(documents[0])
        for document in objects or (documents if compose else ()):
            self.remarks.extend(_doubled(key, place) for key, place in document.doubles)
        if compose:
            self.groups_of(shown, read_compose(documents[0], path, self.wish.profiles))
        elif not objects and re.search(r"\$\{[A-Za-z_]\w*(?::[^}]*)?\}", text) and path.name.startswith("application"):
            self.source(text, shown, "jvm")
        elif not objects and not found:
            self.skipped[shown] = "is neither a Kubernetes manifest nor a Compose file"

    def env_file(self, text: str, shown: str) -> None:
        variables, remarks = read_env_file(text, shown, lambda _: None, "env file")
        self.remarks.extend(remarks)
        for declaration in variables.values():
            self.remarks.extend(check(declaration))
        folder = self.folder(shown)
        folder.env_files.append(Place(shown))
        folder.variables.update(variables)

    def groups_of(self, shown: str, reading: Reading) -> None:
        self.remarks.extend(reading.remarks)
        self.included |= reading.included
        self.folder(shown).groups.extend(reading.groups)

    def leave_out_included(self) -> None:
        """What was only met in a folder and is a part of another file is no project of its own."""
        for folder in self.folders.values():
            folder.groups[:] = [
                group
                for group in folder.groups
                if group.place.file not in self.met or str(Path(group.place.file).resolve()) not in self.included
            ]


def _doubled(key: str, place: Place) -> Remark:
    happens = "is given a second time in one mapping: some parsers take the later one, strict ones refuse the file"
    return Remark("twice", "S2", key, place, happens, "keep one")


def read_files(paths: Iterable[str], wish: Wish) -> Read:
    """Everything that the files, and those in the folders, hold. What cannot be read is told of beside the rest."""
    files = _Files(wish)
    for shown, found in _walk(paths):
        if found:
            files.met.add(shown)
        try:
            files.take(Path(shown), shown, found=found)
        except Unreadable as unreadable:
            files.broken.append(unreadable)
    files.leave_out_included()
    reading = read_kubernetes(Objects(files.documents))
    for group in reading.groups:
        files.folder(group.place.file).groups.append(group)
    groups = [group for folder in files.folders.values() for group in _assembled(folder)]
    if wish.together and len(groups) > 1:
        groups = [_together(groups)]
    return Read(Reading(tuple(groups), (*files.remarks, *reading.remarks), files.skipped), tuple(files.broken))


def _walk(paths: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Each file, and whether it was found in a folder rather than named."""
    seen: set[str] = set()
    for path in paths:
        if not Path(path).is_dir() or is_image(Path(path), path):
            if path not in seen:
                seen.add(path)
                yield path, False
            continue
        for folder, below, names in os.walk(path):
            below[:] = sorted(name for name in below if name not in _SKIPPED_FOLDERS)
            for name in sorted(names):
                shown = str(Path(folder, name))
                wanted = name.endswith((*_YAML, *_INI)) or _CONTAINERFILE.fullmatch(name) or _ENV_FILE.fullmatch(name)
                if wanted and shown not in seen and not Path(shown).is_symlink():
                    seen.add(shown)
                    yield shown, True


def _assembled(folder: _Folder) -> list[Group]:
    """The groups of a folder. A supervisor, or a script that starts programs, makes one container of what is there: the
    image's ENV, the one service or container that is given variables, `.env` files, and what scripts export."""
    several = [group for group in folder.groups if len(group.programs) != 1]
    single = [group for group in folder.groups if len(group.programs) == 1]
    programs = [program for each in folder.configurations for program in each.programs]
    programs = programs or ([] if several else folder.launched)
    for stage in folder.stages:
        programs = programs or _of_command(stage)
    if not programs:
        if len(folder.groups) == 1 and not folder.stages:
            # What lies beside the only manifest is taken for its programs'.
            return [folder.groups[0]._replace(sources=tuple(folder.sources))]
        alone = _alone(folder)
        if len(folder.groups) == len(folder.stages) == 1:
            return [folder.groups[0]._replace(built=alone[0].programs[0]), *alone]
        return [*folder.groups, *alone]
    inherited: dict[str, Declaration] = {}
    for stage in folder.stages:
        inherited.update(stage.declared)
    for group in single:
        inherited.update(group.programs[0].declared)
    inherited.update(folder.variables)
    for each in folder.configurations:
        inherited.update(each.base)
    exports = {name: place for source in folder.sources for name, place in source.exports.items()}
    set_again = {name: place for name, place in exports.items() if name in inherited}
    for name, place in exports.items():
        inherited.setdefault(name, Declaration(name, None, place, "export"))
    where = programs[0].place.file
    shared = Group(
        single[0].title if single else where,
        Place(where),
        tuple(programs),
        True,
        inherited,
        {name: place for group in single for name, place in group.links.items()},
        {name: place for each in folder.configurations for name, place in each.users.items()},
        tuple(folder.sources),
        set_again,
    )
    return [shared, *several]


def _of_command(stage: Stage) -> list[Program]:
    """The several programs that an image's own command line starts."""
    if len(stage.words) == 3 and stage.words[1] == "-c":
        programs = launched(stage.words[2].replace(";", "\n"), stage.place.file)
        last = re.split(r"&(?!&)|;", stage.words[2])[-1].strip()
        if programs and last and not last.startswith("wait"):
            programs.append(Program(last.split()[0].rpartition("/")[2], stage.place, "", tuple(last.split())))
        if len(programs) > 1:
            return [program._replace(place=stage.place) for program in programs]
    return []


def _alone(folder: _Folder) -> list[Group]:
    """What no supervisor ties together: an image is one program; variables and sources are of the one there is."""
    groups = [
        Group(
            stage.place.file,
            stage.place,
            (Program(Path(stage.place.file).name, stage.place, stage.base, stage.words, stage.declared, stage.ports),),
            True,
            folder.variables,
            sources=tuple(folder.sources),
        )
        for stage in folder.stages
    ]
    if not groups and (folder.sources or folder.variables):
        place = folder.env_files[0] if folder.env_files else Place(folder.sources[0].file)
        groups = [Group(place.file, place, (), True, folder.variables, sources=tuple(folder.sources))]
    return groups


def _together(groups: list[Group]) -> Group:
    """All of them as one, in which each program keeps what it is given."""
    programs: list[Program] = []
    for group in groups:
        inherited: Mapping[str, Declaration] = group.inherited
        programs.extend(program._replace(declared={**inherited, **program.declared}) for program in group.programs)
    links = {name: place for group in groups for name, place in group.links.items()}
    sources = tuple(source for group in groups for source in group.sources)
    loose = {name: value for group in groups if not group.programs for name, value in group.inherited.items()}
    return Group("together", groups[0].place, tuple(programs), False, loose, links, sources=sources)
