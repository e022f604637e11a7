"""The claims: every outcome by its rule, and what an engine cannot measure said with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pillion.compare.claims import CLAIMS, Judgement, settle
from pillion.compare.claims.claim import CANNOT, FAILS, HOLDS, NO_DIFFERENCE, UNSETTLED
from pillion.compare.result import MIB, Comparison, Processors, Sample, Schedule
from pillion.image.pair import Container, Pair
from tests.compare.samples import sample

PAIR = Pair("orders", "pod.yaml", Path(), Container("backend", "b"), Container("proxy", "p"))


def settled(
    samples: Mapping[str, Sequence[Sample]], engine: str = "podman", images: Mapping[str, int] | None = None
) -> dict[str, Judgement]:
    """The judgement on each claim, by the claim's name."""
    comparison = Comparison(PAIR, engine, Schedule(), Processors(), samples, (), (), image_bytes=images or {})
    return {claim.name: judgement for claim, judgement in settle(comparison)}


def rounds(latency_us: int = 500, memory: float = 100 * MIB, cpu_s: float = 0.5, ready_s: float = 1.0) -> list[Sample]:
    """Nine alike."""
    return [sample(latency_us, memory, cpu_s, count=5)._replace(ready_s=ready_s)] * 9


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        (rounds(memory=80 * MIB, cpu_s=0.4, ready_s=0.7), HOLDS),
        (rounds(memory=120 * MIB, cpu_s=0.6, ready_s=1.3), FAILS),
        (rounds(memory=103 * MIB, cpu_s=0.52, ready_s=1.05), NO_DIFFERENCE),
    ],
)
def test_less_of_something_is_judged_by_the_difference(shared: list[Sample], expected: str) -> None:
    """Its number and its interval stand beside it."""
    found = settled({"shared": shared, "separate": rounds()})
    for name in ("memory", "processor time", "start to ready"):
        assert found[name].outcome == expected, name
        assert found[name].evidence[0].startswith("shared - separate: ") and "[" in found[name].evidence[0]


def test_a_sidecar_is_negligible_only_if_both_layouts_and_both_percentiles_are() -> None:
    """One that is slower is enough against it; one that is open leaves it open."""
    same = rounds(550)
    found = settled({"direct": rounds(500), "shared": same, "separate": same})["latency"]
    assert found.outcome == HOLDS and len(found.evidence) == 4
    slower = settled({"direct": rounds(500), "shared": same, "separate": rounds(800)})["latency"]
    assert slower.outcome == FAILS and "separate - direct: p50 +300 us" in " ".join(slower.evidence)
    unsure = [sample(us, count=5) for us in (100, 900) * 5]
    assert settled({"direct": rounds(500), "shared": unsure, "separate": same})["latency"].outcome == UNSETTLED


def test_what_was_not_measured_or_too_rarely_is_not_settled() -> None:
    """Never a guess."""
    alone = settled({"direct": rounds()})
    assert alone.pop("variables").outcome == NO_DIFFERENCE  # this pair has none that collide
    assert {name: found.outcome for name, found in alone.items()} == dict.fromkeys(alone, UNSETTLED)
    assert alone["latency"].why == "it takes direct, and shared or separate"
    few = settled({"shared": rounds()[:3], "separate": rounds(memory=50 * MIB)[:3]})
    assert few["memory"].outcome == UNSETTLED and "too few" in few["memory"].evidence[0]


@pytest.mark.parametrize(("shared", "expected"), [(480, HOLDS), (520, FAILS), (501, NO_DIFFERENCE)])
def test_image_bytes_are_counted(shared: int, expected: str) -> None:
    """Without an interval, as nothing varies."""
    both = {"shared": rounds(), "separate": rounds()}
    found = settled(both, images={"shared": shared * MIB, "separate": 500 * MIB})["image bytes"]
    assert found.outcome == expected and f"{shared - 500:+d}.0 MiB of 500.0" in found.evidence[0]


def test_without_containers_what_they_take_cannot_be_measured() -> None:
    """The reason is said, and the figures of the programs stay beside it."""
    both = {"direct": rounds(), "shared": rounds(memory=120 * MIB), "separate": rounds()}
    found = settled(both, engine="process")
    assert [name for name, each in found.items() if each.outcome == CANNOT] == [
        "memory",
        "image bytes",
        "start to ready",
        "edit cycle",
        "base images",
        "isolation",
    ]
    assert "no containers" in found["memory"].why and "+20.0 MiB" in found["memory"].evidence[0]
    assert found["processor time"].outcome == NO_DIFFERENCE


def test_every_claim_says_how_it_is_measured() -> None:
    """In every layout that it is about, with its rule."""
    for claim in CLAIMS:
        assert set(claim.measured) >= {"direct", "shared", "separate"} and all(claim.measured.values())
        assert claim.rule and claim.says
    assert sorted({claim.number for claim in CLAIMS}) == list(range(1, 12))
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
