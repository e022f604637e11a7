"""Claims 3 to 11: every outcome by its rule, from experiments and evidence made up for it."""

from __future__ import annotations

from typing import Any

import pytest

from pillion.compare.claims import Judgement, settle
from pillion.compare.claims.claim import CANNOT, FAILS, HOLDS, NO_DIFFERENCE, UNSETTLED
from pillion.compare.evidence.evidence import Asked, Base, Distance, Edit, Evidence, Node, Seen
from pillion.compare.experiments.outcome import CHANGE, FAULT, NOT_MEASURED, Outcome
from pillion.compare.result import MIB, Comparison, Processors, Sample, Schedule
from pillion.image.environ.conflicts import Conflict
from tests.compare.samples import sample
from tests.compare.test_claims import PAIR

CONFLICT = Conflict("PORT", "S1", ("proxy", "backend"), "both bind it", "each sees its own value")


def settled(engine: str = "podman", **fields: Any) -> dict[str, Judgement]:
    """The judgement on each claim, by the claim's name."""
    comparison = Comparison(PAIR, engine, Schedule(), Processors(), fields.pop("samples", {}), (), ())
    return {claim.name: judgement for claim, judgement in settle(comparison._replace(**fields))}


def outcome(name: str, layout: str, kind: str = FAULT, program: str = "backend", **fields: Any) -> Outcome:
    """One that has figures."""
    return Outcome(name, "it", kind, program, layout, asked=500)._replace(**fields)


def test_without_experiments_nothing_is_guessed() -> None:
    """What would settle it is said."""
    found = settled(conflicts=(CONFLICT,))
    names = ("edit cycle", "variables", "base images", "isolation", "changes", "finding the culprit", "far backends")
    assert {found[name].outcome for name in (*names, "backend in an IDE", "provisioning")} == {UNSETTLED}
    assert "--experiments kill,hang," in found["isolation"].why and "--claims 3" in found["edit cycle"].why
    assert "--price-cpu-hour" in found["provisioning"].why
    assert "memory, embedded" not in found  # nobody made that argument


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        ({"down_s": 3.0}, HOLDS),
        ({"restarts": {"backend": 1, "proxy": 1}}, HOLDS),
        ({"down_s": 2.5}, NO_DIFFERENCE),
        ({"down_s": 0.1}, FAILS),
    ],
)
def test_isolation_is_judged_by_time_and_by_the_other_program(shared: dict[str, Any], expected: str) -> None:
    """The worst stands first in the evidence; what has no figures is left out."""
    once = {"backend": 1, "proxy": 0}
    separate = {"down_s": 1.8, "restarts": once}
    experiments = [
        outcome("hang", "shared"),
        outcome("hang", "separate"),
        outcome("kill", "shared", **{"restarts": once, "down_s": 1.8, **shared}),
        outcome("kill", "separate", **separate),
        outcome("full-disk", "shared", note=f"{NOT_MEASURED}no"),
        outcome("full-disk", "separate"),
    ]
    found = settled(experiments=experiments)["isolation"]
    assert found.outcome == expected and len(found.evidence) == 2
    if expected != NO_DIFFERENCE:
        assert found.evidence[0].startswith("kill of the backend: shared ")
    assert settled("process", experiments=experiments)["isolation"].outcome == CANNOT


def test_faults_that_point_both_ways_settle_nothing() -> None:
    """Each was done once."""
    down = {("kill", "shared"): 3.0, ("kill", "separate"): 1.0, ("hang", "shared"): 1.0, ("hang", "separate"): 3.0}
    experiments = [outcome(name, layout, down_s=seconds) for (name, layout), seconds in down.items()]
    found = settled(experiments=experiments)["isolation"]
    assert found.outcome == UNSETTLED and len(found.evidence) == 2 and "once each" in found.why


def test_a_change_is_judged_by_the_restarts_of_the_other() -> None:
    """Where shared restarts both and separate does not, it holds."""
    both, one = {"backend": 1, "proxy": 1}, {"backend": 0, "proxy": 1}
    shared = outcome("proxy-version", "shared", CHANGE, "proxy", restarts=both, bytes_shipped=35 * MIB)
    separate = shared._replace(layout="separate", restarts=one)
    held = settled(experiments=[shared, separate])["changes"]
    assert held.outcome == HOLDS
    assert (
        held.evidence[0] == "proxy-version in shared: 1 restart of the backend, 0 failed, 0.0 s down, 35.0 MiB shipped"
    )
    assert settled(experiments=[shared, separate._replace(restarts=both)])["changes"].outcome == FAILS
    assert settled(experiments=[shared._replace(restarts=one), separate])["changes"].outcome == FAILS


@pytest.mark.parametrize(
    ("unnamed", "detected", "expected"),
    [(0, 0.1, NO_DIFFERENCE), (1, 0.1, HOLDS), (0, 3.0, HOLDS), (0, None, HOLDS)],
)
def test_the_culprit_is_found_by_names_and_in_time(unnamed: int, detected: float | None, expected: str) -> None:
    """A crash that nobody noticed is later than any."""
    shared = outcome("kill", "shared", lines=8, unnamed=unnamed, detected_s=detected)
    shared = shared._replace(logs=["pillion | the backend: SIGKILL ended it"])
    separate = outcome("kill", "separate", lines=5, detected_s=0.5)
    found = settled(experiments=[shared, separate])["finding the culprit"]
    assert found.outcome == expected and len(found.evidence) == 2
    assert "the log itself says who was lost, and how, in 1 of 1 crashes" in found.evidence[0]
    assert "the log is silent about the crash" in found.evidence[1]


