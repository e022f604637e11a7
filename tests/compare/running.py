"""A pair of a test's own running on engine process, by the library and not by the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pillion.compare.embedding import ANNOTATION
from pillion.compare.engines.process import ProcessEngine, RunningProcesses
from pillion.compare.layouts import Place
from pillion.compare.output import LineSink
from pillion.compare.ready import wait_ready
from pillion.image.pair import Pair
from pillion.image.pairfile import load_pair
from tests.conftest import ENTRY, PairFile

PLACE = Place(ENTRY, f"{ENTRY.parent}:{os.defpath}", "/")


def pair_of(file: PairFile) -> Pair:
    """What the file says, and that its backend can embed the concerns, which the test backend ignores."""
    pair = load_pair(str(file.write()), caller_env={})
    return pair._replace(annotations={ANNOTATION: "true"})


@contextmanager
def up(pair: Pair, layout: str, sink: LineSink | None = None) -> Iterator[RunningProcesses]:
    """The layout when it is ready; nothing of it is left afterwards."""
    with ProcessEngine(PLACE).prepare(pair, layout).start("test", sink) as running:
        wait_ready(running, "test", 60)
        yield running
