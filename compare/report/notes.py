"""What must be known to read the figures of a comparison, in sentences (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from pillion.compare.result import MIB, Comparison, Sample, Schedule
from pillion.compare.statistics.summary import Spread, Summary

# Below this many requests beyond the percentile, it is rather one request's luck than a property of the layout.
FEW_BEYOND = 10
KILLED = 137
# From where on the time of day has been set, and was not only kept in step.
JUMP_S = 0.1
# What a program may take beyond what it had when it was ready, before that is worth a sentence.
GREW_BYTES = 16 * MIB


def pace(schedule: Schedule) -> str:
    """How much was measured, and under which load."""
    how = (
        f"{schedule.connections} connections, closed loop"
        if schedule.closed_loop
        else f"{schedule.rate:g} requests/s, open loop, {schedule.arrivals} arrivals"
    )
    sent = ", ".join(f"{each.weight:g} {each.method} {each.path}" for each in schedule.targets)
    what = sent or f"{schedule.method} {schedule.path}"
    again = "" if schedule.keep_alive else ", a connection for each"
    return f"{counted(schedule.rounds, 'round')} of {schedule.duration_s:g} s at {how}, {what}{again}"


def notes(comparison: Comparison, found: Mapping[str, Summary]) -> list[str]:
    """What must be known to read the figures."""
    processors = comparison.processors
    said = [
        "Latencies run from the intended send time to the last byte. The rest are medians of the rounds.",
        f"The load generator ran on processor {_numbers(processors.generator)}, the programs on "
        f"{_numbers(processors.programs)}."
        if processors.generator
        else "The load generator and the programs shared one processor.",
        "Between rounds p50 was "
        + ", ".join(f"{name} {_range(summary.percentiles['p50'])}" for name, summary in found.items())
        + " ms.",
    ]
    if "shared" in found and "separate" in found:
        said.append(
            "In shared, supervisord copies the logs and is charged for it; in separate an unmeasured reader does."
            if comparison.engine == "process"
            else "In shared, supervisord copies the logs before the engine does, and is charged for it."
        )
    if any(summary.engine_bytes for summary in found.values()):
        said.append(
            "Memory and CPU are those of all containers, the pod's own included; the engine's own is what it runs "
            "outside beside each container, and is in none of the other figures."
        )
    for name, summary in found.items():
        if summary.failed:
            kinds = ", ".join(f"{count} {kind}" for kind, count in summary.failures.items() if count)
            said.append(f"Failed in {name}: {kinds}.")
    said += _endings(comparison.samples)
    fewest = min(summary.requests for summary in found.values())
    if fewest * 0.001 < FEW_BEYOND:
        said.append(
            f"p99.9 rests on {max(round(fewest * 0.001), 1)} of {fewest} requests a layout: read it as a hint; "
            "more with --rounds, --duration or --rate."
        )
    said += _growth(comparison.samples)
    said += _clock(comparison.samples)
    for name, samples in comparison.samples.items():
        if missed := [sample.load.shortfall for sample in samples if sample.load.shortfall]:
            rounds = f"{len(missed)} of {counted(len(samples), 'round')}"
            said.append(f"The rate was not kept in {name}, {rounds}; at first: {missed[0]}.")
    return said


def _endings(samples: Mapping[str, Sequence[Sample]]) -> Iterator[str]:
    """Of the programs and containers that did not end well when they were told to."""
    for layout, rounds in samples.items():
        for name in dict.fromkeys(name for each in rounds for name in each.endings):
            found = [each.endings[name] for each in rounds if name in each.endings]
            killed = sum(ending.exit_code == KILLED for ending in found)
            who = f"the {name} of {layout}" if name != layout else layout
            if any(ending.oom_killed for ending in found):
                yield f"In {who} the kernel killed a process as memory ran out."
            elif killed:
                yield f"Stopped, {who} had to be killed in {killed} of {counted(len(found), 'round')}."
            if restarts := sum(ending.restarts for ending in found):
                yield f"The engine started {who} again, {counted(restarts, 'time')}."


def _numbers(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus))


def _range(found: Spread) -> str:
    return f"{found.least / 1000:.2f} to {found.greatest / 1000:.2f}"


def _growth(samples: Mapping[str, Sequence[Sample]]) -> Iterator[str]:
    """A leak shows only in how memory goes on: a round is too short to tell it from what is filled once."""
    for layout, rounds in samples.items():
        grew = [each.memory_bytes - each.memory_before_bytes for each in rounds if each.memory_before_bytes is not None]
        if grew and median(grew) > GREW_BYTES:
            yield (
                f"In {layout} memory grew by {median(grew) / MIB:.0f} MiB under the load of a round: a leak, or what "
                "is filled at first; a longer --duration tells, and every round begins anew."
            )


def _clock(samples: Mapping[str, Sequence[Sample]]) -> Iterator[str]:
    """Latencies and CPU time are by a clock that nobody sets; an engine dates the start of a container by the other."""
    for layout, rounds in samples.items():
        jumps = [each.clock_jump_s for each in rounds if abs(each.clock_jump_s) > JUMP_S]
        if jumps:
            yield (
                f"The time of day jumped in {layout}, {len(jumps)} of {counted(len(rounds), 'round')}, by "
                f"{max(jumps, key=abs):+.1f} s: with containers its start to ready is not to be trusted."
            )


def counted(number: int, what: str) -> str:
    """`1 round`, `2 rounds`."""
    return f"{number} {what}" + ("" if number == 1 else "s")
