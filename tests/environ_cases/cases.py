"""Frozen cases for `pillion env lint`: what they are, and how a tool's findings are scored against them (pure).

A case is a folder: the files as they stood, and a `case.yaml` that tells what a good tool would have named. README.md
has the format and the rules of scoring. Only `load` and `load_all` touch the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FOLDER = Path(__file__).parent
CASE_FILE = "case.yaml"
SEVERITIES = ("S0", "S1", "S2", "S3")
LOUD = ("S0", "S1")
KINDS = ("variable", "secret", "port", "service-link", "path", "user", "value")
FORMATS = ("kubernetes", "compose", "dockerfile", "supervisord", "env", "shell", "source", "config")
ORIGINS = ("stated", "reduced", "reconstructed")
NEEDS = ("files", "readers", "run")
TOGETHER = ("container", "pod", "merge")


class CaseFile(NamedTuple):
    """One file of a case: `form` says what it is written in, `origin` how far it is the incident's own."""

    name: str
    form: str
    origin: str
    text: str


class Place(NamedTuple):
    """A line of a file, from 1."""

    file: str
    line: int


class Expected(NamedTuple):
    """One conflict that a good tool names, by `name` or an `aka`; `needs` says what it must know beside the files."""

    name: str
    kind: str
    severity: str
    programs: tuple[str, ...]
    why: str
    at: tuple[Place, ...]
    needs: str
    aka: tuple[str, ...] = ()


class Case(NamedTuple):
    """One incident, or one healthy manifest; in a healthy one `expected` is what may be said quietly."""

    name: str
    healthy: bool
    source: str
    also: tuple[str, ...]
    licence: str
    story: str
    stated: str
    reconstructed: str
    together: str
    files: tuple[CaseFile, ...]
    programs: Mapping[str, str]
    expected: tuple[Expected, ...]


class Finding(NamedTuple):
    """What a tool said about a case; `line` 0 where it gives none."""

    case: str
    file: str
    line: int
    name: str
    severity: str
    kind: str = ""


class Score(NamedTuple):
    """One case, scored: the first four are counts, the others the expected and the findings themselves.

    `named`: some finding has the name, at any severity. `placed`: and one of the lines. `rated`: and the severity.
    `missed`: expected and not named. `unlisted`: findings that no `expected` names; in a healthy case those at S0 or S1
    are false alarms, whether their name is listed there or not.
    """

    case: str
    expected: int
    named: int
    placed: int
    rated: int
    missed: tuple[Expected, ...]
    unlisted: tuple[Finding, ...]
    false_alarms: tuple[Finding, ...]


class Malformed(ValueError):
    """A case that breaks the format: a mistake in this folder, not in a tool."""


def read_case(name: str, healthy: bool, text: str, texts: Mapping[str, str]) -> Case:
    """A case from its `case.yaml` and the texts of its other files."""
    read: Any = yaml.safe_load(text)
    if not isinstance(read, dict):
        raise Malformed(f"{name}: {CASE_FILE} is no mapping")
    unknown = read.keys() - {*Case._fields} | read.keys() & {"name", "healthy"}
    if unknown:
        raise Malformed(f"{name}: unknown keys {sorted(unknown)}")
    try:
        return Case(
            name=name,
            healthy=healthy,
            source=_text(read["source"]),
            also=tuple(map(_text, read.get("also", ()))),
            licence=_text(read["licence"]),
            story=_text(read["story"]),
            stated=_text(read["stated"]),
            reconstructed=_text(read["reconstructed"]),
            together=_text(read["together"]),
            files=tuple(_read_file(file, _text(how), texts) for file, how in read["files"].items()),
            programs={_text(program): _text(what) for program, what in read["programs"].items()},
            expected=tuple(_read_expected(entry, texts) for entry in read.get("expected") or ()),
        )
    except KeyError as error:
        raise Malformed(f"{name}: no {error}") from error
    except Malformed as error:
        raise Malformed(f"{name}: {error}") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Malformed(f"not a text: {value!r}")
    return " ".join(value.split())


def _read_file(name: str, how: str, texts: Mapping[str, str]) -> CaseFile:
    """`how` is `FORM, ORIGIN`."""
    form, _, origin = how.partition(", ")
    if name not in texts:
        raise Malformed(f"no file {name}")
    return CaseFile(name, form, origin, texts[name])


def _read_expected(entry: Mapping[str, Any], texts: Mapping[str, str]) -> Expected:
    unknown = entry.keys() - {*Expected._fields}
    if unknown:
        raise Malformed(f"{entry.get('name')}: unknown keys {sorted(unknown)}")
    return Expected(
        name=_text(entry["name"]),
        kind=_text(entry["kind"]),
        severity=_text(entry["severity"]),
        programs=tuple(map(_text, entry["programs"])),
        why=_text(entry["why"]),
        at=tuple(_place(file, part, texts) for place in entry["at"] for file, part in place.items()),
        needs=_text(entry["needs"]),
        aka=tuple(map(_text, entry.get("aka", ()))),
    )


def _place(file: str, part: object, texts: Mapping[str, str]) -> Place:
    """The one line of the file that has this part, or the line with this number."""
    if file not in texts:
        raise Malformed(f"no file {file}")
    numbered = list(enumerate(texts[file].splitlines(), 1))
    lines = [number for number, line in numbered if number == part or (isinstance(part, str) and part in line)]
    if len(lines) != 1:
        raise Malformed(f"{part!r} is in {len(lines)} lines of {file}, must be in one")
    return Place(file, lines[0])


def load(folder: Path) -> Case:
    """The case in this folder."""
    texts = {file.name: file.read_text() for file in sorted(folder.iterdir()) if file.name != CASE_FILE}
    return read_case(folder.name, folder.parent.name == "healthy", (folder / CASE_FILE).read_text(), texts)


def load_all(folder: Path = FOLDER) -> list[Case]:
    """Every case: the incidents, then the healthy."""
    return [
        load(case.parent) for kind in ("incidents", "healthy") for case in sorted(folder.glob(f"{kind}/*/case.yaml"))
    ]


def score(case: Case, findings: Iterable[Finding]) -> Score:
    """How this case's findings (others' are passed over) do against what is expected."""
    ours = [finding for finding in findings if finding.case == case.name]
    met = [(expected, [f for f in ours if f.name in (expected.name, *expected.aka)]) for expected in case.expected]
    known = {name for expected in case.expected for name in (expected.name, *expected.aka)}
    return Score(
        case=case.name,
        expected=len(case.expected),
        named=sum(bool(found) for _, found in met),
        placed=sum(any(Place(f.file, f.line) in expected.at for f in found) for expected, found in met),
        rated=sum(any(f.severity == expected.severity for f in found) for expected, found in met),
        missed=tuple(expected for expected, found in met if not found),
        unlisted=tuple(finding for finding in ours if finding.name not in known),
        false_alarms=tuple(finding for finding in ours if case.healthy and finding.severity in LOUD),
    )
