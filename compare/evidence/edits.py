"""A one-line edit of either program, to the first good answer of the layout with the edit in it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from statistics import median

from pillion.compare.door import check_plain, door_of
from pillion.compare.engines.containers import ContainerEngine
from pillion.compare.engines.process import ProcessEngine
from pillion.compare.engines.running import Engine
from pillion.compare.evidence.evidence import CLEAN, INCREMENTAL, Edit
from pillion.compare.experiments.change import edited_backend, renamed_sidecar
from pillion.compare.layouts import Place
from pillion.compare.ready import first_good_answer, wait_ready
from pillion.image.pair import PROGRAMS, Pair
from pillion.image.pairfile.roles import is_pillion_proxy

TIMES = 4
LAYOUTS = ("shared", "separate")


def edit_cycles(
    engine: Engine, pair: Pair, layouts: Sequence[str], ready_s: float, check: Callable[[str], None]
) -> list[Edit]:
    """In each layout that was asked for; on engine process an edit is a restart."""
    edits = []
    for layout in (each for each in LAYOUTS if each in layouts):
        for program in PROGRAMS:
            cycles = []
            for _ in range(TIMES):
                check(f"edit of the {program} in {layout}")
                cycles.append(_cycle(engine, pair, layout, program, ready_s))
            edits += _edits(layout, program, cycles)
    return edits


def _cycle(engine: Engine, pair: Pair, layout: str, program: str, ready_s: float) -> tuple[float, int | None]:
    """Seconds and new bytes: the image built anew, combined where both share one, started, asked until it answers."""
    what = f"edit the {program} of {pair.source} in layout {layout}"
    began = time.monotonic()
    shipped = None
    if isinstance(engine, ContainerEngine):
        if program == "backend":
            edited = edited_backend(engine, pair)
            shipped = engine.new_layer_bytes(pair.backend.image, edited.backend.image)
        else:
            edited = renamed_sidecar(engine, pair)
            shipped = engine.image_bytes(pair.proxy.image)
    else:
        edited = pair
    with engine.prepare(edited, layout).start(what, None) as running:
        wait_ready(running, what, ready_s, door_of(pair, layout))
        return time.monotonic() - began, shipped


def ide_cycles(engine: Engine, place: Place, pair: Pair, ready_s: float, check: Callable[[str], None]) -> list[Edit]:
    """The sidecar stays up on the engine, in layout `remote`; the backend is a process of this machine, started anew
    for each edit. Raises Refusal if it cannot be run here."""
    if not is_pillion_proxy(pair.proxy):
        return []
    what = f"edit the backend of {pair.source} beside its sidecar"
    check_plain(pair, "remote", what)
    outside = ProcessEngine(place).prepare(pair, "direct")
    seconds: list[tuple[float, int | None]] = []
    with engine.prepare(pair, "remote").start(what, None) as sidecar:
        wait_ready(sidecar, what, ready_s)
        with outside.start(what, None) as backend:
            wait_ready(backend, what, ready_s)
            for _ in range(TIMES):
                check("edit of the backend in an IDE")
                # Ended as an IDE ends it; as in the other layouts that is not counted.
                for pid in backend.programs()["backend"]:
                    os.kill(pid, signal.SIGKILL)
                while backend.lost() is None:
                    time.sleep(0.01)
                began = time.monotonic()
                backend.revive("backend")
                first_good_answer(sidecar.port, outside.plan.ready.path if outside.plan.ready else "/", ready_s)
                seconds.append((time.monotonic() - began, None))
    return _edits("remote", "backend", seconds)


def _edits(layout: str, program: str, cycles: Sequence[tuple[float, int | None]]) -> list[Edit]:
    (first, shipped), later = cycles[0], [round(seconds, 3) for seconds, _ in cycles[1:]]
    first = round(first, 3)
    return [
        Edit(layout, program, CLEAN, first, shipped, first, first),
        Edit(layout, program, INCREMENTAL, median(later), shipped, min(later), max(later)),
    ]
