"""The syntax of a Dockerfile: instructions, with the place of every character of each (pure).

Directives, comments, continued lines and here-documents as BuildKit has them; words of ENV and ARG as its shell lexer
does. Written here because no parser that is kept for Python gives columns: `dockerfile-parse` takes the lines of
here-documents for instructions, `dockerfile` is archived, and `e2b-dockerfile-utils`, against which the tests compare
this one, needs Python 3.11 and quotes values in its errors.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from pillion.image.environ.lint.program import Place
from pillion.image.lint.tree import Unreadable
from pillion.image.pairfile.variable import MAX_STRING_BYTES

_DIRECTIVE = re.compile(r"#[ \t]*([a-zA-Z][a-zA-Z0-9]*)[ \t]*=[ \t]*(.+?)[ \t]*$")
_DIRECTIVES = ("syntax", "escape", "check")
_HEREDOC = re.compile(r"""(?<![<\w])\d*<<(-?)[ \t]*(["']?)([A-Za-z_][\w.-]*)\2""", re.ASCII)
_FLAG = re.compile(r"--\S+\s*")
KEYWORDS = frozenset(
    [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ]
)


class Instruction(NamedTuple):
    """`keyword` is upper case, `rest` what follows it and its flags; `spots` pairs offsets in it with places."""

    keyword: str
    rest: str
    place: Place
    spots: tuple[tuple[int, Place], ...]

    def at(self, offset: int) -> Place:
        """Where a character of `rest` stands."""
        index = bisect.bisect_right(self.spots, offset, key=lambda spot: spot[0]) - 1
        start, place = self.spots[max(index, 0)]
        return place._replace(column=place.column + max(offset - start, 0))


class Word(NamedTuple):
    """A word of an instruction, quotes and escapes as they are written, and its offset."""

    raw: str
    offset: int


def instructions(text: str, file: str) -> tuple[str, list[Instruction]]:
    """The escape character and the instructions of a Dockerfile. Raises Unreadable."""
    lines = text.split("\n")
    escape, number = _directives(lines, file)
    continued = re.compile(rf"(?:(?<!{re.escape(escape)})|^){re.escape(escape)}[ \t]*$")
    found: list[Instruction] = []
    while number < len(lines):
        pieces: list[tuple[str, Place]] = []
        while number < len(lines):
            line = lines[number].removesuffix("\r")
            number += 1
            stripped = line.lstrip() if not pieces else line
            if not line.strip() or line.lstrip().startswith("#"):
                if pieces:
                    continue  # a comment or an empty line does not end what is continued
                break
            end = continued.search(stripped)
            pieces.append((stripped[: end.start()] if end else stripped, Place(file, number, _column(line, stripped))))
            if end is None:
                break
        if not pieces or not "".join(piece for piece, _ in pieces).strip():
            continue
        instruction = _instruction(pieces)
        found.append(instruction)
        if instruction.keyword in ("RUN", "COPY", "ADD") and "<<" in instruction.rest:
            number = _skip_heredocs(instruction, lines, number)
    return escape, found


def _column(line: str, stripped: str) -> int:
    return len(line) - len(stripped) + 1


def _directives(lines: list[str], file: str) -> tuple[str, int]:
    """The escape character, and the first line that is no directive."""
    escape, seen = "\\", set()
    for number, line in enumerate(lines):
        match = _DIRECTIVE.match(line.strip().removeprefix("\ufeff"))
        name = match[1].lower() if match else ""
        if match is None or name not in _DIRECTIVES or name in seen:
            return escape, number
        seen.add(name)
        if name == "escape":
            if match[2] not in ("\\", "`"):
                raise Unreadable(Place(file, number + 1, 1), "the escape directive takes \\ or `", "write one of them")
            escape = match[2]
    return escape, len(lines)


def _instruction(pieces: list[tuple[str, Place]]) -> Instruction:
    joined = "".join(piece for piece, _ in pieces)
    offsets, at = [], 0
    for piece, place in pieces:
        offsets.append((at, place))
        at += len(piece)
    start = len(joined) - len(joined.lstrip())
    match = re.compile(r"\S+\s*").match(joined, start)
    keyword = match[0].strip().upper() if match else ""
    begin = match.end() if match else len(joined)
    place = offsets[0][1]._replace(column=offsets[0][1].column + start)
    if keyword not in KEYWORDS:
        raise Unreadable(place, "is no instruction of a Dockerfile", "correct the line, or the one before it")
    while keyword != "ENV" and (flag := _FLAG.match(joined, begin)):
        begin = flag.end()
    spots = tuple((max(offset - begin, 0), _later(place, begin - offset)) for offset, place in offsets)
    kept = tuple(spot for spot, after in zip(spots, (*spots[1:], None), strict=True) if after is None or after[0] > 0)
    return Instruction(keyword, joined[begin:].rstrip(), place, kept)


def _later(place: Place, characters: int) -> Place:
    return place._replace(column=place.column + max(characters, 0))


def _skip_heredocs(instruction: Instruction, lines: list[str], number: int) -> int:
    """The line after the here-documents that an instruction begins."""
    for dash, _, name in _HEREDOC.findall(instruction.rest):
        while number < len(lines):
            line = lines[number].removesuffix("\r")
            number += 1
            if (line.lstrip("\t") if dash else line) == name:
                break
        else:
            raise Unreadable(instruction.place, "begins a here-document that does not end", "end it")
    return number


def words(rest: str, escape: str) -> Iterator[Word]:
    """What is between white space, which quotes and the escape character keep from parting."""
    at, size = 0, len(rest)
    while at < size:
        if rest[at].isspace():
            at += 1
            continue
        start, quote = at, ""
        while at < size and (quote or not rest[at].isspace()):
            if rest[at] == escape and quote != "'":
                at += 2
                continue
            if rest[at] == quote:
                quote = ""
            elif not quote and rest[at] in "'\"":
                quote = rest[at]
            at += 1
        yield Word(rest[start:at], start)


def unquoted(raw: str, escape: str, lookup: Callable[[str], str | None]) -> str | None:
    """A word without its quotes and escapes, and with its references replaced; None if one of them is not known. It
    ends where references have made it longer than any variable can be."""
    pieces: list[str] = []
    at, quote, grown = 0, "", 0
    known = True
    while at < len(raw) and grown <= MAX_STRING_BYTES:
        character = raw[at]
        if character == escape and quote != "'":
            following = raw[at + 1 : at + 2]
            if quote and following not in ('"', "$", escape):
                pieces.append(character)
            pieces.append(following)
            at += 2
        elif character == quote or (not quote and character in "'\""):
            quote = "" if quote else character
            at += 1
        elif character == "$" and quote != "'":
            value, at = _reference(raw, at, lookup)
            known = known and value is not None
            pieces.append(value or "")
            grown += len(value or "")
        else:
            pieces.append(character)
            at += 1
    return "".join(pieces) if known else None


_PLAIN = re.compile(r"\$([A-Za-z_]\w*)|\$\{([A-Za-z_]\w*)(?:\}|(:?[-+?])([^{}$\"']*)\})", re.ASCII)


def _reference(raw: str, at: int, lookup: Callable[[str], str | None]) -> tuple[str | None, int]:
    """The value of the reference that begins at `at` and where it ends; of the rarer forms the value is not known."""
    match = _PLAIN.match(raw, at)
    if match is None:
        if raw[at + 1 : at + 2] != "{":
            return "$", at + 1
        end = raw.find("}", at)
        return None, len(raw) if end < 0 else end + 1
    value = lookup(match[1] or match[2])
    operator = match[3] or ""
    if operator:
        counts = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("+"):
            value = match[4] if counts else ""
        elif operator.endswith("-") and not counts:
            value = match[4]
    return value, match.end()
