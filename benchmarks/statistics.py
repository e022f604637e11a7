"""Whether the comparison's verdicts can be trusted: on simulated noise, and on recorded rounds of a real layout.

    python -m benchmarks.statistics coverage
    python -m benchmarks.statistics record --json rounds.json        # on a quiet machine
    python -m benchmarks.statistics resample --json rounds.json
    python -m benchmarks.statistics fresh --runs 10                  # on a quiet machine
    python -m benchmarks.statistics spread --runs 8                  # on a quiet machine

`coverage` simulates what `compare` could have used for an interval, and how often each held the truth. `record` runs
real short rounds of the sample pair in layout separate, on engine process. `resample` makes 100 pairs of runs of them,
as the rounds were the same thing measured twice, by blocks of rounds that stood side by side, and judges each pair as
`compare` would: as it is, and with the first run slowed by 200 microseconds and 20 MiB fatter. `fresh` makes whole runs
anew, of the pair twice and of the pair with a proxy that is really slower and fatter by as much. `spread` starts the
pair some times, keeps each start under load for long, and says whether starts differ by more than windows of one do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.fresh_runs import LAYOUT, PAIR, fresh_runs, outcomes
from benchmarks.intervals import METHODS, NOISES, ROUNDS, simulate
from benchmarks.resampling import MORE, MORE_BYTES, MORE_US, Tally, merged, resample
from benchmarks.rounds import RESULTS, table
from benchmarks.spread import WINDOW_S, spread, started
from pillion.compare.comparison import compare, share_out
from pillion.compare.engines.process import ProcessEngine
from pillion.compare.layouts import Place
from pillion.compare.load import LoadResult
from pillion.compare.result import MIB, Sample, Schedule
from pillion.compare.statistics.figures import PRIMARY
from pillion.compare.statistics.verdict import DIFFERENT, INCONCLUSIVE, SAME
from pillion.image.enter import own_path
from pillion.image.pairfile import load_pair

# Issue 7: of 100 pairs of runs of one layout so many may be called different, so many inconclusive; so many of those
# that do differ must be found.
MOST_DIFFERENT, MOST_INCONCLUSIVE, LEAST_FOUND = 5, 20, 95


# Recording


def record(path: Path, rounds: int, schedule: Schedule, most_s: float) -> None:
    """As many rounds as are asked for and fit into `most_s` seconds, written one by one: an interrupted recording
    keeps what it has."""
    pair = load_pair(PAIR, caller_env=os.environ)
    entry = Path(sys.executable).with_name("pillion")
    engine = ProcessEngine(Place(entry, own_path(entry), str(Path.home())))
    began = time.monotonic()
    kept: list[dict[str, Any]] = []
    while len(kept) < rounds and time.monotonic() - began < most_s:
        turn = schedule._replace(rounds=1, seed=schedule.seed + len(kept))
        found = compare(pair, [LAYOUT], engine, turn, share_out(os.sched_getaffinity(0)), lambda *_: None, None)
        (sample,) = found.samples[LAYOUT]
        conditions = sample.conditions._asdict() if sample.conditions else None
        fields = {**sample._asdict(), "conditions": conditions, "load": json.loads(sample.load.to_json())}
        kept.append({name: value for name, value in fields.items() if name in _KEPT})
        document = {"when": _now(), "machine": _machine(), "schedule": schedule._asdict(), "rounds": kept}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")
        print(f"round {len(kept)} of {rounds}", file=sys.stderr)
    if len(kept) < rounds:
        print(f"{len(kept)} of {rounds} rounds in {most_s:g} s: --at-most allows more", file=sys.stderr)
    print(f"recorded: {path}")


_KEPT = ("load", "memory_bytes", "cpu_s_per_1000", "processes", "ready_s", "stop_s", "conditions", "padding")


def recorded(path: Path) -> list[Sample]:
    """The rounds that `record` wrote. Raises OSError, ValueError or KeyError if these are not they."""
    rounds = json.loads(path.read_text())["rounds"]
    return [
        Sample(**{**each, "load": LoadResult.from_json(json.dumps(each["load"])), "conditions": None})
        for each in rounds
    ]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _machine() -> dict[str, Any]:
    return {"processors": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}


# Telling


def show_coverage(runs: int, level: float, seed: int) -> None:
    """A table for each noise: coverage in percent, and the median width in units of the noise's quartile distance."""
    rows = simulate(runs, level, seed)
    print(f"coverage of {level:.2%} intervals in percent / median width; {runs} runs each, seed {seed}")
    for noise in NOISES:
        lines = [[noise, *(f"{rounds} rounds" for rounds in ROUNDS)]]
        for method in METHODS:
            found = [each for each in rows if each.noise == noise and each.method == method.name]
            cells = [
                "none" if each.width != each.width else f"{each.coverage:.1%} / {each.width:.2f}" for each in found
            ]
            lines.append([method.name, *cells])
        table(lines)


def show_tally(tally: Tally, rounds: int, recorded_rounds: int) -> bool:
    """Every figure, and whether what the issue asks for is met."""
    print(f"{tally.pairs} pairs of runs of {rounds} rounds, from {recorded_rounds} recorded rounds of {LAYOUT}")
    lines = [["", "called different", "inconclusive", f"found: +{MORE_US} us, +{MORE_BYTES // MIB} MiB"]]
    met = True
    for figure in PRIMARY:
        wanted = figure.name in MORE
        different, inconclusive, found = (
            kind[figure.name] * 100 / tally.pairs for kind in (tally.different, tally.inconclusive, tally.found)
        )
        met &= different <= MOST_DIFFERENT and inconclusive <= MOST_INCONCLUSIVE
        met &= not wanted or found >= LEAST_FOUND
        cells = [f"{different:.0f} of 100", f"{inconclusive:.0f} of 100", f"{found:.0f} of 100" if wanted else "-"]
        lines.append([figure.label, *cells])
    lines.append(["asked for", f"at most {MOST_DIFFERENT}", f"at most {MOST_INCONCLUSIVE}", f"at least {LEAST_FOUND}"])
    table(lines)
    print(f"\n  {'met' if met else 'MISSED'}")
    return met


