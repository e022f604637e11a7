"""What would have to matter: always from the numbers, and a toss-up where they do not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pillion.compare.decision import Decision, decide, decision_lines
from pillion.compare.report.document import document
from pillion.compare.result import MIB, Comparison, Processors, Sample, Schedule
from pillion.image.environ.conflicts import conflicts
from pillion.image.pair import Container, Pair
from tests.compare.made_up import experiment
from tests.compare.samples import sample

PAIR = Pair("orders", "pod.yaml", Path(), Container("backend", "b"), Container("proxy", "p"))
SECRET = PAIR._replace(
    backend=Container("backend", "b", env={"SECRET_KEY": "1"}), proxy=Container("proxy", "p", env={"SECRET_KEY": "2"})
)


def rounds(latency_us: int = 500, memory: float = 100 * MIB, ready_s: float = 1.0, failed: int = 0) -> list[Sample]:
    """Nine alike."""
    return [sample(latency_us, memory, 0.5, 100, failed)._replace(ready_s=ready_s)] * 9


UNSURE = [sample(us, memory, cpu, 9)._replace(ready_s=ready) for us, memory, cpu, ready in
          [(100, 50 * MIB, 0.1, 0.1), (900, 150 * MIB, 0.9, 3.0)] * 5]  # fmt: skip


def decided(samples: Mapping[str, Sequence[Sample]], pair: Pair = PAIR, **more: Any) -> Decision:
    """On podman; `more` is what else the document holds."""
    fields = {name: more.pop(name) for name in ("engine", "image_bytes") if name in more}
    given = {"engine": "podman", **fields}
    comparison = Comparison(
        pair=pair, schedule=Schedule(), processors=Processors(), samples=samples, conflicts=conflicts(pair),
        not_measured=(), **given,
    )  # fmt: skip
    return decide({**document(comparison), **more})


def conditions(decision: Decision, layout: str) -> list[str]:
    """What would have to matter for the layout."""
    return [one.matters for each in decision.choices if each.layout == layout for one in each.conditions]


def test_where_all_is_the_same_it_is_a_toss_up() -> None:
    """And it says which figures are the same, and recommends nothing."""
    found = decided({"shared": rounds(), "separate": rounds(510)})
    assert found.summary.startswith("A toss-up: nothing that was measured tells shared from separate")
    assert found.choices == () and len(found.same) == 5 and found.open == ()


def test_where_nothing_is_settled_it_is_a_toss_up_so_far() -> None:
    """Not the same as being equal: more rounds may tell."""
    found = decided({"shared": UNSURE, "separate": UNSURE[1:] + UNSURE[:1]})
    assert found.summary.startswith("A toss-up as far as this run goes") and "More rounds" in found.summary
    assert found.choices == () and found.same == () and len(found.open) == 5
    assert all("inconclusive" in each for each in found.open)


def test_too_few_rounds_settle_nothing() -> None:
    """However far apart they are."""
    found = decided({"shared": rounds(100)[:3], "separate": rounds(9000)[:3]})
    assert found.summary.startswith("A toss-up as far as this run goes") and found.choices == ()


def test_each_difference_is_a_condition_with_its_number() -> None:
    """For the layout that it is good for; the other way round for the other."""
    found = decided({"shared": rounds(900, 80 * MIB), "separate": rounds(500, ready_s=0.5)})
    assert found.summary.startswith("Each of the two is better in something")
    assert conditions(found, "shared") == ["a pair takes 20.0 MiB less memory, a hundred of them 2.0 GiB"]
    assert conditions(found, "separate") == [
        "a typical request is 400 us faster",
        "the slowest hundredth of the requests is 400 us faster",
        "it is ready 0.50 s sooner",
    ]
    evidence = [one.evidence for each in found.choices for one in each.conditions]
    assert evidence[0] == "shared - separate: memory (PSS) -20.0 MiB [-20.0, -20.0]"
    assert decision_lines(found)[0][0] == "shared rather than separate, if it matters that"


def test_one_that_is_better_in_all_that_is_told_apart() -> None:
    """And still a toss-up for who does not care for it."""
    found = decided({"shared": rounds(), "separate": rounds(memory=60 * MIB)})
    assert found.summary.startswith("In all that this run tells apart, separate is the better one")
    assert "Where none of it matters to you, it is a toss-up." in found.summary
    assert conditions(found, "shared") == []


def test_a_figure_that_the_engine_cannot_measure_does_not_decide() -> None:
    """Without containers their memory is that of the programs alone: told, with the reason, under what is open."""
    found = decided({"shared": rounds(memory=200 * MIB), "separate": rounds()}, engine="process")
    assert found.choices == () and found.summary.startswith("A toss-up")
    assert any("+100.0 MiB" in each and "there are no containers" in each for each in found.open)


def test_without_both_nothing_is_decided_between_them() -> None:
    """What a sidecar costs at all is still told."""
    found = decided({"direct": rounds(), "shared": rounds(900)})
    assert found.summary.startswith("Shared and separate were not both measured")
    assert conditions(found, "direct")[0] == "a typical request is 400 us faster"
    assert decided({"direct": rounds()}) == Decision(found.summary, ())


def test_what_a_sidecar_costs_is_a_range_over_the_layouts_that_have_one() -> None:
    """One condition for a figure."""
    found = decided({"direct": rounds(), "shared": rounds(900), "separate": rounds(1100)})
    (choice,) = (each for each in found.choices if each.layout == "direct")
    assert choice.against == "shared or separate"
    assert choice.conditions[0].matters == "a typical request is 400 to 600 us faster"
    assert "shared - direct: p50" in choice.conditions[0].evidence


def test_images_and_failed_requests_count() -> None:
    """By the claim's margin of a hundredth, and by one request in a thousand."""
    both = {"shared": rounds(), "separate": rounds(failed=5)}
    found = decided(both, image_bytes={"shared": 100 * MIB, "separate": 130 * MIB})
    assert conditions(found, "shared") == [
        "a machine keeps 30.0 MiB less of images",
        "requests do not fail under an undisturbed load",
    ]
    near = decided({"shared": rounds(), "separate": rounds()}, image_bytes={"shared": 1000, "separate": 1005})
    assert near.choices == ()


