"""Claim 4: variables of the two collide in one container. By what each program's processes really had."""

from __future__ import annotations

from collections import Counter

from pillion.compare.claims.claim import FAILS, HOLDS, NO_DIFFERENCE, UNSETTLED, Claim, Judgement
from pillion.compare.result import Comparison

MOST_NAMED = 5


def judge(comparison: Comparison) -> Judgement:
    """A name collides where a program of `shared` had not exactly its own value, or had the other's."""
    if not comparison.conflicts:
        return Judgement(NO_DIFFERENCE, ("no name of the two means something else to the other",))
    severities = Counter(each.severity for each in comparison.conflicts)
    counted = ", ".join(f"{count} {severity}" for severity, count in sorted(severities.items()))
    evidence = [f"in a naive merge {len(comparison.conflicts)} names collide ({counted})"]
    seen = [each for each in comparison.evidence.seen if each.layout == "shared"]
    if not seen:
        why = comparison.evidence.why_not.get("seen", "nobody looked at what shared's programs have (--claims 4)")
        return Judgement(UNSETTLED, tuple(evidence), why)
    wrong = [each for each in seen if not each.own or each.other]
    evidence.append(
        f"in shared {len(seen) - len(wrong)} of {len(seen)} values are exactly the program's own, and "
        f"{sum(each.other for each in seen)} are the other's (read from /proc/PID/environ)"
    )
    evidence += [
        f"in shared the {each.program} has {'the other program' if each.other else 'neither'}'s {each.variable}"
        if each.other
        else f"in shared the {each.program} has not exactly its own {each.variable}"
        for each in wrong[:MOST_NAMED]
    ]
    return Judgement(HOLDS if wrong else FAILS, tuple(evidence))


_READ = "the environment of every process of each program, from /proc, for the names that would collide"
CLAIM = Claim(
    number=4,
    name="variables",
    says="variables of the two collide in one container",
    measured={"direct": "not looked at: there is one program", "shared": _READ, "separate": f"{_READ}, to compare"},
    rule="holds where a process in shared has the other program's value, or not exactly its own; else does not hold",
    judge=judge,
)
