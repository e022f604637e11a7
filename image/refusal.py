"""The two ways in which Pillion ends without doing what was asked, each one sentence for a person."""

from __future__ import annotations


class Refusal(Exception):
    """Bad input: exit code 2. Reads "cannot WHAT: WHY; MEND", naming the file and the field.

    `what` starts with a verb ("read pod.yaml"), `why` names the field, `mend` says what to change.
    """

    exit_code: int = 2

    def __init__(self, what: str, why: str, mend: str = "") -> None:
        self.what, self.why, self.mend = what, why, mend
        super().__init__(f"cannot {what}: {why}" + (f"; {mend}" if mend else ""))


class Failure(Refusal):
    """The input was good and what it asked for ran, but failed: exit code 1, or the lost program's own."""

    def __init__(self, what: str, why: str, mend: str = "", exit_code: int = 1) -> None:
        super().__init__(what, why, mend)
        self.exit_code = exit_code
