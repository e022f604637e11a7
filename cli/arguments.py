"""Command-line arguments that several commands share, and how a wrong one is refused."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from pillion.compare.layouts import Place, default_path
from pillion.image.enter import account, own_entry
from pillion.image.environ.conflicts import clashing_port
from pillion.image.environ.names import Namespaces, near_miss
from pillion.image.pair import Pair
from pillion.image.pairfile import load_pair
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


def add_pair(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """PAIR, --backend and --proxy."""
    parser.add_argument("pair", metavar="PAIR", nargs="?" if optional else None, help="a Kubernetes or Compose file")
    parser.add_argument("--backend", default="", metavar="NAME", help="the container that is the backend")
    parser.add_argument("--proxy", default="", metavar="NAME", help="the container that is the proxy")


def read_pair(arguments: argparse.Namespace) -> Pair:
    """The pair that PAIR names, without misspelt namespaces and clashing ports. Raises Refusal."""
    pair = load_pair(arguments.pair, backend=arguments.backend, proxy=arguments.proxy, caller_env=os.environ)
    for container in (pair.proxy, pair.backend):
        for name in container.env:
            if miss := near_miss(name, Namespaces()):
                field = container.env_fields.get(name, container.field)
                raise Refusal(
                    f"read {pair.source}", f"{field}: {name} has no namespace", f"did you mean {miss.suggestion}?"
                )
    if port := clashing_port(pair):
        why = f"{pair.proxy.field} and {pair.backend.field} would both listen on port {port}"
        raise Refusal(f"read {pair.source}", why, "give the backend or the proxy (LISTEN, UPSTREAM) another port")
    return pair


def here() -> Place:
    """Where the process engine runs."""
    entry = own_entry(sys.argv[0])
    return Place(entry, default_path(entry), account("").identity.home)


def positive(text: str) -> float:
    """A number above 0, for argparse."""
    number = float(text)
    if not number > 0 or number == float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def writable_file(text: str) -> Path:
    """A file that can be written beside and renamed to, for argparse."""
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a directory, or in none")
    return path
