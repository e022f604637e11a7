"""`pillion run`: keep a pair up in the foreground, in one layout."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pillion.cli.arguments import Arguments, positive
from pillion.cli.engine import add_engine, open_engine
from pillion.cli.overrides import add_overrides, overrides, refuse_overrides
from pillion.cli.pair import add_pair, read_pair
from pillion.cli.signals import Stopped, Stopping, stop_on_signals
from pillion.compare.door import door_of
from pillion.compare.engines import process
from pillion.compare.engines.process import PreparedProcesses
from pillion.compare.engines.running import Running
from pillion.compare.layouts import LAYOUTS, Plan, Process
from pillion.compare.ready import wait_ready
from pillion.image.enter import command_environment, own_entry, prepare, refuse
from pillion.image.environ.finding import REFUSING
from pillion.image.environ.names import decode
from pillion.image.orphans import no_child_left
from pillion.image.pair import Pair, PairRecord
from pillion.image.refusal import Failure, Refusal
from pillion.image.sidecar import with_setting
from pillion.image.supervision import read_supervision

READY_TIMEOUT_S = 30.0
LOOK_S = 0.1
# How long after its own deadline `pillion enter` is killed.
DEADLINE_MARGIN_S = 1.5
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
    add_engine(parser)
    add_overrides(parser)
    upstream = "where the backend is, in layout remote (the pair's own upstream, or loopback)"
    parser.add_argument("--upstream", metavar="URL", help=upstream)
    parser.add_argument("--ready-timeout", type=positive, default=READY_TIMEOUT_S, metavar="S")
    given = parser.parse_args(before)
    if separator:
        if given.pair or given.layout != "shared" or given.engine != process.NAME:
            why = "it goes without a pair file, in layout shared, on engine process"
            raise Refusal("run a command", why, "leave the others out")
        return _until_stopped(partial(_run_command, command, overrides(given)))
    if not given.pair:
        raise Refusal("run a pair", "neither a pair file nor a command is given", "pillion run PAIR, or -- CMD")
    refuse_overrides(given, "run")
    pair = read_pair(given)
    if given.upstream:
        if given.layout != "remote":
            raise Refusal(f"run {given.pair}", "--upstream is for --layout remote", "leave it to the pair file")
        pair = pair._replace(proxy=with_setting(pair.proxy, "UPSTREAM", given.upstream))
    return _until_stopped(partial(_run_pair, pair, given.layout, given.engine, given.ready_timeout))


def _until_stopped(run: Callable[[Stopping], int]) -> int:
    """Ctrl-C and SIGTERM are the ordinary end."""
    try:
        with no_child_left(), stop_on_signals() as stopping:
            return run(stopping)
    except Stopped as stopped:
        _say(f"stopped by {stopped}")
        return 0


def _run_pair(pair: Pair, layout: str, engine_name: str, ready_timeout_s: float, stopping: Stopping) -> int:
    what = f"run {pair.source}"
    with open_engine(engine_name, what, _say, published=True) as engine:
        prepared = engine.prepare(pair, layout)
        for notice in (*pair.notices, *prepared.notices):
            _say(f"note: {notice}")
        with prepared.start(what, _line) as running:
            door = door_of(pair, layout)
            ready_s = wait_ready(running, what, ready_timeout_s, door)
            _say(f"layout {layout} is up after {ready_s:.2f} s: {door.url}")
            return _watch(running, what, stopping)


def _watch(running: Running, what: str, stopping: Stopping) -> int:
    """Until a signal, or the end of a program; that ends it with the program's exit code."""
    while not (lost := running.lost()):
        stopping.check()
        time.sleep(LOOK_S)
    if lost[1]:
        raise Failure(what, running.explain_loss(*lost), exit_code=lost[1])
    return 0


def _divide(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    """What stands before `--`, whether there is one, and what stands behind."""
    if "--" not in arguments:
        return arguments, False, []
    at = arguments.index("--")
    return arguments[:at], True, arguments[at + 1 :]


def _run_command(command: list[str], options: list[str], stopping: Stopping) -> int:
    """The caller's environment is the container's; whoever types can mend what a container is only warned of."""
    environ, entry = decode(command_environment(options)), own_entry(sys.argv[0])
    _, findings = prepare(command, environ, PairRecord(), entry)
    refuse(findings, (*REFUSING, "S2"))
    container = Process("shared", (str(entry), "enter", "--", *command), environ, Path.cwd())
    planned = Plan("shared", (container,), port=0, ports={}, ready=None)
    what = "run the command"
    with PreparedProcesses(planned, command_grace_s(environ)).start(what, _line) as running:
        return _watch(running, what, stopping)


def command_grace_s(environ: Mapping[str, str]) -> float:
    """How long `pillion enter` may take to stop: its own deadline, which a setting may have lengthened, and a bit."""
    return read_supervision(environ, PairRecord().deadline_s).deadline_s + DEADLINE_MARGIN_S


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
