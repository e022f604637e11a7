"""Each program's limits, put into its launch record as far as this container can have them."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Mapping

from pillion.image.account import may_raise_limits
from pillion.image.division import cannot_divide, divide
from pillion.image.environ.finding import Finding
from pillion.image.launch import LaunchRecord
from pillion.image.limits import read_limits, too_high
from pillion.image.refusal import Refusal


def limited(records: Iterable[LaunchRecord], limits: Mapping[str, str]) -> tuple[list[LaunchRecord], list[Finding]]:
    """The records with each program's limits and, where the platform lets us, a control group for each; and what cannot
    be had. Raises Refusal for a limit above the container's own."""
    asked = {program: read_limits(text) for program, text in limits.items()}
    for program, each in asked.items():
        why = too_high(each, {name: resource.getrlimit(getattr(resource, name)) for name in each.process})
        if why and not may_raise_limits():
            setting = f"PILLION_LIMITS_{program.upper()}"
            raise Refusal("start the pair", f"{setting}: {why}", "lower it, or raise the container's (--ulimit)")
    records = [record._replace(limits=limits[record.program]) for record in records]
    if not any(each.group for each in asked.values()):
        return records, []
    folders: dict[str, str] = {}
    why = cannot_divide()
    if not why:
        try:
            folders = divide({program: each.group for program, each in asked.items()})
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
    unmet = f"cannot limit memory per program here: {why}" if why else ""
    records = [
        record._replace(cgroup=folders.get(record.program, ""), unmet=unmet if asked[record.program].group else "")
        for record in records
    ]
    mend = "limit the container's memory, or run it with a writable control group of its own (version 2)"
    return records, [Finding("S2", "memory", unmet, mend)] if unmet else []
