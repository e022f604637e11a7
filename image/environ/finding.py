"""What the policy could not settle by itself, said to a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

REFUSING = ("S0", "S1")


class Finding(NamedTuple):
    """`severity` S0 to S3, `subject` the variable or port, `happens` what it leads to, `mend` what to do about it."""

    severity: str
    subject: str
    happens: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.severity} {self.subject}: {self.happens}" + (f"; {self.mend}" if self.mend else "")


def refusing(findings: Iterable[Finding]) -> list[Finding]:
    """Those of the findings that must not start."""
    return [finding for finding in findings if finding.severity in REFUSING]
