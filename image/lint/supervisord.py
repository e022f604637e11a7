"""A `supervisord.conf` as programs: all of them inherit all that supervisord has, and `environment=` adds to it.

Parsed by supervisord's own functions, so that what is found is what it does; only places come from here.

http://supervisord.org/configuration.html
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from supervisor.datatypes import dict_of_key_value_pairs
from supervisor.options import UnhosedConfigParser

from pillion.image.environ.lint.program import Declaration, Place, Program, Remark
from pillion.image.environ.readers import command_words
from pillion.image.lint.tree import Unreadable
from pillion.image.lint.variable import check

_SECTION = re.compile(r"\[(?P<name>[^]]+)\]")
_OPTION = re.compile(r"(?P<name>[^\s:=\[#;][^:=]*?)\s*[:=]\s*")
_PROGRAMS = ("program:", "eventlistener:", "fcgi-program:")
_FORMAT = re.compile(r"%(?:%|\((?P<name>[^)]*)\)[-#0 +]*\d*[sd]|(?P<bad>.?))", re.DOTALL)
_NAME = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)\s*=\s*", re.ASCII)
_LONGEST_ENVIRONMENT = 32_768
_OWN = ("here", "program_name", "group_name", "process_num", "numprocs", "host_node_name")


class Configuration(NamedTuple):
    """`base` is what `environment=` of the daemon gives all programs; `users` where it is said of a program that it
    runs as another user than root."""

    programs: tuple[Program, ...]
    base: Mapping[str, Declaration]
    users: Mapping[str, Place]
    remarks: tuple[Remark, ...]


def is_supervisord(text: str) -> bool:
    """Whether an INI text is supervisord's."""
    return re.search(r"^\[(supervisord|program:[^]]+)\]", text, re.MULTILINE) is not None


def read_supervisord(text: str, file: str) -> Configuration:
    """Its programs. Raises Unreadable."""
    parser: Any = UnhosedConfigParser()
    try:
        parser.read_string(text.replace("\r\n", "\n"))
    except configparser.Error as error:
        line = int(getattr(error, "lineno", 0) or (getattr(error, "errors", None) or [(0, "")])[0][0])
        raise Unreadable(Place(file, line, 1 if line else 0), "it is not INI as supervisord reads it") from None
    written = _Written(text, file)
    reader = _Reader(parser, written, file)
    base = reader.environment("supervisord")
    programs, users = (
        [Program("supervisord", written.sections.get("supervisord", Place(file)), "", ("supervisord",))],
        {},
    )
    for section in parser.sections():
        if not section.startswith(_PROGRAMS):
            continue
        name = section.partition(":")[2].strip()
        place = written.sections.get(section, Place(file))
        command = parser.get(section, "command", fallback="")
        user = parser.get(section, "user", fallback="")
        if user and user not in ("root", "0"):
            users[name] = written.options.get((section, "user"), [("", place)])[0][1]
        programs.append(Program(name, place, "", command_words(command), reader.environment(section)))
    return Configuration(tuple(programs), base, users, tuple(reader.remarks))


class _Written:
    """Where sections and options stand, and options as they are written, comments and all."""

    def __init__(self, text: str, file: str) -> None:
        self.sections: dict[str, Place] = {}
        self.options: dict[tuple[str, str], list[tuple[str, Place]]] = {}
        section = option = ""
        for number, line in enumerate(text.splitlines(), 1):
            stripped = line.lstrip()
            if not stripped or stripped[0] in ";#":
                continue
            indent = len(line) - len(stripped)
            if indent and option:
                self.options[section, option].append((stripped, Place(file, number, indent + 1)))
            elif match := _SECTION.match(stripped):
                section, option = match["name"], ""
                self.sections[section] = Place(file, number, 1)
            elif match := _OPTION.match(line):
                option = match["name"].lower()
                self.options[section, option] = [(line[match.end() :], Place(file, number, match.end() + 1))]


