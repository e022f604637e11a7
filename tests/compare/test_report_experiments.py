"""The table of experiments: whole in a terminal of 80 columns, and honest about what has no figures."""

from __future__ import annotations

import io

from rich.console import Console, Group

from pillion.compare.experiments.all import EXPERIMENTS
from pillion.compare.experiments.outcome import NOT_MEASURED, Outcome
from pillion.compare.report.experiments import experiment_parts


def printed(outcomes: list[Outcome]) -> str:
    """As a terminal shows it."""
    out = io.StringIO()
    Console(file=out, width=80).print(Group(*experiment_parts(outcomes)))
    return out.getvalue()


def test_every_experiment_fits() -> None:
    """With figures as large as they get, nothing is cut."""
    outcomes = [
        Outcome(
            each.name,
            "said",
            each.kind,
            program,
            "separate",
            asked=500,
            failed=500,
            down_s=10.0,
            detected_s=10.25,
            restarts={"backend": 10, "proxy": 12},
            slowest_ms=1000.4,
        )
        for each in EXPERIMENTS
        for program in each.programs
    ]
    text = printed(outcomes)
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    assert all(each.name in text for each in EXPERIMENTS)
    assert "500     10.0      1000    10.25  10/12" in text and "500 requests in each, once" in text


def test_what_was_not_measured_is_below_with_its_reason() -> None:
    """And what was shipped; nothing at all where nothing was asked for."""
    change = Outcome("backend-version", "", "change", "backend", "shared", 500, bytes_shipped=2**20)
    gone = Outcome("full-disk", "", "fault", "backend", "direct", note=f"{NOT_MEASURED}it is your disk")
    text = " ".join(printed([change, gone]).split())
    assert "full-disk of the backend in direct cannot be measured here: it is your disk" in text
    assert "backend-version in shared: 1.0 MiB shipped, unpacked." in text
    assert experiment_parts([]) == []
