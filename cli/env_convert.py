"""`pillion env convert FILE --to LAYOUT -o OUT`: the same environment for the other layout."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pillion.cli.arguments import Arguments
from pillion.image.environ.convert import to_separate, to_shared
from pillion.image.pair import PROGRAMS
from pillion.image.pairfile import dotenv, load_pair
from pillion.image.pairfile.document import read_text
from pillion.image.refusal import Refusal
from pillion.image.sidecar import read_sidecar


def main(arguments: list[str]) -> int:
    """Writes files that only their owner can read, and says nothing of what is in them."""
    parser = Arguments(
        "env convert",
        "The same environment for the other layout. To shared: from a pair file, or a folder that has proxy.env and\n"
        "backend.env, to one file in which every name is addressed. To separate: from such a file to such a folder.",
        "pillion env convert pod.yaml --to shared -o shared.env",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("--to", choices=("shared", "separate"), required=True)
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="must not be there yet")
    parser.add_argument("--backend", default="", metavar="NAME", help="the container that is the backend")
    parser.add_argument("--proxy", default="", metavar="NAME", help="the container that is the proxy")
    given = parser.parse_args(arguments)
    if given.to == "shared":
        programs = _folder(given.file) if given.file.is_dir() else _pair(given.file, given.backend, given.proxy)
        _write(given.output, to_shared(programs))
        return 0
    parted = to_separate(_env_file(given.file))
    for finding in parted.findings:
        print(f"pillion: {finding}", file=sys.stderr)
    try:
        given.output.mkdir(parents=True)
    except OSError as error:
        raise Refusal(f"write {given.output}", str(error.strerror).lower(), "name a folder that is not there") from None
    for program in PROGRAMS:
        _write(given.output / f"{program}.env", parted.programs[program])
    return 0


def _pair(file: Path, backend: str, proxy: str) -> dict[str, Mapping[str, str]]:
    pair = load_pair(file, backend=backend, proxy=proxy, caller_env=os.environ)
    return {"proxy": read_sidecar(pair.proxy).environ, "backend": pair.backend.env}


def _folder(folder: Path) -> dict[str, Mapping[str, str]]:
    return {program: _env_file(folder / f"{program}.env") for program in PROGRAMS}


def _env_file(file: Path) -> dict[str, str]:
    what = f"read {file}"
    try:
        return dotenv.parse(read_text(file, what), lambda _: None)
    except ValueError as error:
        raise Refusal(what, str(error), "correct the line") from None


def _write(file: Path, environ: Mapping[str, str]) -> None:
    """Never over a file that is there: what can read that one may not be meant to read this."""
    what = f"write {file}"
    try:
        text = dotenv.write(environ)
    except ValueError as error:
        raise Refusal(what, str(error), "give that one to the container in another way") from None
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Refusal(what, str(error.strerror).lower(), "name a file that is not there yet") from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as opened:
        opened.write(text)