def edits(shared: float, separate: float, remote: float = 1.0) -> Evidence:
    """Alike for both programs."""
    cycles = [
        Edit(layout, program, "incremental", seconds, 10, seconds - 0.1, seconds + 0.1)
        for layout, seconds in (("shared", shared), ("separate", separate))
        for program in ("backend", "proxy")
    ]
    return Evidence(edits=(*cycles, Edit("remote", "backend", "incremental", remote, None, remote, remote)))


@pytest.mark.parametrize(
    ("shared", "separate", "expected"),
    [(4.5, 3.0, HOLDS), (3.5, 3.0, NO_DIFFERENCE), (1.5, 3.0, FAILS), (11, 10, NO_DIFFERENCE), (4, 3, UNSETTLED)],
)
def test_an_edit_cycle_has_a_margin(shared: float, separate: float, expected: str) -> None:
    """A second or a quarter, whichever is more."""
    assert settled(evidence=edits(shared, separate))["edit cycle"].outcome == expected


def test_the_ide_is_judged_against_the_one_container() -> None:
    """By the same edit."""
    assert settled(evidence=edits(4.0, 4.0, 1.0))["backend in an IDE"].outcome == HOLDS
    assert settled(evidence=edits(1.5, 4.0, 1.0))["backend in an IDE"].outcome == NO_DIFFERENCE
    assert settled(evidence=edits(1.0, 4.0, 3.0))["backend in an IDE"].outcome == FAILS
    gone = settled(evidence=Evidence(why_not={"ide": "no command"}))["backend in an IDE"]
    assert (gone.outcome, gone.why) == (UNSETTLED, "no command")


def test_variables_collide_only_if_a_process_had_the_wrong_one() -> None:
    """What was really seen, and no value of it."""
    right = [Seen("shared", program, "PORT", "S1", True, False) for program in ("proxy", "backend")]
    found = settled(conflicts=(CONFLICT,), evidence=Evidence(seen=right))["variables"]
    assert found.outcome == FAILS and "2 of 2 values are exactly the program's own" in found.evidence[1]
    wrong = [right[0], right[1]._replace(own=False, other=True)]
    found = settled(conflicts=(CONFLICT,), evidence=Evidence(seen=wrong))["variables"]
    assert found.outcome == HOLDS and found.evidence[-1] == "in shared the backend has the other program's PORT"
    assert settled(conflicts=())["variables"].outcome == NO_DIFFERENCE


def test_a_base_is_common_only_if_a_layer_had_to_change() -> None:
    """Two runtimes in one image are said, and no reason."""
    base = Base(3, 3, 34 * MIB, ("/opt/pillion/bin/python3", "/usr/bin/node"))
    found = settled(evidence=Evidence(base=base))["base images"]
    assert found.outcome == FAILS and "/usr/bin/node" in found.evidence[2]
    assert settled(evidence=Evidence(base=base._replace(kept=1)))["base images"].outcome == HOLDS
    assert settled("process")["base images"].outcome == CANNOT


@pytest.mark.parametrize(
    ("p50", "failed", "expected"), [(21_000, 0, HOLDS), (22_000, 0, UNSETTLED), (25_000, 0, FAILS), (21_000, 1, FAILS)]
)
def test_a_far_backend_costs_no_more_than_the_margin(p50: float, failed: int, expected: str) -> None:
    """Of 10 % of the round trip, and nothing fails."""
    plain = Distance("plain", 20, 300, 0, 20_000, 30_000, 19_900, 20_100)
    http = plain._replace(way="http", p50_us=20_500)
    distances = [plain, http, Distance("https", 20, 300, failed, p50, 30_000, p50 - 100, p50 + 100)]
    assert settled(evidence=Evidence(distances=distances))["far backends"].outcome == expected


def test_provisioning_is_judged_by_the_users_prices() -> None:
    """With the pods that fit the user's node, and what the file asks for."""
    cheap: list[Sample] = [sample(500, 100 * MIB, 0.5, count=5)] * 9
    dear: list[Sample] = [sample(500, 200 * MIB, 0.8, count=5)] * 9
    node = Node(cpu=4, memory=16 * 1024 * MIB, price_cpu=0.04, price_gib=0.005)
    evidence = Evidence(node=node, asked={"backend": Asked(0.5, 128 * MIB), "proxy": Asked()})
    found = settled(samples={"shared": cheap, "separate": dear}, evidence=evidence)["provisioning"]
    assert found.outcome == HOLDS
    assert "the backend for 0.5 CPU and 128 MiB and the proxy for no CPU and no memory" in found.evidence[0]
    assert "shared: 40 pods of that use fit" in " ".join(found.evidence)
    same = settled(samples={"shared": cheap, "separate": cheap}, evidence=evidence)["provisioning"]
    assert same.outcome == NO_DIFFERENCE
    few = settled(samples={"shared": cheap[:2], "separate": dear[:2]}, evidence=evidence)["provisioning"]
    assert few.outcome == UNSETTLED


def test_embedded_is_judged_where_it_was_run() -> None:
    """Beside the claims about a sidecar, which it is none of."""
    one: list[Sample] = [sample(500, 100 * MIB, 0.5, count=5)] * 9
    more: list[Sample] = [sample(900, 150 * MIB, 0.8, count=5)] * 9
    found = settled(samples={"direct": one, "embedded": one, "shared": more, "separate": more})
    assert found["memory, embedded"].outcome == found["processor time, embedded"].outcome == HOLDS
    assert found["latency, embedded"].outcome == HOLDS
    worse = settled(samples={"direct": one, "embedded": more, "shared": one})
    assert worse["memory, embedded"].outcome == worse["latency, embedded"].outcome == FAILS
