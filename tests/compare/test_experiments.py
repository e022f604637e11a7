"""The experiments on engine process: what is done to a program, who starts it again, and how it is counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pillion.compare.engines.process import ProcessEngine
from pillion.compare.experiments.all import EXPERIMENTS, choose, plan_experiments, run_experiments
from pillion.compare.experiments.outcome import NOT_MEASURED, Outcome, count
from pillion.compare.experiments.stage import Pace
from pillion.compare.result import Processors, Schedule
from pillion.image.refusal import Refusal
from tests.compare.running import PLACE, pair_of
from tests.conftest import PairFile

PACE = Pace(rate=40, timeout_s=0.5, before_s=0.3, lasts_s=0.8, after_s=1.7)
SCHEDULE = Schedule(path="/", ready_timeout_s=60)


@pytest.fixture
def perform(pair_file: PairFile, nothing_left: None) -> Callable[[str, str, str], Outcome]:
    """One experiment with one program in one layout."""

    def run(name: str, program: str, layout: str) -> Outcome:
        planned = plan_experiments(choose(name), pair_of(pair_file), [layout], ProcessEngine(PLACE))
        ours = [(experiment, setting) for experiment, setting in planned if setting.program == program]
        (outcome,) = run_experiments(ours, SCHEDULE, Processors(), lambda *_: None, lambda: None, PACE)
        return outcome

    return run


def answered(outcome: Outcome) -> int:
    """How many requests were."""
    return sum(good for _, good, _ in outcome.timeline)


@pytest.mark.parametrize(("program", "layout"), [("backend", "shared"), ("proxy", "separate")])
def test_what_is_killed_is_started_again_alone(
    perform: Callable[[str, str, str], Outcome], program: str, layout: str
) -> None:
    """By supervisord, which says so, or by compare in the platform's place, which says so too."""
    found = perform("kill", program, layout)
    assert found.measured, found.note
    assert found.restarts[program] == 1 and found.restarts[found.other] == 0
    assert found.detected_s is not None and found.detected_s >= 0
    assert found.failed > 0 and answered(found) > 0 and found.asked == found.failed + answered(found) == 80
    if layout == "shared":
        assert any(line.startswith(f"pillion | the {program}: SIGKILL ended it") for line in found.logs)
        assert not found.note
    else:
        assert "compare started it again at once" in found.note


def test_a_hang_is_over_when_its_time_is(perform: Callable[[str, str, str], Outcome]) -> None:
    """Nobody notices, and nothing is started again; clients have given up in the meantime."""
    found = perform("hang", "proxy", "separate")
    assert found.measured, found.note
    assert found.restarts == {"proxy": 0, "backend": 0} and found.detected_s is None
    assert found.failures.get("timeout", 0) > 0 and answered(found) > 0


def test_a_change_of_the_proxy_leaves_a_separate_backend_alone(perform: Callable[[str, str, str], Outcome]) -> None:
    """In one container it would not."""
    found = perform("proxy-setting", "proxy", "separate")
    assert found.measured, found.note
    assert found.restarts == {"proxy": 1, "backend": 0} and found.bytes_shipped == 0
    assert found.kind == "change" and answered(found) > 0


def test_a_change_of_the_one_container_restarts_both(perform: Callable[[str, str, str], Outcome]) -> None:
    """Whichever was changed."""
    found = perform("backend-version", "backend", "shared")
    assert found.measured, found.note
    assert found.restarts == {"proxy": 1, "backend": 1} and "both programs with it" in found.note


@pytest.mark.parametrize("name", ["memory-hog", "full-disk"])
def test_what_takes_a_container_says_so(perform: Callable[[str, str, str], Outcome], name: str) -> None:
    """Without figures, and at once."""
    found = perform(name, "backend", "shared")
    assert not found.measured and found.note.startswith(f"{NOT_MEASURED}engine process ")
    assert (found.asked, list(found.timeline)) == (0, [])


def test_a_layout_that_does_not_come_up_is_an_outcome(pair_file: PairFile, nothing_left: None) -> None:
    """With the reason; the experiments after it are done all the same."""
    pair_file.backend["args"] = ["exit", "7"]
    planned = plan_experiments(choose("kill,hang"), pair_of(pair_file), ["direct"], ProcessEngine(PLACE))
    found = run_experiments(planned, SCHEDULE, Processors(), lambda *_: None, lambda: None, PACE)
    assert [each.name for each in found] == ["kill", "hang"]
    assert all("the backend ended with 7" in each.note and not each.measured for each in found)


def test_each_program_in_each_layout(pair_file: PairFile) -> None:
    """The backend alone in direct; nothing in a layout that is not compared."""
    planned = plan_experiments(
        choose("kill"), pair_of(pair_file), ["embedded", "separate", "direct"], ProcessEngine(PLACE)
    )
    expected = [("backend", "direct"), ("backend", "separate"), ("proxy", "separate")]
    assert [(setting.program, setting.layout) for _, setting in planned] == expected


def test_experiments_are_chosen_by_name() -> None:
    """In the order that they have, whatever order they are asked for in."""
    assert [each.name for each in choose("hang, kill")] == ["kill", "hang"]
    assert choose("all") == list(EXPERIMENTS)
    with pytest.raises(Refusal, match="no such experiment"):
        choose("kill,flood")
    with pytest.raises(Refusal, match="choose from all,kill"):
        choose(" , ")


def test_requests_are_counted_by_when_they_were_due() -> None:
    """A bin is down where half of it failed; what was answered late is answered."""
    requests = [
        (0.01, "ok", 500),
        (0.06, "ok", 900_000),
        (0.11, "ok", 500),
        (0.16, "status", 0),
        (0.21, "timeout", 0),
        (0.26, "status", 0),
        (0.31, "status", 0),
        (0.33, "ok", 500),
        (0.36, "ok", 500),
    ]
    found = count(requests)
    assert (found["asked"], found["failed"], found["failures"]) == (9, 4, {"status": 3, "timeout": 1})
    assert found["timeline"] == ((0.0, 2, 0), (0.1, 1, 1), (0.2, 0, 2), (0.3, 2, 1))
    assert found["down_s"] == 0.2 and found["slowest_ms"] == 900
    assert count([])["slowest_ms"] is None
