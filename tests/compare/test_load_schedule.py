"""Send times are decided before the run, at the rate that was asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillion.compare.load.schedule import ARRIVALS, NS, due_times


@given(st.sampled_from(sorted(ARRIVALS)), st.floats(0.5, 2000), st.floats(0.01, 2), st.integers())
def test_every_schedule_sends_the_rate_in_order_and_in_time(
    arrivals: str, rate: float, seconds: float, seed: int
) -> None:
    """As many as the rate says, ascending, none before the start or after the end; repeatable from a seed."""
    due = due_times(arrivals, rate, seconds, seed)
    assert len(due) == max(1, round(rate * seconds))
    assert list(due) == sorted(due)
    assert due[0] >= 0
    assert due[-1] <= seconds * NS
    assert due == due_times(arrivals, rate, seconds, seed)


def test_constant_is_one_interval_apart_from_a_random_phase() -> None:
    """Two rounds do not begin in step with what is periodic in the server."""
    due = due_times("constant", 1000, 1)
    assert {round((b - a) / 10) * 10 for a, b in pairwise(due)} == {1_000_000}
    assert len({due_times("constant", 1000, 1)[0] for _ in range(20)}) > 1


def test_jitter_is_one_request_in_every_interval() -> None:
    """The rate is kept in every slot, the moment within it is random."""
    due = due_times("jitter", 100, 1, seed=1)
    assert [at * 100 // NS for at in due] == list(range(100))
    assert len({at % (NS // 100) for at in due}) > 90


@pytest.mark.parametrize("seed", range(5))
def test_poisson_bunches_as_independent_arrivals_do(seed: int) -> None:
    """About 1 - 1/e of the gaps are shorter than the mean gap (0.63); five sigma is 0.025 of 10,000."""
    due = due_times("poisson", 1000, 10, seed)
    short = sum(b - a < NS / 1000 for a, b in pairwise(due))
    assert 0.6 < short / len(due) < 0.66
