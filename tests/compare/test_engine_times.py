"""When a container was started, as podman and docker say it."""

from __future__ import annotations

import pytest

from pillion.compare.engines.layout import read_time


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T13:54:02.5Z",
        "2026-11-24T13:54:02.500000000Z",
        "2026-11-24T15:54:02.5+02:00",
        "2026-11-24 13:54:02.5 +0000 UTC",
    ],
)
def test_any_zone_and_any_precision_is_the_same_moment(text: str) -> None:
    """With Go's way of printing a time too."""
    assert read_time(text) == pytest.approx(1795528442.5)


@pytest.mark.parametrize("text", ["", "never", "0001-01-01T00:00:00Z"])
def test_what_never_was_is_none(text: str) -> None:
    """Go's zero time says that a container was not started."""
    assert read_time(text) is None
