"""`pillion compare PAIR`: the main job."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pillion.cli.arguments import Arguments, positive, writable_file
from pillion.cli.claims import add_claims, gathered, wanted_claims
from pillion.cli.engine import add_engine, open_engine
from pillion.cli.experiments import add_experiments, experimented
from pillion.cli.load import header, rounds, weighted_request, whole
from pillion.cli.pages import add_pages, as_asked, write_pages
from pillion.cli.pair import add_pair, read_pair
from pillion.cli.signals import stop_on_signals
from pillion.compare.comparison import compare, share_out, why_partial
from pillion.compare.decision import decide
from pillion.compare.experiments.all import choose, plan_experiments
from pillion.compare.experiments.outcome import Outcome
from pillion.compare.layouts import COMPARED, comparable
from pillion.compare.load.schedule import ARRIVALS
from pillion.compare.report.document import document
from pillion.compare.report.since import Changes, Old, change_lines, changes, read_old
from pillion.compare.report.table import report
from pillion.compare.result import MIB, Margins, Schedule
from pillion.image.orphans import no_child_left
from pillion.image.pair import Pair
from pillion.image.refusal import Refusal

QUICK = Schedule(rounds=2, rate=200.0, warmup_s=0.5, duration_s=1.5)
PATH_ANNOTATION = "pillion.dev/load-path"
STEPS = {"start": "starting", "load": "under load", "stop": "stopping"}


def main(arguments: list[str]) -> int:
    """Run, show, write; 0 when all of it ran, conflicts or not, and 1 when only a part of it was measured."""
    parser = Arguments("compare", "Run the pair in every layout, measure each, and report.", "pillion compare pod.yaml")
    add_pair(parser)
    default = Schedule()
    all_of_them = f"default: {','.join(COMPARED)}, as far as the pair can"
    parser.add_argument("--layout", metavar="L[,L]", help=all_of_them)
    add_engine(parser)
    parser.add_argument("--quick", action="store_true", help="under 30 seconds: a look, not a measurement")
    parser.add_argument("--against", type=Path, metavar="OLD.json", help="say what changed since the run that wrote it")
    parser.add_argument("--json", type=writable_file, metavar="FILE", help="also write everything, raw rounds included")
    add_pages(parser)
    parser.add_argument("--method", default=default.method, help="of the request that is sent (%(default)s)")
    parser.add_argument("--path", help=f"of that request (the pod's annotation {PATH_ANNOTATION}, else its probe's)")
    parser.add_argument(
        "--request",
        action="append",
        type=weighted_request,
        metavar="'WEIGHT METHOD PATH [BODY]'",
        help="one kind of request in a mix; repeat it for each (instead of --method and --path)",
    )
    parser.add_argument(
        "--header", action="append", type=header, default=[], metavar="NAME:VALUE", help="of each request"
    )
    parser.add_argument("--arrivals", choices=tuple(ARRIVALS), default=default.arrivals, help="when (%(default)s)")
    parser.add_argument("--connections", type=whole, metavar="N", help=f"at most ({default.connections})")
    parser.add_argument("--no-keep-alive", action="store_true", help="a connection for every request")
    parser.add_argument(
        "--closed-loop", type=whole, metavar="CONNECTIONS", help="no rate: each sends as soon as it is answered"
    )
    parser.add_argument("--rate", type=positive, metavar="N", help=f"requests per second ({default.rate:g})")
    parser.add_argument("--duration", type=positive, metavar="S", help=f"seconds a round ({default.duration_s:g})")
    parser.add_argument("--warm-up", type=positive, metavar="S", help=f"seconds before, dropped ({default.warmup_s:g})")
    parser.add_argument("--rounds", type=rounds, metavar="N", help=f"times each layout ({default.rounds})")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which layouts take turns")
    margin = Margins()
    parser.add_argument(
        "--margin-latency",
        type=positive,
        default=margin.latency_us,
        metavar="US",
        help=f"below which latencies are the same, if {margin.latency_share:.0%}% of them is not more (%(default)g)",
    )
    parser.add_argument(
        "--margin-memory",
        type=positive,
        default=margin.memory_bytes / MIB,
        metavar="MIB",
        help="below which memory is the same (%(default)g)",
    )
    parser.add_argument("--ready-timeout", type=positive, default=default.ready_timeout_s, metavar="S")
    add_experiments(parser)
    add_claims(parser)
    parser.add_argument("--logs", action="store_true", help="show what the programs write, on stderr")
    given = parser.parse_args(arguments)

    experiments = choose(given.experiments) if given.experiments else []
    wanted = wanted_claims(given)
    pair = read_pair(given)
    old = _read_old(given.against) if given.against else None
    layouts, left_out = (_layouts(given.layout), ()) if given.layout is not None else comparable(pair)
    base = QUICK if given.quick else default
    schedule = base._replace(
        rounds=given.rounds or base.rounds,
        rate=given.rate or base.rate,
        duration_s=given.duration or base.duration_s,
        warmup_s=given.warm_up or base.warmup_s,
        ready_timeout_s=given.ready_timeout,
        method=given.method.upper(),
        path=given.path or _load_path(pair),
        seed=given.seed,
        arrivals=given.arrivals,
        connections=given.closed_loop or given.connections or base.connections,
        closed_loop=bool(given.closed_loop),
        keep_alive=not given.no_keep_alive,
        targets=tuple(given.request or ()),
        headers=tuple(given.header),
    )
    margins = margin._replace(latency_us=given.margin_latency, memory_bytes=given.margin_memory * MIB)
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
            errors.print(f"{program:7} | {text}", markup=False)

        def say(message: str) -> None:
            errors.print(message, style="dim", markup=False, soft_wrap=True)

        with open_engine(given.engine, f"compare {pair.source}", say, published=False) as engine:
            processors = share_out(os.sched_getaffinity(0))
            heard = line if given.logs else None
            comparison = compare(pair, layouts, engine, schedule, processors, step, heard, margins)
            outcomes: list[Outcome] = []
            evidence = comparison.evidence
            if not comparison.partial:
                planned = plan_experiments(experiments, pair, layouts, engine)
                try:
                    for outcome in experimented(planned, schedule, processors, progress, stopping, say):
                        outcomes.append(outcome)
                    evidence = gathered(
                        wanted, given, engine, pair, layouts, schedule, processors, progress, stopping, say
                    )
                except (Refusal, KeyboardInterrupt, OSError) as error:
                    comparison = comparison._replace(partial=f"experiments: {why_partial(error)}")
            comparison = comparison._replace(experiments=outcomes, evidence=evidence)

    comparison = comparison._replace(notices=(*left_out, *comparison.notices), command=as_asked(arguments))
    for notice in comparison.notices:
        errors.print(f"note: {notice}", style="dim", markup=False)
    written = document(comparison)
    found = changes(comparison, old) if old is not None else None
    if found is not None:
        written["against"] = {"file": str(given.against), "says": dict(change_lines(found))}
    # Before anything is printed: who reads it may stop reading.
    files, problems = write_pages(written, given)
    console.print(report(comparison, decide(written)))
    if found is not None:
        _show_changes(console, given.against, found)
    for file in files:
        console.print(f"\nWritten: {file}", markup=False, soft_wrap=True)
    for problem in problems:
        print(f"pillion: {problem}", file=sys.stderr)
    if comparison.partial:
        print(f"pillion: the comparison is partial: {comparison.partial}", file=sys.stderr)
    return 1 if problems or comparison.partial else 0


def _read_old(path: Path) -> Old:
    try:
        return read_old(path)
    except OSError as error:
        raise Refusal(f"read {path}", error.strerror or str(error), "name what --json wrote") from error
    except ValueError as error:
        raise Refusal(f"read {path}", str(error), "name what --json wrote") from error


def _show_changes(console: Console, path: Path, found: Changes) -> None:
    console.print(f"\nSince {path}", style="bold", markup=False, soft_wrap=True)
    for heading, sentences in change_lines(found):
        console.print(f" {heading}", markup=False)
        for sentence in sentences:
            console.print(f"   {sentence}", markup=False, soft_wrap=True)
    console.print(
        " Rounds of two runs are not paired: what else changed on the machine in between is in these numbers too.",
        style="dim",
        soft_wrap=True,
    )


def _layouts(text: str) -> list[str]:
    layouts = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in layouts if name not in COMPARED]
    if unknown or not layouts or len(set(layouts)) < len(layouts):
        why = f"--layout {text} is not a list of different layouts that can be compared"
        raise Refusal("compare", why, f"choose from {','.join(COMPARED)}")
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