def show_rounds(samples: Sequence[Sample]) -> None:
    """What the rounds themselves were: the noise that the verdicts have to live with."""
    for figure in PRIMARY:
        values = [value for value in map(figure.value, samples) if value is not None]
        least, *_, most = quantiles(values, n=10)
        middle, unit = figure.said(median(values)), figure.unit
        print(f"{figure.label}: median {middle} {unit}, eight of ten from {figure.said(least)} to {figure.said(most)}")


def show_fresh(runs: int, schedule: Schedule, path: Path) -> bool:
    """Each run's verdicts, and how often which; whether no run called the layout different from itself more often than
    it may, and every run found the change."""
    tried = []
    kept: list[dict[str, Any]] = []
    for each in fresh_runs(runs, schedule, MORE_US, MORE_BYTES // MIB):
        tried.append(each)
        said = {name: [found.sentence() for found in getattr(each, name)] for name in each._fields}
        kept.append(said)
        document = {"when": _now(), "machine": _machine(), "schedule": schedule._asdict(), "runs": kept}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")
        for name, sentences in said.items():
            print(f"run {len(tried)}, {name}: {'; '.join(sentences)}")
    itself, changed = outcomes([each.itself for each in tried]), outcomes([each.changed for each in tried])
    print(f"\n{runs} runs of {schedule.rounds} rounds, {LAYOUT}")
    lines = [["", "itself: same", "different", "inconclusive", f"found: +{MORE_US} us, +{MORE_BYTES // MIB} MiB"]]
    for figure in PRIMARY:
        found = changed[figure.name][DIFFERENT]
        counts = [itself[figure.name][outcome] for outcome in (SAME, DIFFERENT, INCONCLUSIVE)]
        lines.append([figure.label, *map(str, counts), str(found) if figure.name in MORE else "-"])
    table(lines)
    met = all(changed[name][DIFFERENT] * 100 >= LEAST_FOUND * runs for name in MORE) and all(
        counts[DIFFERENT] * 100 <= MOST_DIFFERENT * runs and counts[INCONCLUSIVE] * 100 <= MOST_INCONCLUSIVE * runs
        for counts in itself.values()
    )
    print(f"\n  {'met' if met else 'MISSED'}")
    return met


def show_spread(starts: int, schedule: Schedule) -> None:
    """Each start's windows, and what they and the starts differ by."""
    found = []
    for each in started(starts, schedule.rate, schedule.path):
        found.append(each)
        print(f"start {len(found)}: p50 of {WINDOW_S:g} s each, us: {' '.join(f'{value:.0f}' for value in each)}")
    told = spread(found)
    print(
        f"windows of one start differ by {told.within:.0f} us (standard deviation), the means of {starts} starts by "
        f"{told.between:.0f}, where {told.by_chance:.0f} would be chance"
    )


def main() -> int:
    """The command line; `resample` gives 1 where what is asked for is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("coverage", "record", "resample", "fresh", "spread"))
    parser.add_argument("--json", type=Path, default=RESULTS / "statistics.json", metavar="FILE", help="of the rounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--runs", type=int, help="coverage: simulated runs of each (1000); fresh: whole runs (10); spread: starts (8)"
    )
    parser.add_argument("--level", type=float, choices=(0.95, 0.9875), default=0.95, help="coverage (%(default)s)")
    default = Schedule()
    parser.add_argument("--record", type=int, default=240, metavar="N", help="record: rounds (%(default)s)")
    parser.add_argument("--at-most", type=float, default=1800, metavar="S", help="record: seconds (%(default)g)")
    parser.add_argument("--duration", type=float, default=default.duration_s, help="of a round (%(default)g s)")
    parser.add_argument(
        "--rounds",
        type=int,
        nargs="+",
        default=[default.rounds],
        help=f"resample, fresh: of a run ({default.rounds}); resample takes several, one after the other",
    )
    parser.add_argument("--pairs", type=int, default=100, help="resample: pairs of runs (%(default)s)")
    parser.add_argument("--block", type=int, default=2, help="resample: pairs of neighbours in a block (%(default)s)")
    parser.add_argument(
        "--merge", type=int, default=1, metavar="N", help="resample: each N rounds are one (%(default)s)"
    )
    given = parser.parse_args()
    if given.what == "coverage":
        show_coverage(given.runs or 1000, given.level, given.seed)
        return 0
    rounds: list[int] = given.rounds
    schedule = default._replace(rounds=rounds[0], duration_s=given.duration, path="/orders/1", seed=given.seed)
    if given.what == "spread":
        show_spread(given.runs or 8, schedule)
        return 0
    if given.what == "fresh":
        return 0 if show_fresh(given.runs or 10, schedule, given.json.with_stem("fresh-runs")) else 1
    if given.what == "record":
        record(given.json, given.record, schedule, given.at_most)
        return 0
    samples = merged(recorded(given.json), max(given.merge, 1))
    if len(samples) < 2 * given.block:
        parser.error(f"{given.json} has {len(samples)} rounds, which are too few")
    show_rounds(samples)
    missed = 0
    for count in rounds:
        tally = resample(samples, count, given.pairs, given.block, given.seed)
        missed += not show_tally(tally, count, len(samples))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
