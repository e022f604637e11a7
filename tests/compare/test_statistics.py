"""Intervals and verdicts: what must hold of them whatever the samples are, and what they say of some."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pillion.compare.result import MIB, MOST_ROUNDS, Margins
from pillion.compare.statistics.figures import CPU, MEMORY, P50, P99, PRIMARY, Figure
from pillion.compare.statistics.interval import fewest_rounds, paired, unpaired
from pillion.compare.statistics.noise import against_itself, noise
from pillion.compare.statistics.verdict import (
    DIFFERENT,
    FEWEST_ROUNDS,
    INCONCLUSIVE,
    LEVEL,
    SAME,
    Difference,
    by_round,
    difference,
    differences,
    since,
)
from tests.compare.samples import sample

# Whole numbers are exact in binary: what is to be the same is then the same to the last bit.
SERIES = st.lists(st.integers(-(10**6), 10**6), min_size=8, max_size=24)


@settings(deadline=None)
@given(SERIES)
def test_swapping_the_two_negates_the_interval(series: list[int]) -> None:
    """The order in which two layouts are named decides nothing."""
    found, swapped = paired(series, LEVEL), paired([-each for each in series], LEVEL)
    assert found and swapped
    assert (found.estimate, found.low, found.high) == (-swapped.estimate, -swapped.high, -swapped.low)


@settings(deadline=None)
@given(SERIES, st.integers(-1000, 1000), st.integers(0, 10))
def test_shift_and_scale_carry_over(series: list[int], shift: int, doublings: int) -> None:
    """A constant more in every round is that constant more in the interval; another unit is only another unit."""
    found, moved = paired(series, LEVEL), paired([each * 2**doublings + shift for each in series], LEVEL)
    assert found and moved
    assert moved[:3] == tuple(value * 2**doublings + shift for value in found[:3])


@settings(deadline=None)
@given(SERIES, st.randoms())
def test_the_order_of_rounds_does_not_matter(series: list[int], chance: Random) -> None:
    """Only which two values are of one round does; the interval lies around its estimate and within the samples."""
    found = paired(series, LEVEL)
    shuffled = list(series)
    chance.shuffle(shuffled)
    assert found == paired(shuffled, LEVEL)
    assert found and min(series) <= found.low <= found.estimate <= found.high <= max(series)
    assert found.level >= LEVEL


@settings(deadline=None)
@given(st.lists(st.integers(-99, 99), min_size=5, max_size=12), st.lists(st.integers(-99, 99), min_size=5, max_size=12))
def test_two_runs_swapped_are_negated_too(new: list[int], old: list[int]) -> None:
    """And a wider level gives a wider interval."""
    found, swapped, wider = unpaired(new, old, 0.9), unpaired(old, new, 0.9), unpaired(new, old, 0.95)
    assert found and swapped and wider
    assert (found.estimate, found.low, found.high) == (-swapped.estimate, -swapped.high, -swapped.low)
    assert wider.low <= found.low <= found.high <= wider.high


@pytest.mark.parametrize("count", [5, 6, 7, 8])
def test_the_levels_are_exact(count: int) -> None:
    """Every way in which signs can fall on `count` rounds: as many intervals miss 0 as their level says."""
    sizes = [2.0**place for place in range(count)]  # no two middles are alike
    found = [
        paired([size * sign for size, sign in zip(sizes, signs, strict=True)], 0.9)
        for signs in product((1, -1), repeat=count)
    ]
    missed = sum(1 for each in found if each and not each.low <= 0 <= each.high)
    assert found[0] and missed / len(found) == pytest.approx(1 - found[0].level) and found[0].level >= 0.9


def test_known_intervals() -> None:
    """As the tables of the tests have them for ten rounds, and for five against five, at 95 %."""
    assert paired(range(1, 11), 0.95) == (5.5, 3, 8, 1 - 2 * 25 / 1024)
    found = unpaired([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 0.95)
    assert found and found[:3] == (-5, -8, -2) and found.level == pytest.approx(1 - 2 * 4 / 252)


def test_too_few_rounds_have_no_interval() -> None:
    """Five heads in a row come up once in 16 times."""
    assert fewest_rounds(0.95) == 6 and FEWEST_ROUNDS == 8
    assert paired([1.0] * 7, LEVEL) is None and paired([1.0] * 8, LEVEL) is not None
    assert paired([], 0.95) is None and unpaired([1.0], [2.0], 0.95) is None


def judged(ones: Sequence[int], others: Sequence[int], margins: Margins | None = None) -> Difference:
    """The verdict on p50 of rounds with these latencies."""
    sides = [[sample(each, count=1) for each in series] for series in (ones, others)]
    return difference(P50, ("shared", sides[0]), ("separate", sides[1]), margins or Margins())


LATENCIES = st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 2000)), min_size=1, max_size=14)


@settings(deadline=None)
@given(LATENCIES)
def test_verdicts_are_the_same_from_either_side(rounds: list[tuple[int, int]]) -> None:
    """And are always one of the three, from the same samples the same."""
    ones, others = [one for one, _ in rounds], [other for _, other in rounds]
    found, swapped = judged(ones, others), judged(others, ones)
    assert found.outcome == swapped.outcome and found.outcome in (DIFFERENT, SAME, INCONCLUSIVE)
    assert found.estimate == -(swapped.estimate or 0) and found.margin == swapped.margin
    assert found == judged(ones, others)


def test_three_outcomes_and_their_sentences() -> None:
    """Each with its number, its interval and the margin that was applied."""
    base = [500, 510, 490, 505, 495, 500, 515, 485, 500, 500]
    same = judged([each + 12 for each in base], base)
    assert (same.outcome, same.sentence()) == (SAME, "p50 +12 us [+12, +12]: the same within 100 us")
    different = judged([each + 200 for each in base], base)
    assert (different.outcome, different.sentence()) == (DIFFERENT, "p50 +200 us [+200, +200]: different")
    unsure = judged([each + 300 * (-1) ** place for place, each in enumerate(base)], base)
    assert unsure.outcome == INCONCLUSIVE and "neither 0 nor more than 100 us is ruled out" in unsure.sentence()
    few = judged(base[:3], base[:3])
    assert (few.outcome, few.sentence()) == (INCONCLUSIVE, "p50 0 us: inconclusive, 3 rounds are too few for a verdict")


@pytest.mark.parametrize("apart", [0, 60, 150])
def test_so_many_rounds_as_are_said_settle_it(apart: int) -> None:
    """In most runs; a verdict needs no more."""
    chance = Random(apart)

    def run(rounds: int) -> Difference:
        sides = [[1000 + shift + int(chance.gauss(0, 150)) for _ in range(rounds)] for shift in (apart, 0)]
        return judged(*sides)

    unsure = [found for found in (run(12) for _ in range(40)) if found.outcome == INCONCLUSIVE]
    assert len(unsure) >= 20
    for each in unsure:
        count = each.rounds_to_settle
        said = f"not even {MOST_ROUNDS} rounds would" if count > MOST_ROUNDS else f"{count} rounds would"
        assert f"; {said} likely settle it" in each.sentence()
    settled = [run(each.rounds_to_settle).outcome != INCONCLUSIVE for each in unsure]
    assert sum(settled) >= 0.6 * len(settled)
    assert judged([500] * 8, [500] * 8).rounds_to_settle == 0


def test_the_larger_of_two_margins_counts() -> None:
    """100 us where latencies are short, a tenth where they are long; of the smaller of the two."""
    assert judged([500] * 8, [600] * 8).margin == 100
    assert judged([20_000] * 8, [21_000] * 8).margin == pytest.approx(2000, rel=0.001)
    assert judged([500] * 8, [600] * 8, Margins(latency_us=20, latency_share=0.01)).margin == 20


def test_rounds_without_an_answer_are_left_out_for_both() -> None:
    """What failed has no latency; with none at all there is nothing to say."""
    good, bad = sample(500), sample(1, count=0, failed=100)
    found = difference(P50, ("shared", [bad, *[good] * 8]), ("separate", [good] * 9), Margins())
    assert (found.rounds, found.outcome) == (8, SAME)
    nothing = difference(P50, ("shared", [bad] * 9), ("separate", [good] * 9), Margins())
    assert nothing.outcome == INCONCLUSIVE and nothing.sentence().endswith("no round has the figure of both")


def figures_of(seed: int, rounds: int = 20) -> dict[Figure, list[float]]:
    """Rounds with noise in all of their figures, one in ten with a stall."""
    chance = Random(seed)

    def latency(base: float) -> float:
        return base + chance.gauss(0, base / 25) + (chance.expovariate(1 / 300) if chance.random() < 0.1 else 0)

    return {
        P50: [latency(700) for _ in range(rounds)],
        P99: [latency(1500) for _ in range(rounds)],
        MEMORY: [100 * MIB + chance.gauss(0, MIB) for _ in range(rounds)],
        CPU: [0.7 + chance.gauss(0, 0.02) for _ in range(rounds)],
    }


def test_a_layout_against_itself_is_not_called_different() -> None:
    """In at most 5 of 100 runs any of the four figures; and what is really different is found in 95."""
    false = found = 0
    for run in range(100):
        ones, others = figures_of(2 * run), figures_of(2 * run + 1)
        apart = [by_round(each, ("shared", ones[each]), ("separate", others[each]), Margins()) for each in PRIMARY]
        false += any(each.outcome == DIFFERENT for each in apart)
        worse = [(P50, 200.0), (MEMORY, 20.0 * MIB)]
        found += all(
            by_round(
                each, ("shared", [one + more for one in ones[each]]), ("separate", others[each]), Margins()
            ).outcome
            == DIFFERENT
            for each, more in worse
        )
    assert false <= 5 and found >= 95


def test_every_two_layouts_are_compared_once() -> None:
    """The one that users ask for first comes first, whatever order they were measured in."""
    same = [sample(500)] * 8
    found = differences({"direct": same, "separate": same, "shared": same}, Margins())
    assert list(dict.fromkeys((each.one, each.other) for each in found)) == [
        ("shared", "separate"),
        ("shared", "direct"),
        ("separate", "direct"),
    ]
    assert len(found) == 3 * len(PRIMARY)


def test_noise_is_what_rounds_of_one_layout_differ_by() -> None:
    """Whatever lies between layouts does not count."""
    samples = {"direct": [sample(100), sample(110), sample(90)], "shared": [sample(1000), sample(1030)]}
    typical = {each.figure: each.typical for each in noise(samples)}
    assert typical[P50] == 20 and typical[MEMORY] == 0
    assert noise({"direct": [sample(1)]}) == []
    assert against_itself({"direct": [sample(1)] * 15}, Margins()) == []
    itself = against_itself({"direct": [sample(500), sample(700)] * 8}, Margins())
    assert [each.outcome for each in itself] == [DIFFERENT, DIFFERENT, SAME, SAME]


def test_two_runs_are_compared_without_pairs() -> None:
    """Their numbers of rounds may differ."""
    old, new = [500.0 + place for place in range(9)], [800.0 + place for place in range(7)]
    found = since(P50, ("new", new), ("old", old), Margins())
    assert (found.outcome, found.estimate) == (DIFFERENT, 299)
    assert since(P50, ("new", old), ("old", old), Margins()).outcome == SAME
    assert since(CPU, ("new", []), ("old", old), Margins()).outcome == INCONCLUSIVE
    assert since(P99, ("new", [1.0]), ("old", [2.0]), Margins()).interval is None
