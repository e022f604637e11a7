"""Everything that the claims rest on beside the rounds, gathered where it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from pillion.compare.engines.containers import ContainerEngine
from pillion.compare.engines.running import Engine
from pillion.compare.evidence.distance import distances
from pillion.compare.evidence.edits import edit_cycles, ide_cycles
from pillion.compare.evidence.evidence import Asked, Base, Evidence, Node
from pillion.compare.evidence.look import look
from pillion.compare.layouts import Place
from pillion.compare.result import Processors, Schedule
from pillion.image.pair import Pair
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.refusal import Failure, Refusal

# The claims that take runs of their own, and about how many seconds.
EXTRA_S = {3: 60, 4: 10, 5: 10, 9: 15, 10: 40}
# Looked at by default, as it takes a start of each layout only.
CHEAP = (4, 5)


def gather(
    wanted: Collection[int],
    engine: Engine,
    place: Place,
    pair: Pair,
    layouts: Sequence[str],
    schedule: Schedule,
    processors: Processors,
    node: Node,
    asked: Mapping[str, Asked],
    check: Callable[[str], None],
) -> Evidence:
    """`wanted` are numbers of claims; `check` hears what is done and may raise."""
    evidence, why_not = Evidence(node=node, asked=asked), dict[str, str]()

    def trying(kind: str, work: Callable[[], Evidence]) -> Evidence:
        try:
            return work()
        except (Refusal, Failure) as reason:
            why_not[kind] = str(reason)
            return evidence

    ready_s = schedule.ready_timeout_s
    if {4, 5} & set(wanted):
        check("looking at environments and files")
        evidence = trying("seen", lambda: _looked(evidence, engine, pair, layouts, ready_s))
    if 3 in wanted:
        evidence = trying(
            "edits",
            lambda: evidence._replace(
                edits=(*evidence.edits, *edit_cycles(engine, pair, layouts, ready_s, check)),
            ),
        )
    if 9 in wanted:
        evidence = trying(
            "ide",
            lambda: evidence._replace(edits=(*evidence.edits, *ide_cycles(engine, place, pair, ready_s, check))),
        )
    if 10 in wanted:
        evidence = trying(
            "distance",
            lambda: evidence._replace(distances=tuple(distances(place, pair, schedule, processors, check))),
        )
    return evidence._replace(why_not=why_not)


def _looked(evidence: Evidence, engine: Engine, pair: Pair, layouts: Sequence[str], ready_s: float) -> Evidence:
    seen, runtimes = look(engine, pair, layouts, ready_s)
    base = None
    if isinstance(engine, ContainerEngine) and "shared" in layouts and is_pillion_proxy(pair.proxy):
        combined = engine.combined_image(pair)
        below, layers = engine.layers(pair.backend.image), engine.layers(combined)
        changed = [at for at, (one, other) in enumerate(zip(below, layers, strict=False)) if one != other]
        kept = changed[0] if changed else len(below)
        added = engine.image_bytes(combined) - engine.image_bytes(pair.backend.image)
        base = Base(len(below), min(kept, len(layers)), added, tuple(runtimes))
    return evidence._replace(seen=tuple(seen), base=base)
