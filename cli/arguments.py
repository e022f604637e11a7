"""Command-line arguments: how a wrong one is refused, and the kinds that several commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

from pillion.image.refusal import Refusal


class Arguments(argparse.ArgumentParser):
    """A parser whose errors are refusals like any other."""

    def __init__(self, command: str, what: str, example: str) -> None:
        super().__init__(
            prog=f"pillion {command}",
            description=what,
            epilog=f"example: {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._command = command

    def error(self, message: str) -> NoReturn:
        raise Refusal(f"run pillion {self._command}", message, f"see pillion {self._command} --help")


def positive(text: str) -> float:
    """A number above 0, for argparse."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def writable_file(text: str) -> Path:
    """A file that can be written beside and renamed to, for argparse: found out before the work, not after it."""
    path = Path(text)
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written there")
    return path
