"""What the tests of the linter share: files in a folder, and what is found of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pillion.image.environ.catalogue import Catalogue
from pillion.image.environ.lint.finding import LintFinding
from pillion.image.environ.lint.judge import judge
from pillion.image.lint.read import Read, Wish, read_files

PLAIN = Wish()


def write(folder: Path, files: Mapping[str, str | bytes]) -> list[str]:
    """The paths of the files, written."""
    paths = []
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        paths.append(str(path))
    return paths


def read(folder: Path, files: Mapping[str, str | bytes], wish: Wish = PLAIN) -> Read:
    """What the files hold."""
    return read_files(write(folder, files), wish)


def lint(folder: Path, files: Mapping[str, str | bytes], wish: Wish = PLAIN) -> dict[str, LintFinding]:
    """The worst finding of each subject."""
    found: dict[str, LintFinding] = {}
    got = read(folder, files, wish)
    assert not got.broken
    for finding in judge(got.reading, Catalogue()):
        found.setdefault(finding.subject, finding)
    return found


def at(folder: Path, finding: LintFinding) -> str:
    """`FILE:LINE:COLUMN` within the folder."""
    return str(finding.place).removeprefix(f"{folder}/")
