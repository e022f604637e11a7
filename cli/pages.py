"""A comparison in files: the options that name them, and writing them whole or not at all."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pillion.cli.arguments import writable_file
from pillion.compare.report.markdown import markdown
from pillion.compare.report.page import page
from pillion.image.refusal import Failure

STDOUT = Path("-")


def add_pages(parser: argparse.ArgumentParser) -> None:
    """--html and --markdown."""
    parser.add_argument("--html", type=writable_file, metavar="FILE", help="also write a page that needs nothing else")
    parser.add_argument("--markdown", type=_file_or_stdout, metavar="FILE", help="also write Markdown; - is stdout")


def _file_or_stdout(text: str) -> Path:
    return STDOUT if text == "-" else writable_file(text)


def as_asked(arguments: Sequence[str]) -> tuple[str, ...]:
    """The command that was given, for who wants to repeat it; what a header says may be a token and is left out."""
    words = ["pillion", "compare"]
    for before, word in zip(("", *arguments), arguments, strict=False):
        if before == "--header" or word.startswith("--header="):
            word = f"{word.partition(':')[0]}: ..."
        words.append(word)
    return tuple(words)


def write_pages(document: Mapping[str, Any], given: argparse.Namespace) -> tuple[list[Path], list[Failure]]:
    """Each file that was asked for; those that were written, and what kept the others from being so."""
    wanted: list[tuple[Path | None, Callable[[], str]]] = [
        (getattr(given, "json", None), lambda: json.dumps(document, indent=1) + "\n"),
        (given.html, lambda: page(document)),
        (given.markdown, lambda: markdown(document)),
    ]
    written, problems = [], []
    for path, text in wanted:
        if path == STDOUT:
            sys.stdout.write(text())
        elif path is not None:
            try:
                _write(path, text())
                written.append(path)
            except Failure as failure:
                problems.append(failure)
    return written, problems


def _write(path: Path, text: str) -> None:
    """Beside, then renamed: never half a file. A device or a pipe is written to, and a link followed."""
    target = path.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            path.write_text(text)
        else:
            beside.write_text(text)
            beside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise Failure(f"write {path}", error.strerror or str(error), "choose another file") from error
