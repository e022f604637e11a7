"""The pair that a command is given, and the place that it runs at."""

from __future__ import annotations

import argparse
import os
import sys

from pillion.compare.layouts import Place
from pillion.image.account import own_identity
from pillion.image.enter import own_entry, own_path
from pillion.image.environ.conflicts import clashing_port
from pillion.image.environ.names import Namespaces, near_miss
from pillion.image.pair import Pair
from pillion.image.pairfile import load_pair, load_written
from pillion.image.pairfile.written import Written
from pillion.image.refusal import Refusal


def add_pair(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """PAIR, --backend and --proxy."""
    parser.add_argument("pair", metavar="PAIR", nargs="?" if optional else None, help="a Kubernetes or Compose file")
    parser.add_argument("--backend", default="", metavar="NAME", help="the container that is the backend")
    parser.add_argument("--proxy", default="", metavar="NAME", help="the container that is the proxy")


def read_pair(arguments: argparse.Namespace) -> Pair:
    """The pair that PAIR names, without misspelt namespaces and clashing ports. Raises Refusal."""
    return _checked(load_pair(arguments.pair, **_names(arguments), caller_env=os.environ))


def read_written(arguments: argparse.Namespace) -> tuple[Pair, Written]:
    """The same, and the pair as the file writes it; what it refers to may be elsewhere. Raises Refusal."""
    pair, written = load_written(arguments.pair, **_names(arguments), caller_env=os.environ)
    return _checked(pair), written


def written_of(arguments: argparse.Namespace) -> Written:
    """The pair as the file writes it, of one that was read before."""
    return load_written(arguments.pair, **_names(arguments), caller_env=os.environ)[1]


def _names(arguments: argparse.Namespace) -> dict[str, str]:
    return {"backend": arguments.backend, "proxy": arguments.proxy}


def _checked(pair: Pair) -> Pair:
    for container in (pair.proxy, pair.backend):
        for name in container.env:
            if miss := near_miss(name, Namespaces()):
                field = container.env_fields.get(name, container.field)
                why = f"{field}: the prefix of {name} is almost a namespace"
                raise Refusal(f"read {pair.source}", why, f"did you mean {miss.suggestion}?")
    if port := clashing_port(pair):
        why = f"{pair.proxy.field} and {pair.backend.field} would both listen on port {port}"
        raise Refusal(f"read {pair.source}", why, "give the backend or the proxy (LISTEN, UPSTREAM) another port")
    return pair


def here() -> Place:
    """Where the process engine runs."""
    entry = own_entry(sys.argv[0])
    return Place(entry, own_path(entry), own_identity().home)