class _Reader:
    def __init__(self, parser: Any, written: _Written, file: str) -> None:
        self.parser, self.written, self.file = parser, written, file
        self.remarks: list[Remark] = []

    def environment(self, section: str) -> dict[str, Declaration]:
        """The variables of a section's `environment=`, as its program gets them; damage on the way is remarked."""
        if not self.parser.has_option(section, "environment"):
            return {}
        text = self.parser.get(section, "environment")
        lines = self.written.options.get((section, "environment"), [])
        place = lines[0][1] if lines else Place(self.file)
        if len(text) > _LONGEST_ENVIRONMENT:
            # Its own parser takes the square of that in time.
            happens = f"is longer than {_LONGEST_ENVIRONMENT} characters and is not looked into"
            self.remarks.append(
                Remark("size", "S2", "environment", place, happens, "give a file, or the container's own")
            )
            return {}
        meant = {name: (value, where) for name, value, where in _meant(lines)}
        if not self.formats(text, meant, place):
            return {}
        filled = _filled(text)
        try:
            given = dict_of_key_value_pairs(filled)
        except ValueError:
            happens = (
                "supervisord does not start: it takes a quote, or a character such as # $ ; for the end of a value"
            )
            self.remarks.append(Remark("value", "S1", _culprit(meant), place, happens, 'write NAME="VALUE" everywhere'))
            return {}
        found = {}
        for name, value in given.items():
            where = meant.get(name, ("", place))[1]
            unknown = _STAND_IN in value
            declared = Declaration(name, None if unknown else value, where, "environment=")
            found[name] = declared
            self.remarks.extend(check(declared))
        for name, (value, where) in meant.items():
            if name not in given:
                happens = "does not arrive: supervisord's parser loses it"
            elif given[name] != _filled(value):
                happens = "does not arrive as it is written: supervisord's parser cuts or changes its value"
            else:
                continue
            mend = "write it in double quotes, double each %, or give it in the container's own environment"
            self.remarks.append(Remark("value", "S1" if name not in given else "S2", name, where, happens, mend))
        return found

    def formats(self, text: str, meant: Mapping[str, tuple[str, Place]], place: Place) -> bool:
        """Whether supervisord can expand the text: it takes every % for the beginning of a format."""
        for match in _FORMAT.finditer(text):
            name = match["name"]
            if match["bad"] is None and (name is None or name.startswith("ENV_") or name in _OWN):
                continue
            culprit = next((each for each, (value, _) in meant.items() if match[0] in value), _culprit(meant))
            where = meant[culprit][1] if culprit in meant else place
            happens = "supervisord does not start: it takes the % for the beginning of a format"
            self.remarks.append(Remark("value", "S1", culprit, where, happens, "double it: %%"))
            return False
        return True


# Stands for what `%(ENV_X)s` becomes: a word that no lexer changes.
_STAND_IN = "zZz"


def _filled(text: str) -> str:
    return _FORMAT.sub(lambda match: _STAND_IN if match["name"] else "%", text)


def _culprit(meant: Mapping[str, tuple[str, Place]]) -> str:
    """The variable whose value is most likely what the parser stumbles over."""
    odd = [name for name, (value, _) in meant.items() if re.search(r"[^\w/.+():-]", value)]
    return next(iter(odd or meant), "environment")


def _meant(lines: list[tuple[str, Place]]) -> Iterator[tuple[str, str, Place]]:
    """The pairs as a person reads them: `NAME=VALUE`, parted by commas that no quotes hold; each with its place."""
    for text, start in lines:
        at = 0
        while match := _NAME.search(text, at):
            begin = end = match.end()
            quote = text[begin : begin + 1]
            if quote in ("'", '"') and (closing := _closing(text, begin + 1, quote)) > 0:
                end = text.find(",", closing)
                value = text[begin + 1 : closing]
            else:
                end = text.find(",", begin)
                value = text[begin : end if end >= 0 else len(text)].strip()
            yield match["name"], value, start._replace(column=start.column + match.start())
            if end < 0:
                break
            at = end + 1


def _closing(text: str, at: int, quote: str) -> int:
    """Where the quoted value ends: the quote before a comma that begins another pair, or before the line's end."""
    match = re.compile(rf"{quote}(?=\s*(?:,\s*(?:[A-Za-z_][\w.-]*\s*=|$)|$|[;#]))", re.ASCII).search(text, at)
    return match.start() if match else -1
