"""What the differences between layouts, and the machine's own noise, are in words; one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pillion.compare.machine import Conditions
from pillion.compare.result import MIB, Comparison, Margins, Sample
from pillion.compare.statistics.noise import against_itself, noise
from pillion.compare.statistics.verdict import DIFFERENT, FAMILY_LEVEL, FEWEST_ROUNDS, LEVEL, Difference

# Shares of the whole machine from which on what others did is worth a sentence.
OTHERS_ARE_MUCH = 0.05
STOLEN_IS_MUCH = 0.01


def noise_lines(comparison: Comparison) -> list[str]:
    """What is to be known of the machine before its figures are read."""
    lines = []
    if found := noise(comparison.samples):
        said = ", ".join(f"{each.figure.label} {each.figure.said(each.typical)} {each.figure.unit}" for each in found)
        lines.append(f"Noise: two rounds of one layout, one after the other, differ by {said} (medians).")
    if itself := against_itself(comparison.samples, comparison.margins):
        count = sum(each.outcome == DIFFERENT for each in itself)
        lines.append(
            f"Each layout against itself, odd rounds against even: {count} of {len(itself)} figures called different."
        )
    lines.append(conditions_line(comparison.samples))
    return lines


def conditions_line(samples: Mapping[str, Sequence[Sample]]) -> str:
    """Whether something else was at work on the machine under load."""
    found = [each.conditions for rounds in samples.values() for each in rounds if each.conditions is not None]
    noticed = list(_noticed(found)) if found else []
    if noticed:
        return "While under load, " + "; ".join(noticed) + "."
    known = {
        "other load": any(each.other_cpu_s is not None for each in found),
        "steal time": any(each.stolen_s is not None for each in found),
        "throttling": any(each.throttled_s is not None for each in found),
    }
    seen = [name for name, told in known.items() if told]
    unseen = [name for name, told in known.items() if not told]
    text = f"While under load, no {' or '.join(seen)} was noticed" if seen else ""
    if unseen:
        text += ("; " if text else "") + f"{' and '.join(unseen)} cannot be seen here"
    return text + "."


def _noticed(found: Sequence[Conditions]) -> Iterator[str]:
    others = [each.other_cpu_s / each.wall_s for each in found if each.other_cpu_s is not None and each.wall_s]
    if others:
        mean, processors = sum(others) / len(others), found[0].processors
        if mean > OTHERS_ARE_MUCH * processors:
            yield (
                f"other programs used {mean:.2f} of {processors} processors, {max(others):.2f} in the worst round: "
                "a quieter machine gives narrower intervals"
            )
    wall = sum(each.wall_s * each.processors for each in found)
    stolen = sum(each.stolen_s or 0.0 for each in found)
    if wall and stolen > STOLEN_IS_MUCH * wall:
        yield f"the host took {stolen / wall:.1%} of the processors' time for others (steal)"
    throttled = sum(each.throttled_s or 0.0 for each in found)
    if throttled:
        yield f"a CPU limit throttled this program's control group for {throttled:.2f} s"


def verdict_lines(differences: Sequence[Difference]) -> dict[str, list[str]]:
    """The sentences under the two layouts that they tell of, `shared - separate`."""
    found: dict[str, list[str]] = {}
    for each in differences:
        found.setdefault(f"{each.one} - {each.other}", []).append(each.sentence())
    return found


def method_line(margins: Margins, rounds: int) -> str:
    """How the verdicts came about, for who doubts them."""
    text = (
        f"Differences are paired by round; [ ] is the {LEVEL:.2%} interval of the signed-rank test, so that the four "
        f"of two layouts hold together in {FAMILY_LEVEL:.0%} of such runs. Margins: latency {margins.latency_us:g} us "
        f"or {margins.latency_share:.0%} of the smaller median, whichever is larger; memory "
        f"{margins.memory_bytes / MIB:g} MiB; CPU {margins.cpu_share:.0%}."
    )
    if rounds < FEWEST_ROUNDS:
        text += f" A verdict needs {FEWEST_ROUNDS} rounds, and these were {rounds}: --rounds."
    return text
