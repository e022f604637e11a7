"""Combined images of a backend that does what it is told (programs/commanded.py). Their containers are started
together, because starting one takes its time, and each test looks at what came of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from tests.containers.backends import python_backend
from tests.containers.bases import PROGRAMS, kept
from tests.containers.conftest import Container
from tests.containers.engines import ENGINES, Engine

COMMANDED = ("python3", "/srv/commanded.py")
ENTRY = "/opt/pillion/bin/pillion"
PUBLISHED = "--publish=127.0.0.1::8080"
# As whom, and with what: a first process that may do everything, with two uids, and one that may do nothing.
ROOT = ("--user=0:0",)
HARDENED = ("--read-only", "--user=12345:0", "--cap-drop=all", "--security-opt=no-new-privileges")
CIRCUMSTANCES = (ROOT, HARDENED)
SETTLE_S = 120.0
# Longer than any stop here takes; the engine's grace is longer still.
LONG_DEADLINE, GRACE_S = "--env=PILLION_DEADLINE=60", 90
# More at once only wait for each other.
AT_ONCE = 4
K, T = TypeVar("K"), TypeVar("T")


@functools.cache
def commanded_backend() -> str:
    """It has a CMD, so that a container's arguments are its whole command."""
    source = PROGRAMS / "commanded.py"
    words = ", ".join(f'"{word}"' for word in COMMANDED)
    text = f"FROM {python_backend()}\nCOPY {source.name} /srv/\nUSER 1000:1000\nSTOPSIGNAL SIGTERM\nCMD [{words}]\n"
    return kept("backend", text, {source: source.name}, lambda folder: None, source.read_bytes())


def alternating(names: Iterable[str], engine: Engine) -> dict[str, tuple[str, ...]]:
    """Under which circumstances each is put to an engine: every second one as root, in the other engine the others."""
    first = ENGINES.index(engine)
    return {name: CIRCUMSTANCES[(first + number) % 2] for number, name in enumerate(names)}


def stop(container: Container) -> int:
    """As the engine stops it, with a long grace; its exit code."""
    container.engine("stop", "-t", str(GRACE_S), container.id, timeout_s=GRACE_S + 30)
    return container.wait()


@contextmanager
def together(tasks: Mapping[K, Callable[[], T]]) -> Iterator[dict[K, Future[T]]]:
    """Begins all of them; what each gives or raises is its future's. At the end none is still at work."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {key: pool.submit(task) for key, task in tasks.items()}
