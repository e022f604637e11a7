"""The frozen incidents: the level that `pillion env lint` has reached is kept, and no healthy manifest alarms."""

from __future__ import annotations

from benchmarks.environ import report, results


def test_incidents_are_named_and_healthy_manifests_left_alone() -> None:
    """As counted by `python -m benchmarks.environ`; the misses are in its report."""
    found = results()
    incidents = [each for each in found if not each.case.healthy]
    said = report(found)
    assert sum(each.score.named for each in incidents) >= 43, said
    assert sum(each.shown for each in incidents) >= 33, said
    assert sum(each.score.placed for each in incidents) >= 43, said
    assert sum(each.score.rated for each in incidents) >= 25, said
    assert [alarm for each in found if each.case.healthy for alarm in each.score.false_alarms] == [], said
