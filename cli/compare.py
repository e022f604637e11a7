"""`pillion compare PAIR`: the main job."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pillion.cli.arguments import Arguments, positive, rounds, writable_file
from pillion.cli.pair import add_pair, here, read_pair
from pillion.cli.signals import stop_on_signals
from pillion.compare.comparison import compare, share_out
from pillion.compare.engines import process
from pillion.compare.layouts import LAYOUTS
from pillion.compare.report.document import document
from pillion.compare.report.table import report
from pillion.compare.result import Schedule
from pillion.image.orphans import no_child_left
from pillion.image.pair import Pair
from pillion.image.refusal import Failure, Refusal

QUICK = Schedule(rounds=2, rate=200.0, warmup_s=0.5, duration_s=1.5)
PATH_ANNOTATION = "pillion.dev/load-path"
STEPS = {"start": "starting", "load": "under load", "stop": "stopping"}


def main(arguments: list[str]) -> int:
    """Run, show, write; 0 when it ran, conflicts or not."""
    parser = Arguments("compare", "Run the pair in every layout, measure each, and report.", "pillion compare pod.yaml")
    add_pair(parser)
    default = Schedule()
    parser.add_argument("--layout", default=",".join(LAYOUTS), metavar="L[,L]", help="default: %(default)s")
    parser.add_argument("--engine", default=process.NAME, choices=[process.NAME], help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="under 30 seconds: a look, not a measurement")
    parser.add_argument("--json", type=writable_file, metavar="FILE", help="also write everything, raw rounds included")
    parser.add_argument("--method", default=default.method, help="of the request that is sent (%(default)s)")
    parser.add_argument("--path", help=f"of that request (the pod's annotation {PATH_ANNOTATION}, else its probe's)")
    parser.add_argument("--rate", type=positive, metavar="N", help=f"requests per second ({default.rate:g})")
    parser.add_argument("--duration", type=positive, metavar="S", help=f"seconds a round ({default.duration_s:g})")
    parser.add_argument("--rounds", type=rounds, metavar="N", help=f"times each layout ({default.rounds})")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which layouts take turns")
    parser.add_argument("--ready-timeout", type=positive, default=default.ready_timeout_s, metavar="S")
    parser.add_argument("--logs", action="store_true", help="show what the programs write, on stderr")
    given = parser.parse_args(arguments)

    pair = read_pair(given)
    layouts = _layouts(given.layout)
    base = QUICK if given.quick else default
    schedule = base._replace(
        rounds=given.rounds or base.rounds,
        rate=given.rate or base.rate,
        duration_s=given.duration or base.duration_s,
        ready_timeout_s=given.ready_timeout,
        method=given.method.upper(),
        path=given.path or _load_path(pair),
        seed=given.seed,
    )
    console = Console(highlight=False)
    errors = Console(stderr=True, highlight=False)

    with (
        no_child_left(),
        stop_on_signals() as stopping,
        _progress(errors, len(layouts) * schedule.rounds) as progress,
    ):
        task = progress.tasks[0].id

        def step(turn: int, layout: str, what: str) -> None:
            stopping.check()
            progress.update(task, description=f"round {turn + 1}: {layout} {STEPS[what]}", advance=what == "stop")
            progress.refresh()

        def line(program: str, _: str, text: str) -> None:
            if given.logs:
                errors.print(f"{program:7} | {text}", markup=False)

        comparison = compare(pair, layouts, here(), schedule, share_out(os.sched_getaffinity(0)), step, line)

    for notice in comparison.notices:
        errors.print(f"note: {notice}", style="dim", markup=False)
    console.print(report(comparison))
    if given.json:
        _write(given.json, document(comparison))
        console.print(f"\nWritten: {given.json}", markup=False)
    return 0


def _layouts(text: str) -> list[str]:
    layouts = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in layouts if name not in LAYOUTS]
    if unknown or not layouts or len(set(layouts)) < len(layouts):
        why = f"--layout {text} is not a list of different layouts of engine {process.NAME}"
        raise Refusal("compare", why, f"choose from {','.join(LAYOUTS)}")
    return layouts


def _load_path(pair: Pair) -> str:
    probe = pair.backend.readiness
    return pair.annotations.get(PATH_ANNOTATION) or (probe.path if probe and probe.kind == "http" else "/")


def _progress(console: Console, total: int) -> Progress:
    # Refreshed by hand: a thread of its own would run while layouts are forked.
    progress = Progress(
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        auto_refresh=False,
        transient=True,
    )
    progress.add_task("", total=total)
    return progress


def _write(path: Path, everything: dict[str, Any]) -> None:
    """Beside, then renamed: never half a file. A device or a pipe is written to, and a link followed."""
    text = json.dumps(everything, indent=1) + "\n"
    target = path.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.exists() and not target.is_file():
            target.write_text(text)
        else:
            beside.write_text(text)
            beside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise Failure(f"write {path}", error.strerror or str(error), "choose another file") from error
