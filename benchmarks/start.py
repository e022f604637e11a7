"""Start to ready: the shared container against the backend alone in its own container.

    python -m benchmarks.start

From the engine's StartedAt to the first 200, which the backend gives (through the proxy, in the shared container). Both
images are built by the engine; both containers use the network of this machine, as one more would only add noise.
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.containers import first_answer, started_at, starting
from benchmarks.engines import REPOSITORY, Engine, engines, versions
from benchmarks.rounds import Contender, Figures, Reach, arguments, interleaved, keep, report, show
from benchmarks.sidecars import sidecars
from benchmarks.small_backend import write_combining, write_context
from tests.containers import bases

ANSWER = "started"


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", rounds=10)
    parser.add_argument("--sidecar", metavar="REFERENCE", help="skopeo's name for another than is built from the tree")
    parser.add_argument("--python", metavar="IMAGE", help="in podman's store: another than the tests' Debian")
    parser.add_argument("--engine", choices=("podman", "docker"), help="this one alone")
    given = parser.parse_args()
    # One builder is enough of each engine: what runs is the same.
    asked = [given.engine] if given.engine else ["podman", "docker"]
    found = [engine for engine in engines() if engine.name in asked]
    if not found:
        parser.error("no engine works here: podman info, docker info")
    tag = str(os.getpid())
    images = {kind: f"{REPOSITORY}/{kind}:{tag}" for kind in ("backend", "shared")}
    try:
        with tempfile.TemporaryDirectory(prefix="pillion-bench-") as folder, sidecars(given.sidecar, found) as sidecar:
            for engine in found:
                _build(engine, given.python or bases.builder(), sidecar, images, Path(folder))
            contenders = [
                Contender(_name(engine, kind), partial(_start, engine, images[kind], kind == "shared"))
                for engine in found
                for kind in images
            ]
            samples = interleaved(contenders, given.rounds, given.warm_up)
    finally:
        for engine in found:
            engine.remove(*images.values())
    reaches = [Reach(_name(engine, "shared"), "seconds", 1.0, over=_name(engine, "backend")) for engine in found]
    document = report("Start to ready", samples, reaches, versions(found))
    show(document)
    keep(document, given, "start")
    return 0


def _name(engine: Engine, kind: str) -> str:
    return f"{engine.name}: {'shared container' if kind == 'shared' else 'backend alone'}"


def _build(engine: Engine, python: str, sidecar: str, images: dict[str, str], folder: Path) -> None:
    base = f"{REPOSITORY}/python:{python.rpartition(':')[2]}"
    engine.take(f"containers-storage:{python}", base)
    work = folder / engine.name
    work.mkdir()
    containerfile = write_context(work / "context", base, ANSWER)
    engine.build(containerfile, images["backend"], work / "context")
    combining = write_combining(work / "Containerfile", images["backend"], sidecar)
    engine.build(combining, images["shared"], work / "context")


def _start(engine: Engine, image: str, shared: bool) -> Figures:
    with starting(engine, image, shared=shared) as container:
        ready = first_answer(container, ANSWER.encode())
        return {"seconds": ready - started_at(engine, container)}


if __name__ == "__main__":
    sys.exit(main())
