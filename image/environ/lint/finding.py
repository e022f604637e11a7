"""What the linter says: a finding with its place, and never a value."""

from __future__ import annotations

from typing import NamedTuple

from pillion.image.environ.lint.program import Place

SEVERITIES = ("S0", "S1", "S2", "S3")
# Each rule and what it finds; the names are stable: people silence them, and dashboards count them.
RULES = {
    "variable": "one name, two meanings: a program takes a value that was meant for another",
    "secret": "a program can read a secret that is another's",
    "port": "two programs bind one port",
    "service-link": "the platform sets a name that a program reads as an option of its own",
    "user": "a program keeps the identity or home of another user",
    "value": "a value does not arrive as it is written",
    "twice": "one container is given a name twice",
    "near-miss": "a prefix is almost that of a namespace",
    "name": "a name that no variable can have",
    "type": "a value that is no text",
    "nul": "a value with a NUL character",
    "size": "more than Linux, or the linter, takes",
    "elsewhere": "something that none of the files holds is referred to",
    "profile": "a service that is left out",
}


class Named(NamedTuple):
    """One more place that belongs to a finding, and why."""

    place: Place
    why: str


class LintFinding(NamedTuple):
    """`subject` is the variable, or `PORT/tcp`; `programs` are those that fight, `group` the container that they share
    or would. `also` are the further places."""

    rule: str
    severity: str
    subject: str
    place: Place
    happens: str
    mend: str = ""
    programs: tuple[str, ...] = ()
    group: str = ""
    seen_in: str = ""
    also: tuple[Named, ...] = ()

    def __str__(self) -> str:
        mend = f"; {self.mend}" if self.mend else ""
        return f"{self.place}: {self.severity} {self.subject}: {self.happens}{mend} [{self.rule}]"
