"""What changed since another run: from what it wrote, and never more than that says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pillion.compare.report.document import document
from pillion.compare.report.since import change_lines, changes, read_old
from pillion.compare.result import MIB, Comparison, Processors, Sample, Schedule
from pillion.compare.statistics.verdict import DIFFERENT, INCONCLUSIVE, SAME
from pillion.image.environ.conflicts import conflicts
from pillion.image.pair import Container, Pair
from tests.compare.samples import sample

PAIR = Pair("o", "pod.yaml", Path(), Container("backend", "b", env={"A": "1"}), Container("proxy", "p", env={"A": "2"}))


def run(*rounds: Sample, layout: str = "shared", **fields: Any) -> Comparison:
    """One layout, measured."""
    given = {"schedule": Schedule(), "conflicts": conflicts(PAIR), "engine": "process", **fields}
    return Comparison(pair=PAIR, processors=Processors(), samples={layout: rounds}, not_measured=(), **given)


def written(comparison: Comparison, tmp_path: Path) -> Path:
    """As `--json` leaves it."""
    file = tmp_path / "old.json"
    file.write_text(json.dumps(document(comparison)))
    return file


def test_what_changed_is_told_apart_from_what_did_not(tmp_path: Path) -> None:
    """By the same margins and three outcomes; the two may have different numbers of rounds."""
    old = read_old(written(run(*[sample(500, 100 * MIB, count=5)] * 9), tmp_path))
    found = changes(run(*[sample(800, 101 * MIB, count=5)] * 7), old)
    outcomes = {each.figure.name: each.outcome for each in found.figures["shared"]}
    assert outcomes == {
        "latency_us.p50": DIFFERENT,
        "latency_us.p99": DIFFERENT,
        "memory_bytes": SAME,
        "cpu_s_per_1000": SAME,
    }
    ((heading, sentences),) = change_lines(found)
    assert heading == "shared, now - then" and sentences[0] == "p50 +300 us [+300, +300]: different"
    assert (found.unlike, found.others) == ((), ())


def test_few_rounds_and_none_are_no_verdict(tmp_path: Path) -> None:
    """A round in which every request failed has no latency, in the file either."""
    old = read_old(written(run(*[sample(1, count=0, failed=9)] * 9), tmp_path))
    assert set(old.figures["shared"]["latency_us.p50"]) == {None}
    found = changes(run(*[sample(800)] * 2), old)
    assert {each.outcome for each in found.figures["shared"]} == {INCONCLUSIVE}


def test_runs_that_did_not_measure_the_same_are_told(tmp_path: Path) -> None:
    """Each condition by its name; images and conflicts are counted."""
    old = read_old(written(run(sample(1), image_bytes={"shared": 100 * MIB}), tmp_path))
    new = run(sample(1), schedule=Schedule(rate=5.0), engine="podman", image_bytes={"shared": 103 * MIB}, conflicts=())
    found = changes(new, old)
    assert found.unlike == ("engine: process then, podman now", "rate: 200.0 then, 5.0 now")
    assert found.others == ("images of shared: +3.0 MiB", "conflicts gone: A")
    other = changes(run(sample(1), layout="direct"), old)
    assert other.unlike == ("layout shared: measured only then", "layout direct: measured only now")
    assert not other.figures


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "not what --json writes"),
        ('{"layouts": {}, "version": 99}', "its version is 99"),
        (
            '{"layouts": {"a": {"rounds": [{}]}}, "version": 1, "pair": {"source": ""}, "engine": "", "schedule": {}}',
            "'",
        ),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """With what it is not."""
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(ValueError, match=why):
        read_old(tmp_path / "old.json")
