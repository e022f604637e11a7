"""What came of one experiment: plain values, and how they are counted from the single requests (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

BIN_S = 0.1
FAULT, CHANGE = "fault", "change"
NOT_MEASURED = "cannot be measured here: "

# Of each request when it was due, in seconds; its outcome, `ok` or a kind of failure; and the microseconds it took.
Request = tuple[float, str, int]


class Outcome(NamedTuple):
    """One experiment with one program in one layout.

    `asked` requests were due in all and `failed` of them did, by kind in `failures`. `down_s` is the time, in bins of
    0.1 s by intended send time, in which at least half of the requests due failed. `detected_s` runs from the event to
    when whoever restarts programs in this layout knew of it; None if nobody noticed. `restarts` counts for each program
    how often it was started again, for whatever reason. `logs` are lines written after the event, with the name of the
    program: `NAME | LINE` where the line itself has it, `[NAME] LINE` where only the log's place tells. `timeline` has
    per bin its begin, the requests answered and those failed; `at_s` is when it happened on it. `slowest_ms` is the
    longest that a request that was answered had to wait. `bytes_shipped` is what a change adds to an image store,
    unpacked. Of the `lines` that were written in all, `unnamed` do not say whose they are. `note` says what must be
    known; beginning with `NOT_MEASURED` it says why there are no figures.
    """

    name: str
    says: str
    kind: str
    program: str
    layout: str
    asked: int = 0
    failed: int = 0
    failures: Mapping[str, int] = {}
    down_s: float = 0.0
    detected_s: float | None = None
    restarts: Mapping[str, int] = {"proxy": 0, "backend": 0}
    logs: Sequence[str] = ()
    timeline: Sequence[tuple[float, int, int]] = ()
    at_s: float = 0.0
    note: str = ""
    slowest_ms: float | None = None
    bytes_shipped: int | None = None
    lines: int = 0
    unnamed: int = 0

    @property
    def measured(self) -> bool:
        """Whether there are figures."""
        return not self.note.startswith(NOT_MEASURED)

    @property
    def other(self) -> str:
        """The program to which nothing was done."""
        return "proxy" if self.program == "backend" else "backend"


def count(requests: Sequence[Request]) -> dict[str, Any]:
    """The fields of an outcome that follow from its requests alone."""
    failures = Counter(outcome for _, outcome, _ in requests if outcome != "ok")
    bins: dict[int, list[int]] = {}
    for due, outcome, _ in requests:
        bins.setdefault(int(due / BIN_S), [0, 0])[outcome != "ok"] += 1
    taken = [us for _, outcome, us in requests if outcome == "ok"]
    return {
        "asked": len(requests),
        "failed": sum(failures.values()),
        "failures": dict(failures),
        "down_s": round(sum(BIN_S for answered, failed in bins.values() if failed >= max(answered, 1)), 1),
        "timeline": tuple((round(at * BIN_S, 1), *bins[at]) for at in sorted(bins)),
        "slowest_ms": max(taken) / 1000 if taken else None,
    }
