"""Where the noise of a latency comes from: how far its windows within one start of a layout lie apart, and how far its
starts do. The first asks for more time under load, the second for more starts."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median, pstdev, stdev
from typing import NamedTuple

from benchmarks.fresh_runs import LAYOUT, PAIR
from pillion.compare.comparison import share_out
from pillion.compare.engines.process import ProcessEngine
from pillion.compare.layouts import Place
from pillion.compare.load import LoadJob, run_load
from pillion.compare.ready import wait_ready
from pillion.image.enter import own_path
from pillion.image.pairfile import load_pair

WINDOW_S, WINDOWS = 1.5, 10
_WHAT = "measure the spread"


class Spread(NamedTuple):
    """Standard deviations of p50 in microseconds: of the windows of a start, and of the starts' means."""

    windows: int
    within: float
    between: float

    @property
    def by_chance(self) -> float:
        """What the starts' means would differ by if starts made no difference."""
        return self.within / math.sqrt(self.windows)


def windows(each: Sequence[tuple[float, str, int]], window_s: float = WINDOW_S) -> list[float]:
    """p50 of each whole window but the first, which warms up. `each` is as in LoadResult: when due, outcome, us."""
    found: dict[int, list[int]] = {}
    for due, outcome, latency in each:
        if outcome == "ok":
            found.setdefault(int(due / window_s), []).append(latency)
    whole = sorted(found)[1:-1]
    return [median(found[place]) for place in whole]


def spread(starts: Sequence[Sequence[float]]) -> Spread:
    """Of the windows of two or more starts, as many of each."""
    return Spread(len(starts[0]), fmean(map(pstdev, starts)), stdev(map(fmean, starts)))


def started(count: int, rate: float, path: str) -> Iterator[list[float]]:
    """The windows of so many starts of the sample pair."""
    entry = Path(sys.executable).with_name("pillion")
    engine = ProcessEngine(Place(entry, own_path(entry), str(Path.home())))
    prepared = engine.prepare(load_pair(PAIR, caller_env=os.environ), LAYOUT)
    processors = share_out(os.sched_getaffinity(0))
    for _ in range(count):
        with prepared.start(_WHAT, None, processors.programs) as running:
            wait_ready(running, _WHAT, 30)
            seconds = WINDOW_S * (WINDOWS + 2)
            job = LoadJob(running.port, rate, seconds, path=path, cpus=processors.generator, keep_each=True)
            yield windows(run_load(job).each)
