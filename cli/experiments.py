"""`pillion compare --experiments`: which, how long they take, and how far they are."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rich.progress import Progress

from pillion.cli.signals import Stopping
from pillion.compare.experiments.all import EXPERIMENTS, Chosen, run_experiments, seconds
from pillion.compare.experiments.outcome import Outcome
from pillion.compare.experiments.stage import Pace
from pillion.compare.result import Processors, Schedule


def add_experiments(parser: argparse.ArgumentParser) -> None:
    """--experiments."""
    names = ",".join(each.name for each in EXPERIMENTS)
    said = f"also what happens under load when something fails or is changed: {names} (docs/experiments.md)"
    parser.add_argument("--experiments", metavar="all|NAME[,NAME]", help=said)


def experimented(
    planned: Sequence[Chosen],
    schedule: Schedule,
    processors: Processors,
    progress: Progress,
    stopping: Stopping,
    say: Callable[[str], None],
) -> Iterator[Outcome]:
    """Run them one by one, with the time they take said beforehand."""
    if not planned:
        return
    pace = Pace()
    minutes = seconds(planned, pace) / 60
    say(f"{len(planned)} experiments follow; they take about {minutes:.0f} min")
    task = progress.tasks[0].id
    progress.reset(task, total=len(planned))

    def step(number: int, _: int, what: str) -> None:
        progress.update(task, description=f"experiment: {what}", completed=number)
        progress.refresh()

    for number, one in enumerate(planned):
        yield from run_experiments([one], schedule, processors, partial(step, number), stopping.check, pace)
