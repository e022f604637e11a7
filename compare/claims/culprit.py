"""Claim 8: monitoring and finding the culprit is simpler when the two are separate."""

from __future__ import annotations

from collections.abc import Sequence

from pillion.compare.claims.claim import FAILS, HOLDS, NO_DIFFERENCE, UNSETTLED, Claim, Judgement
from pillion.compare.experiments.outcome import Outcome
from pillion.compare.result import Comparison

# What a platform that looks once a second does not tell apart.
MARGIN_S = 1.0


def judge(comparison: Comparison) -> Judgement:
    """By the names in the logs, and the time from a crash to its detection."""
    kills = [each for each in comparison.experiments if each.name == "kill" and each.measured]
    by_layout = {layout: [each for each in kills if each.layout == layout] for layout in ("shared", "separate")}
    if not all(by_layout.values()):
        return Judgement(UNSETTLED, why="it takes shared and separate, and --experiments kill")
    shares = {layout: _share(found) for layout, found in by_layout.items()}
    seconds = {layout: _detected(found) for layout, found in by_layout.items()}
    evidence = tuple(
        f"{_sentence(layout, shares[layout], seconds[layout])}; {_told(found)}" for layout, found in by_layout.items()
    )
    slower = _apart(seconds["shared"], seconds["separate"])
    if shares["shared"] < shares["separate"] or slower > MARGIN_S:
        return Judgement(HOLDS, evidence)
    if shares["shared"] > shares["separate"] or slower < -MARGIN_S:
        return Judgement(FAILS, evidence)
    return Judgement(NO_DIFFERENCE, evidence)


def _share(outcomes: Sequence[Outcome]) -> float:
    """Of the lines, those whose program is told."""
    lines = sum(each.lines for each in outcomes)
    return 1 - sum(each.unnamed for each in outcomes) / lines if lines else 1.0


def _told(outcomes: Sequence[Outcome]) -> str:
    """Where the crash itself can be read."""
    told = sum(any(line.startswith("pillion | ") and each.program in line for line in each.logs) for each in outcomes)
    if told:
        return f"the log itself says who was lost, and how, in {told} of {len(outcomes)} crashes"
    return "the log is silent about the crash, the engine's state has its code"


def _detected(outcomes: Sequence[Outcome]) -> float | None:
    """The longest; None where a crash was not noticed."""
    found = [each.detected_s for each in outcomes]
    return None if None in found else max(each for each in found if each is not None)


def _apart(one: float | None, other: float | None) -> float:
    longest = float("inf")
    if one is None and other is None:
        return 0.0
    return (longest if one is None else one) - (longest if other is None else other)


_HOW = {
    "shared": (
        "the line itself has the name",
        "CPU, memory and restarts of each program by `pillion ctl usage`, not by the engine",
    ),
    "separate": ("by which container's log it is in", "CPU and memory of each program by its control group"),
}


def _sentence(layout: str, share: float, detected: float | None) -> str:
    names, usage = _HOW[layout]
    crash = "a crash was not noticed" if detected is None else f"a crash was noticed after at most {detected:.2f} s"
    return f"{layout}: {share:.0%} of the lines around a crash name their program ({names}); {crash}; {usage}"


CLAIM = Claim(
    number=8,
    name="finding the culprit",
    says="monitoring and finding the culprit is simpler when separate",
    measured={
        "direct": "there is one program to suspect",
        "shared": "the lines while each was killed; detected when supervisord says so in the log",
        "separate": "the lines while each was killed; detected when the engine knows that the container has ended",
    },
    rule=(
        f"holds where fewer lines name their program in shared, or a crash is noticed over {MARGIN_S:g} s later; does "
        "not hold where the reverse is so; else no measurable difference"
    ),
    judge=judge,
)
