"""`pillion env audit`: what each process of a running pair holds, against what it should; never a value."""

from __future__ import annotations

import json
import os

from pillion.cli.arguments import Arguments
from pillion.cli.printable import printable
from pillion.image.audit import ask, beside, find_supervisord
from pillion.image.environ.audit import Looked, Report
from pillion.image.refusal import Failure
from pillion.image.run_directory import RUN_DIRECTORY_VARIABLE, find_run_directory

TIMEOUT_S = 10.0


def main(arguments: list[str]) -> int:
    """0: nothing is where it should not be, in what could be read; 1: something is."""
    parser = Arguments(
        "env audit",
        "What each process of a running pair holds in its environment, against what it was meant to be given: names,\n"
        "origins, classes and lengths. In the pair's container; elsewhere with the pid of `pillion run`.",
        "podman exec CONTAINER /opt/pillion/bin/pillion env audit\n         pillion env audit 4711",
    )
    parser.add_argument("pid", metavar="PID", nargs="?", type=int, help="`pillion run`, or supervisord below it")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if given.pid is None:
        folder = find_run_directory(os.environ.get(RUN_DIRECTORY_VARIABLE, ""))
        if folder is None:
            why = "there is no pair here whose control socket we may use"
            raise Failure("audit the pair", why, "run it in the container, as the user of its first process")
        report = ask(folder, TIMEOUT_S)
        report = report._replace(processes=(*report.processes, *beside(report)))
    else:
        report = ask(find_supervisord(given.pid), TIMEOUT_S)
    if given.json:
        print(json.dumps({"version": 1, "faults": report.faults, **report.document()}, indent=1))
    else:
        _show(report)
    return int(report.faults > 0)


def _show(report: Report) -> None:
    for one in report.processes:
        print(printable(_head(one)))
        for each in one.differences:
            print(printable(f"  {'fault: ' if each.fault else ''}{each}"))
    unread = sum(bool(each.unread) for each in report.processes)
    told = f"{len(report.processes) - unread} of {len(report.processes)} processes could be read"
    if report.passed_over:
        told += f", {report.passed_over} more were passed over"
    print(f"{told}; {report.faults or 'no'} fault{'' if report.faults == 1 else 's'}")


def _head(one: Looked) -> str:
    name = f"{one.program} (pid {one.pid}, {one.command})"
    if one.unread:
        return f"{name}: cannot be told: it {one.unread}"
    if one.program == "beside":
        return f"{name}: started from outside, it holds the container's environment as it was given"
    if one.differences:
        whose = "" if one.started or one.program == "init" else "; what it has otherwise it was given by the program"
        return f"{name}: {one.held} names{whose}"
    return f"{name}: {one.held} names, as they should be"
