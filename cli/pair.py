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
from pillion.image.pairfile import load_pair
from pillion.image.refusal import Refusal


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
