"""`python -m tests.containers.warm` builds every base that the tests in containers stand on, and says how long each
took: what is kept is not built again, and is then no part of any test's time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tests.containers import bases, engines
from tests.containers.backends import SHAPES, minimal, saved
from tests.containers.engines import DOCKER


def main() -> int:
    """0 when all stand; 2 where they cannot be built."""
    if why := bases.missing():
        print(f"bases cannot be built: {why}", file=sys.stderr)
        return 2
    without_docker = engines.missing(DOCKER)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("Debian with what the layer is built with", bases.builder),
        ("wheels", bases.wheels),
        ("sidecar", bases.sidecar),
        ("minimal Debian", minimal),
        ("backend on the builder's Debian", bases.debian_backend),
    ]
    for shape in SHAPES:
        steps.append((f"backend {shape.name}", shape.image))
        steps.append((f"backend {shape.name} as an archive", lambda image=shape.image: saved(image())))  # type: ignore[misc]
        if not without_docker:
            steps.append((f"backend {shape.name} in docker", lambda image=shape.image: engines.carry(image(), DOCKER)))  # type: ignore[misc]
    for at, (what, step) in enumerate(steps, 1):
        started = time.monotonic()
        step()
        print(f"[{at}/{len(steps)}] {what}: {time.monotonic() - started:.1f} s", flush=True)
    if without_docker:
        print(f"not carried over to docker: {without_docker}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