@pytest.mark.parametrize(("shared_s", "expected"), [(0.3, "shared"), (1.1, ""), (2.5, "separate")])
def test_an_experiment_counts_where_it_is_twice_as_much(shared_s: float, expected: str) -> None:
    """It has no interval, and says how many trials there were."""
    trials = [
        experiment("kill", "proxy", "shared", down_s=shared_s),
        experiment("kill", "proxy", "separate", down_s=1.2),
    ]
    for each in trials:
        each["restarts"] = {}
    found = decided({"shared": rounds(), "separate": rounds()}, experiments=trials)
    assert {each.layout for each in found.choices} == ({expected} if expected else set())
    if expected:
        assert "one trial each" in found.choices[0].conditions[0].evidence
        assert conditions(found, expected) == [
            "fewer requests fail in kill of the proxy",
            "the service is down for less long in kill of the proxy",
        ]


def test_a_program_that_is_restarted_for_the_others_sake() -> None:
    """Is a reason for the layout in which it is not."""
    trials = [experiment("new_version", "proxy", layout, "change", 0.5) for layout in ("shared", "separate")]
    found = decided({"shared": rounds(), "separate": rounds()}, experiments=trials)
    assert conditions(found, "separate") == ["the backend goes on in new_version of the proxy"]


def test_a_secret_of_one_program_is_a_reason_for_two_containers() -> None:
    """Unless each has its own user; it is no number, and so the numbers are a toss-up still."""
    found = decided({"shared": rounds(), "separate": rounds()}, SECRET)
    assert found.summary.startswith("A toss-up")
    assert conditions(found, "separate") == ["no bug of one program can read SECRET_KEY of the other"]
