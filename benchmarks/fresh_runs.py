"""Whole runs made afresh, of which is known what must come out: a layout against itself, and with a changed proxy."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from pillion.compare.comparison import compare, share_out
from pillion.compare.engines.process import ProcessEngine
from pillion.compare.layouts import Place
from pillion.compare.result import MOST_ROUNDS, Margins, Sample, Schedule
from pillion.compare.statistics.figures import PRIMARY
from pillion.compare.statistics.verdict import Difference, difference
from pillion.image.enter import own_path
from pillion.image.pair import Pair
from pillion.image.pairfile import load_pair

PAIR = Path(__file__).resolve().parent.parent / "examples" / "orders" / "pod.yaml"
PROGRAM = Path(__file__).parent / "proxy_peers" / "changed_proxy.py"
LAYOUT = "separate"
BASE, AGAIN, CHANGED = "base", "again", "changed"


class Tried(NamedTuple):
    """What one run said of the layout against itself, and of the changed one against it."""

    itself: Sequence[Difference]
    changed: Sequence[Difference]


def fresh_runs(count: int, schedule: Schedule, more_us: int, more_mib: int) -> Iterator[Tried]:
    """Each a run as `compare` makes it, of three contenders that take turns in an order of chance: the sample pair in
    layout separate twice, and once with a proxy that is so much slower and larger."""
    pair = load_pair(PAIR, caller_env=os.environ)
    contenders = {BASE: _with(pair, 0, 0), AGAIN: _with(pair, 0, 0), CHANGED: _with(pair, more_us, more_mib)}
    for run in range(count):
        samples: dict[str, list[Sample]] = {name: [] for name in contenders}
        chance = Random(schedule.seed + run)
        for turn in range(schedule.rounds):
            seed = (schedule.seed + run) * MOST_ROUNDS + turn
            for name in chance.sample(list(contenders), len(contenders)):
                samples[name].append(_measure(contenders[name], schedule._replace(rounds=1, seed=seed)))
            print(f"run {run + 1} of {count}, round {turn + 1} of {schedule.rounds}", file=sys.stderr)
        yield Tried(*(_against(samples, name) for name in (AGAIN, CHANGED)))


def _with(pair: Pair, more_us: int, more_mib: int) -> Pair:
    command = (sys.executable, str(PROGRAM), str(more_us), str(more_mib))
    return pair._replace(proxy=pair.proxy._replace(command=command, args=()))


def _measure(pair: Pair, schedule: Schedule) -> Sample:
    entry = Path(sys.executable).with_name("pillion")
    engine = ProcessEngine(Place(entry, own_path(entry), str(Path.home())))
    processors = share_out(os.sched_getaffinity(0))
    found = compare(pair, [LAYOUT], engine, schedule, processors, lambda *_: None, None)
    (sample,) = found.samples[LAYOUT]
    return sample


def _against(samples: Mapping[str, Sequence[Sample]], name: str) -> list[Difference]:
    sides = ((name, samples[name]), (BASE, samples[BASE]))
    return [difference(figure, *sides, Margins()) for figure in PRIMARY]


def outcomes(tried: Sequence[Sequence[Difference]]) -> dict[str, Counter[str]]:
    """By figure, how often which outcome."""
    return {
        figure.name: Counter(each.outcome for run in tried for each in run if each.figure == figure)
        for figure in PRIMARY
    }
