"""`pillion run`: keep a pair up in the foreground, in one layout."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from pillion.cli.arguments import Arguments, positive
from pillion.cli.pair import add_pair, here, read_pair
from pillion.cli.signals import Stopped, stop_on_signals
from pillion.compare.engines import process
from pillion.compare.layouts import LAYOUTS, Plan, Process, plan
from pillion.compare.ready import wait_ready
from pillion.image.enter import command_environment, own_entry, prepare, refuse
from pillion.image.environ.finding import REFUSING
from pillion.image.environ.names import decode
from pillion.image.orphans import no_child_left
from pillion.image.pair import PairRecord
from pillion.image.refusal import Failure, Refusal

READY_TIMEOUT_S = 30.0
LOOK_S = 0.1
COLOURS = {"proxy": "\x1b[36m", "backend": "\x1b[32m", "pillion": "\x1b[35m"}
PLAIN = "\x1b[0m"


def main(arguments: list[str]) -> int:
    """With a pair file only what it says is the environment; with a command, the caller's is the container's."""
    before, separator, command = _divide(arguments)
    parser = Arguments(
        "run",
        "Keep the pair up in one layout until Ctrl-C, SIGTERM or the end of one of its programs.",
        "pillion run pod.yaml --layout shared\n         BACKEND__PORT=8000 pillion run -- gunicorn app:app",
    )
    add_pair(parser, optional=True)
    parser.add_argument("--layout", default="shared", choices=LAYOUTS, help="default: %(default)s")
    parser.add_argument("--engine", default=process.NAME, choices=[process.NAME], help="default: %(default)s")
    parser.add_argument("--ready-timeout", type=positive, default=READY_TIMEOUT_S, metavar="S")
    given = parser.parse_args(before)
    if separator:
        if given.pair or given.layout != "shared":
            raise Refusal("run a command", "it goes without a pair file, in layout shared", "leave the others out")
        return _run_command(command)
    if not given.pair:
        raise Refusal("run a pair", "neither a pair file nor a command is given", "pillion run PAIR, or -- CMD")
    pair = read_pair(given)
    planned = plan(pair, given.layout, here())
    for notice in (*pair.notices, *planned.notices):
        _say(f"note: {notice}")
    return _keep_up(planned, f"run {pair.source}", pair.grace_s, given.ready_timeout)


def _keep_up(planned: Plan, what: str, grace_s: float, ready_timeout_s: float | None) -> int:
    """Until a signal, or the end of a program; that ends it with the program's exit code."""
    try:
        with (
            no_child_left(),
            stop_on_signals() as stopping,
            process.start(planned, what, _line, grace_s) as running,
        ):
            if ready_timeout_s is not None:
                ready_s = wait_ready(running, what, ready_timeout_s)
                _say(f"layout {planned.layout} is up after {ready_s:.2f} s: http://127.0.0.1:{planned.port}")
            while not (lost := running.lost()):
                stopping.check()
                time.sleep(LOOK_S)
            if not lost[1]:
                return 0
            raise Failure(what, running.explain_loss(*lost), exit_code=lost[1])
    except Stopped as stopped:
        _say(f"stopped by {stopped}")
        return 0


def _divide(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    """What stands before `--`, whether there is one, and what stands behind."""
    if "--" not in arguments:
        return arguments, False, []
    at = arguments.index("--")
    return arguments[:at], True, arguments[at + 1 :]


def _run_command(command: list[str]) -> int:
    """The caller's environment is the container's; whoever types can mend what a container is only warned of."""
    environ, entry = decode(command_environment()), own_entry(sys.argv[0])
    _, findings = prepare(command, environ, PairRecord(), entry)
    refuse(findings, (*REFUSING, "S2"))
    container = Process("shared", (str(entry), "enter", "--", *command), environ, Path.cwd())
    planned = Plan("shared", (container,), port=0, ports={}, ready=None)
    return _keep_up(planned, "run the command", PairRecord().deadline_s + 1, None)


def _line(program: str, channel: str, text: str) -> None:
    out = sys.stdout if channel == "stdout" else sys.stderr
    text = text.encode(out.encoding, "backslashreplace").decode(out.encoding)
    label = f"{program:7} |"
    if out.isatty() and not os.environ.get("NO_COLOR"):
        label = f"{COLOURS.get(program, '')}{label}{PLAIN}"
    print(f"{label} {text}", file=out, flush=True)


def _say(message: str) -> None:
    # Nobody may read any more; the pair is stopped by a signal and not by that.
    with contextlib.suppress(OSError):
        _line("pillion", "stderr", message)
