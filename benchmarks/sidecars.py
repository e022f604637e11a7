"""The sidecar's image in every store, under a name of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.engines import REPOSITORY, Engine
from tests.containers import bases


@contextmanager
def sidecars(reference: str | None, found: Sequence[Engine]) -> Iterator[str]:
    """Built from the tree unless skopeo's name for another is given; taken away again."""
    source = reference or f"containers-storage:{bases.sidecar()}"
    name = f"{REPOSITORY}/sidecar:{os.getpid()}"
    try:
        for engine in found:
            engine.take(source, name)
        yield name
    finally:
        for engine in found:
            engine.remove(name)
