"""The settings of the supervision: what a good value does is tested where it does it; here what a bad one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillion.image.refusal import Refusal
from pillion.image.supervision import SETTINGS, Supervision, deadline_for, from_json, read_supervision, settings_table
from tests.entered import Container


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PILLION_DEADLINE", "0"),
        ("PILLION_DEADLINE", "-1"),
        ("PILLION_DEADLINE", "8.5 parsecs"),
        ("PILLION_DEADLINE", "inf"),
        ("PILLION_RESTARTS", "many"),
        ("PILLION_RESTARTS", "1.5"),
        ("PILLION_RESTART_WINDOW", "0s"),
        ("PILLION_BACKOFF", "0"),
        ("PILLION_BACKOFF_MAX", "two"),
        ("PILLION_LOG_FORMAT", "xml"),
        ("PILLION_REQUIRE_UIDS", "perhaps"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    """With what it means."""
    with pytest.raises(Refusal, match=f"cannot start the pair: {name}='{value}'"):
        read_supervision({name: value}, 8.5)


def test_a_deadline_of_zero_ends_the_container_at_once(tmp_path: Path) -> None:
    """One sentence, exit code 2, nothing started."""
    code, out = Container(["sleep", "60"], tmp_path, {b"PILLION_DEADLINE": b"0"}).wait()
    assert code == 2 and "PILLION_DEADLINE='0'" in out and len(out.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_budget_that_can_never_be_spent_is_refused() -> None:
    """The pauses alone would outlast the window: a program that cannot start would be tried for ever."""
    with pytest.raises(Refusal, match="would never be spent within PILLION_RESTART_WINDOW"):
        read_supervision({"PILLION_RESTARTS": "20"}, 8.5)
    read_supervision({"PILLION_RESTARTS": "20", "PILLION_RESTART_WINDOW": "10m"}, 8.5)


@pytest.mark.parametrize(("text", "seconds"), [("2", 2), ("1.5s", 1.5), ("250ms", 0.25), ("2m", 120), (" 3 ", 3)])
def test_durations_may_have_units(text: str, seconds: float) -> None:
    """As the proxy's may."""
    assert read_supervision({"PILLION_DEADLINE": text}, 8.5).deadline_s == seconds


def test_the_backends_stop_signal_may_be_the_platforms() -> None:
    """A manifest knows it, and not the rest of the record of the image that it names."""
    assert read_supervision({"PILLION_STOP_SIGNAL": "SIGINT"}, 8.5).stop_signal == "SIGINT"
    assert read_supervision({"PILLION_STOP_SIGNAL": ""}, 8.5).stop_signal == ""
    with pytest.raises(Refusal, match=r"PILLION_STOP_SIGNAL=.*SIGNONE"):
        read_supervision({"PILLION_STOP_SIGNAL": "SIGNONE"}, 8.5)


def test_our_deadline_ends_before_the_platforms() -> None:
    """And there is always one."""
    assert [deadline_for(grace) for grace in (30, 10, 0)] == [28.5, 8.5, 1.0]


def test_what_is_not_set_is_the_pair_records_or_the_default() -> None:
    """And it survives its travel to supervisord."""
    found = read_supervision({"PILLION_LOG_FORMAT": "JSON"}, 3.0)
    assert found == Supervision(deadline_s=3.0, log_format="json") and from_json(found.to_json()) == found


def test_the_table_in_the_docs_is_the_one_that_is_read() -> None:
    """Each row's default is a value that may be given."""
    text = (Path(__file__).parent.parent.parent / "docs" / "supervision.md").read_text()
    assert settings_table() in text
    assert {row.field for row in SETTINGS} == set(Supervision._fields)
