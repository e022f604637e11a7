"""`pillion compare --claims`: which claims get runs of their own, and what the user knows of nodes and prices."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence

from rich.progress import Progress

from pillion.cli.arguments import positive
from pillion.cli.pair import here, written_of
from pillion.cli.signals import Stopping
from pillion.compare.engines.running import Engine
from pillion.compare.evidence.asked import asked
from pillion.compare.evidence.evidence import Evidence, Node
from pillion.compare.evidence.gather import CHEAP, EXTRA_S, gather
from pillion.compare.result import Processors, Schedule
from pillion.image.pair import Pair
from pillion.image.pairfile.quantity import quantity
from pillion.image.refusal import Refusal


def add_claims(parser: argparse.ArgumentParser) -> None:
    """--claims, and the options of claim 11."""
    cheap = ",".join(map(str, CHEAP))
    numbers = ",".join(map(str, EXTRA_S))
    parser.add_argument(
        "--claims",
        metavar="all|N[,N]",
        help=f"also run what these need of their own, of {numbers} ({cheap}; none with --quick; docs/experiments.md)",
    )
    for name, metavar, what in (
        ("--node-cpu", "N", "of a node, in CPUs or millis (4, 3920m), for claim 11"),
        ("--node-memory", "SIZE", "of a node (16Gi)"),
        ("--price-cpu-hour", "PRICE", "your price of a CPU for an hour"),
        ("--price-gib-hour", "PRICE", "your price of a GiB of memory for an hour"),
    ):
        parser.add_argument(name, metavar=metavar, type=_amount if "node" in name else positive, default=0.0, help=what)


def wanted_claims(given: argparse.Namespace) -> Collection[int]:
    """Their numbers. Raises Refusal for what is none of them."""
    if given.claims is None:
        return () if given.quick else CHEAP
    words = [word.strip() for word in given.claims.split(",") if word.strip()]
    wrong = [word for word in words if word != "all" and (not word.isdigit() or int(word) not in EXTRA_S)]
    if wrong or not words:
        why = f"--claims {given.claims}: only some claims have runs of their own"
        raise Refusal("compare", why, f"choose from all,{','.join(map(str, EXTRA_S))}")
    return [number for number in EXTRA_S if "all" in words or str(number) in words]


def gathered(
    wanted: Collection[int],
    given: argparse.Namespace,
    engine: Engine,
    pair: Pair,
    layouts: Sequence[str],
    schedule: Schedule,
    processors: Processors,
    progress: Progress,
    stopping: Stopping,
    say: Callable[[str], None],
) -> Evidence:
    """Run what they need, with the time it takes said beforehand."""
    node = Node(given.node_cpu, given.node_memory, given.price_cpu_hour, given.price_gib_hour)
    resources = asked(written_of(given))
    if seconds := sum(EXTRA_S[number] for number in wanted if number not in CHEAP):
        say(f"what claims {', '.join(map(str, sorted(wanted)))} need follows; it takes about {seconds / 60:.0f} min")
    task = progress.tasks[0].id

    def step(what: str) -> None:
        stopping.check()
        progress.update(task, description=what)
        progress.refresh()

    return gather(wanted, engine, here(), pair, layouts, schedule, processors, node, resources, step)


def _amount(text: str) -> float:
    """A quantity above 0, for argparse."""
    try:
        amount = float(quantity(text))
    except ValueError:
        amount = 0.0
    if not 0 < amount < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no amount above 0")
    return amount
