"""The pair record: JSON, version 1, and no value of a secret in it."""

from __future__ import annotations

import json

import pytest

from pillion.image.pair import PairRecord, ProgramRecord, read_record
from pillion.image.refusal import Refusal


def test_a_record_comes_back_as_it_was() -> None:
    """Every field, through JSON."""
    record = PairRecord(
        "orders",
        ProgramRecord(cwd="/app", image_env={"A": "00ff"}, port=8000, ready_path="/healthz", stop_signal="SIGQUIT"),
        ProgramRecord(args=("--listen", ":80"), user="65532"),
        deadline_s=3,
        verbatim=True,
    )
    assert read_record(record.to_json()) == record
    assert json.loads(record.to_json())["version"] == 1


def test_a_later_versions_extra_members_are_left_alone() -> None:
    """So that an older `enter` can read what it knows."""
    document = json.loads(PairRecord().to_json())
    document["later"] = document["backend"]["later"] = 1
    assert read_record(json.dumps(document)) == PairRecord()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "version"),
        ('{"version": 2}', "version"),
        ('{"version": 1, "backend": 1}', "backend is not an object"),
        ('{"version": 1, "backend": {"port": "x"}}', "backend.port is a str"),
        ('{"version": 1, "name": 7}', "name is a int"),
    ],
)
def test_what_is_no_record_is_refused(text: str, says: str) -> None:
    """With the member that is wrong."""
    with pytest.raises(Refusal, match=says):
        read_record(text)
