"""The engine that a command is told to use."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from pillion.cli.pair import here
from pillion.compare.engines import process
from pillion.compare.engines.containers import ContainerEngine
from pillion.compare.engines.process import ProcessEngine
from pillion.compare.engines.running import Engine
from pillion.image.engine import ENGINES


def add_engine(parser: argparse.ArgumentParser) -> None:
    """--engine."""
    names = [process.NAME, *ENGINES]
    parser.add_argument("--engine", default=process.NAME, choices=names, help="what runs the layouts (%(default)s)")


def open_engine(name: str, what: str, say: Callable[[str], None], *, published: bool) -> Engine:
    """`published`: a port of this machine's loopback leads to it, for a person. Raises Refusal if it cannot be used."""
    if name == process.NAME:
        return ProcessEngine(here())
    return ContainerEngine(name, what, published, say)
