"""Claim 11: what the separate container costs to provision. From the user's own nodes and prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from pillion.compare.claims.claim import FAILS, HOLDS, NO_DIFFERENCE, UNSETTLED, Claim, Judgement, pair_of
from pillion.compare.claims.claim import said as evidence_of
from pillion.compare.evidence.evidence import Asked, Node
from pillion.compare.result import MIB, Comparison, Sample
from pillion.compare.statistics.figures import Figure
from pillion.compare.statistics.verdict import DIFFERENT, SAME

GIB = 1024 * MIB
MARGIN = 0.05


def judge(comparison: Comparison) -> Judgement:
    """By the cost of a million requests at the measured rate, paired by round as every difference is."""
    node, samples = comparison.evidence.node, comparison.samples
    said = [_asked(comparison.evidence.asked)]
    layouts = [layout for layout in ("shared", "separate") if layout in samples]
    rate = comparison.schedule.rate
    use = {layout: (_cpus(samples[layout], rate), _memory(samples[layout])) for layout in layouts}
    said += [
        f"{name}: uses {cpu:.3f} CPU and {memory / MIB:.0f} MiB at {rate:g}/s" for name, (cpu, memory) in use.items()
    ]
    if node.cpu and node.memory:
        said += [
            f"{name}: {int(min(node.cpu / cpu, node.memory / memory))} pods of that use fit a node of {node.cpu:g} CPU "
            f"and {node.memory / GIB:g} GiB"
            for name, (cpu, memory) in use.items()
            if cpu and memory
        ]
    if not node.price_cpu and not node.price_gib:
        why = "there are no prices: --price-cpu-hour, --price-gib-hour (and --node-cpu, --node-memory)"
        return Judgement(UNSETTLED, tuple(said), why)
    if comparison.schedule.closed_loop:
        return Judgement(UNSETTLED, tuple(said), "a closed loop has no rate at which memory is held")
    found = pair_of(comparison, _cost(node, rate), "separate", "shared")
    if found is None:
        return Judgement(UNSETTLED, tuple(said), "it takes both shared and separate")
    said.append(evidence_of(found))
    if found.outcome == SAME:
        return Judgement(NO_DIFFERENCE, tuple(said))
    if found.outcome == DIFFERENT and found.estimate is not None:
        return Judgement(HOLDS if found.estimate > 0 else FAILS, tuple(said))
    return Judgement(UNSETTLED, tuple(said), "more rounds or a quieter machine settle it")


def _cost(node: Node, rate: float) -> Figure:
    """Of a million requests at this rate, by the prices of the processor time used and the memory held meanwhile."""

    def value(sample: Sample) -> float:
        cpu_hours = sample.cpu_s_per_1000 * 1000 / 3600
        gib_hours = _held(sample) / GIB * 1e6 / rate / 3600
        return cpu_hours * node.price_cpu + gib_hours * node.price_gib

    return Figure("cost", "a million requests", "by your prices", 1, 4, value, lambda _, typical: MARGIN * typical)


def _cpus(samples: Sequence[Sample], rate: float) -> float:
    return median(each.cpu_s_per_1000 for each in samples) / 1000 * rate


def _memory(samples: Sequence[Sample]) -> float:
    return median(map(_held, samples))


def _held(sample: Sample) -> float:
    return float(sample.memory_bytes if sample.cgroup_bytes is None else sample.cgroup_bytes)


def _asked(asked: Mapping[str, Asked]) -> str:
    if not any(value is not None for each in asked.values() for value in each):
        return "the pair file asks for no resources, so a scheduler counts neither layout"
    parts = []
    for name, each in asked.items():
        cpu = "no CPU" if each.cpu is None else f"{each.cpu:g} CPU"
        memory = "no memory" if each.memory is None else f"{each.memory / MIB:.0f} MiB"
        parts.append(f"the {name} for {cpu} and {memory}")
    return f"the file asks, for {' and '.join(parts)}; a pod of both, and the one container, ask for the sum"


_USE = "processor time at the measured rate and memory (the control groups', else PSS), medians of the rounds"
CLAIM = Claim(
    number=11,
    name="provisioning",
    says="the separate container costs more to provision",
    measured={"direct": "not counted", "shared": _USE, "separate": _USE},
    rule=(
        "holds where a million requests cost more in separate by the prices given, does not hold where they cost less; "
        f"no measurable difference where the interval lies within {MARGIN:.0%}; without prices it is not settled"
    ),
    judge=judge,
)
