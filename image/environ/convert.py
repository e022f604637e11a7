"""The environments of two containers as the one of a container for both, and back (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pillion.image.environ.finding import Finding
from pillion.image.environ.names import SEPARATOR, Namespaces
from pillion.image.environ.split import Facts, split
from pillion.image.pair import PROGRAMS, PairRecord


class Parted(NamedTuple):
    """What each program is given, by its name; `findings` are the split's, about names that it could not place well."""

    programs: Mapping[str, Mapping[str, str]]
    findings: tuple[Finding, ...]


def to_shared(programs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """One environment in which every name is addressed, so that nothing depends on a default."""
    prefixes = Namespaces()._asdict()
    return {
        f"{prefixes[program]}{SEPARATOR}{name}": value
        for program in PROGRAMS
        for name, value in programs[program].items()
    }


def to_separate(shared: Mapping[str, str]) -> Parted:
    """What the split gives each program of it, without what is computed only when a container starts. The inverse of
    `to_shared`; files that `_FILE` names are of the container, and stay names here."""
    divided = split(shared, PairRecord(verbatim=True), Facts(), _no_file)
    programs = {
        program: {name: each.value for name, each in divided.programs[program].items() if each.origin}
        for program in PROGRAMS
    }
    return Parted(programs, tuple(each for each in divided.findings if not each.subject.endswith("_FILE")))


def _no_file(path: str) -> bytes:
    raise FileNotFoundError(2, "is not looked for here", path)
