"""A one-line change of the backend, to the first 200 from the combined image: `pillion build` against a Containerfile.

    python -m benchmarks.edit_cycle

The application is one file in the last layer of an image with Python. Both ways build the backend's image anew with
`podman build`, whose cache has all layers but that one; then the sidecar is added, by a Containerfile with FROM, COPY
--from and ENTRYPOINT or by `pillion build` within podman's store; then the combined image is run until the changed line
answers through the proxy.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import pillion
from benchmarks.containers import first_answer, starting
from benchmarks.engines import PODMAN, REPOSITORY, engines, versions
from benchmarks.rounds import Contender, Figures, Reach, arguments, interleaved, keep, report, show
from benchmarks.sidecars import sidecars
from benchmarks.small_backend import edit, write_combining, write_context
from tests.containers import bases

BY_HAND, OURS = "podman build, podman build", "podman build, pillion build"
# Where both ways find the backend and the sidecar, and leave the result.
PLACE = "containers-storage:"


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", rounds=7)
    parser.add_argument("--sidecar", metavar="REFERENCE", help="skopeo's name for another than is built from the tree")
    parser.add_argument("--python", metavar="IMAGE", help="in podman's store: another than the tests' Debian")
    given = parser.parse_args()
    if PODMAN not in engines():
        parser.error("podman is not there, or does not work: podman info")
    names = [f"{REPOSITORY}/{kind}:{os.getpid()}" for kind in ("backend", "combined")]
    answers = (f"answer {at} {os.getpid()}" for at in itertools.count())
    try:
        with (
            tempfile.TemporaryDirectory(prefix="pillion-bench-") as folder,
            sidecars(given.sidecar, [PODMAN]) as sidecar,
        ):
            contenders = _contenders(Path(folder), given.python or bases.builder(), sidecar, names, answers)
            samples = interleaved(contenders, given.rounds, given.warm_up)
    finally:
        PODMAN.remove(*names)
    reaches = [Reach(OURS, figure, 0.5, peer=BY_HAND) for figure in ("seconds", "combining")]
    notes = ["seconds is all of it: the backend's build, combining, and run to the first 200"]
    document = report("One-line change to the first 200", samples, reaches, versions([PODMAN]), notes)
    show(document)
    keep(document, given, "edit_cycle")
    return 0


def _contenders(work: Path, python: str, sidecar: str, names: list[str], answers: Iterator[str]) -> list[Contender]:
    backend, combined = names
    context, empty = work / "context", work / "empty"
    empty.mkdir()
    containerfile = write_context(context, python, "")
    combining = write_combining(work / "Containerfile", backend, sidecar)

    def by_hand() -> object:
        return PODMAN.build(combining, combined, empty)

    def ours() -> object:
        return pillion.build(f"{PLACE}{backend}", f"{PLACE}{sidecar}", f"{PLACE}{combined}", work / "cache")

    def cycle(combine: Callable[[], object]) -> Figures:
        answer = next(answers)
        edit(context, answer)
        begin = time.time()
        PODMAN.rebuild(containerfile, backend, context)
        built = time.time()
        combine()
        done = time.time()
        with starting(PODMAN, combined, shared=True) as container:
            ready = first_answer(container, answer.encode())
        PODMAN.remove(combined)
        return {
            "seconds": ready - begin,
            "backend": built - begin,
            "combining": done - built,
            "run": ready - done,
        }

    return [Contender(BY_HAND, lambda: cycle(by_hand)), Contender(OURS, lambda: cycle(ours))]


if __name__ == "__main__":
    sys.exit(main())
