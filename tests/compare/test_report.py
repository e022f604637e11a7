"""What a comparison says at its end: the figures of the samples, honestly labelled, within 80 columns."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from pillion.compare.comparison import share_out
from pillion.compare.engines.ending import Ending
from pillion.compare.report.document import document
from pillion.compare.report.table import report
from pillion.compare.result import Comparison, Processors, Sample, Schedule
from pillion.compare.statistics.summary import spread, summarise
from pillion.image.environ.conflicts import conflicts
from pillion.image.pair import Container, Pair
from tests.compare.samples import sample

PAIR = Pair(
    "orders",
    "pod.yaml",
    Path(),
    Container("backend", "b", env={"PORT": "1", "API_TOKEN": "the-value"}),
    Container("proxy", "p", env={"PORT": "2"}),
)
BOTH = Processors((0,), (1,))


def comparison(samples: Mapping[str, Sequence[Sample]], processors: Processors = BOTH) -> Comparison:
    """A comparison of the pair with these samples."""
    cannot, notices = ["what this engine cannot"], ["one container stays outside"]
    return Comparison(PAIR, "process", Schedule(), processors, samples, conflicts(PAIR), cannot, notices)


def printed(samples: Mapping[str, Sequence[Sample]], processors: Processors = BOTH) -> str:
    """The report on a terminal of 80 columns without colours."""
    out = io.StringIO()
    Console(file=out, width=80).print(report(comparison(samples, processors)))
    return out.getvalue()


def test_a_summary_merges_histograms_and_takes_medians() -> None:
    """Percentiles of all requests together; everything else is the median of the rounds."""
    found = summarise([sample(1000, 10), sample(2000, 30, failed=1), sample(3000, 20)])
    assert found.latency.count == found.requests == 300 and found.failed == 1
    assert found.memory_bytes == (20, 10, 30)
    assert found.percentiles["p50"].least == 1000
    assert found.latency.percentiles()["p50"] == pytest.approx(2000, rel=0.001)
    assert spread([3, 1, 2, 10]) == (2.5, 1, 10)


def test_the_table_shows_each_layout_and_the_ratio() -> None:
    """Shared against separate, where both were measured."""
    samples = {name: [sample(us)] * 3 for name, us in (("direct", 500), ("shared", 900), ("separate", 1000))}
    lines = printed(samples).splitlines()
    (p50,) = (line for line in lines if line.strip().startswith("latency p50"))
    assert p50.split() == ["latency", "p50,", "ms", "0.50", "0.90", "1.00", "0.90"]
    assert all(len(line) <= 80 for line in lines) and "what this engine cannot" in "\n".join(lines)
    assert "shared / separate" not in printed({"direct": samples["direct"]})


def test_four_layouts_stand_side_by_side() -> None:
    """Each row on one line of 80 columns, the longest among them."""
    names = ("direct", "embedded", "shared", "separate")
    lines = printed({name: [sample(123456)] * 3 for name in names}).splitlines()
    assert all(len(line) <= 80 for line in lines)
    (cpu,) = (line.split() for line in lines if "CPU per 1,000 requests, s" in line)
    assert len(cpu) == 5 + len(names) + 1, "the label's words, the figures and the ratio"
    heading = next(line.split() for line in lines if "embedded" in line)
    assert heading == [*names, "separate"]


def test_what_few_requests_cannot_say_is_said() -> None:
    """A p99.9 of three hundred requests is one request's luck."""
    assert "p99.9 rests on 1 of 300 requests" in " ".join(printed({"direct": [sample(1)] * 3}).split())
    assert "p99.9 rests on" not in printed({"direct": [sample(1, count=4000)] * 3})


def test_a_late_generator_is_confessed() -> None:
    """So that its own lateness is not read as a layout's."""
    said = " ".join(printed({"direct": [sample(1, late=0.05)] * 3}).split())
    assert "The rate was not kept in direct, 3 of 3 rounds; at first: the generator itself was late with 5%." in said
    assert "not kept" not in printed({"direct": [sample(1, late=0.001)] * 3})


def test_an_end_that_was_none_of_the_programs_own_is_told() -> None:
    """Killed after its grace, or for want of memory, or started again by the engine; not what stopped as it should."""
    ends = [{"backend": Ending(137), "proxy": Ending(0)}, {"backend": Ending(0), "proxy": Ending(143, restarts=1)}]
    said = " ".join(printed({"separate": [sample(1)._replace(endings=each) for each in ends]}).split())
    assert "Stopped, the backend of separate had to be killed in 1 of 2 rounds." in said
    assert "The engine started the proxy of separate again, 1 time." in said and "proxy of separate had" not in said
    shared = [sample(1)._replace(endings={"shared": Ending(137, oom_killed=True)})]
    said = printed({"shared": shared})
    assert "In shared the kernel killed a process as memory ran out." in said and "had to be killed" not in said
    (found,) = document(comparison({"shared": shared}))["layouts"]["shared"]["rounds"]
    expected = {"exit_code": 137, "oom_killed": True, "restarts": 0, "error": ""}
    assert found["endings"] == {"shared": expected} and json.dumps(found)


def test_no_value_of_a_variable_is_shown() -> None:
    """Names, severities and resolutions only."""
    samples = {"direct": [sample(1)]}
    written = json.dumps(document(comparison(samples)))
    assert "the-value" not in written + printed(samples)
    assert [conflict["name"] for conflict in json.loads(written)["conflicts"]] == ["API_TOKEN", "PORT"]
    assert json.loads(written)["notices"] == ["one container stays outside"]


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [({0}, ((), ())), ({0, 1}, ((0,), (1,))), ({2, 5, 7}, ((2, 5), (7,)))],
)
def test_the_generator_has_a_processor_of_its_own(allowed: set[int], expected: Processors) -> None:
    """Where there are two or more; the report says which, or that there was one."""
    assert share_out(allowed) == expected
    said = printed({"direct": [sample(1)]}, Processors(*expected))
    assert ("shared one processor" in said) == (len(allowed) == 1)
