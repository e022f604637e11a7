"""`pillion build` as a process."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.conftest import ENTRY


def pillion(place: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [ENTRY, "build", *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload, no-any-return]


def refused(place: Path, *arguments: str, **options: object) -> str:
    """The one line; the directory is as it was before."""
    before = {path: path.lstat().st_mtime_ns for path in place.rglob("*") if not path.is_dir()}
    ended = pillion(place, *arguments, **options)
    assert ended.returncode == 2, ended.stderr + ended.stdout
    (line,) = ended.stderr.splitlines()
    assert line.startswith("pillion: cannot ") and "Traceback" not in ended.stdout
    assert {path: path.lstat().st_mtime_ns for path in place.rglob("*") if not path.is_dir()} == before
    assert not (place / "out").exists() and not (place / "out.tar").exists()
    return line


def flip(path: Path, at: int = -20) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
