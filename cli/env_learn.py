"""`pillion env learn PAIR`: run both programs once and see which variables they read; never a value."""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pillion.cli.arguments import Arguments, positive
from pillion.cli.pair import add_pair, here, read_pair
from pillion.cli.printable import printable
from pillion.compare.engines.process import PreparedProcesses
from pillion.compare.layouts import plan
from pillion.compare.ready import wait_ready
from pillion.image.environ.learning import SURENESS, Clash, Read, catalogue_text, clashes, rows
from pillion.image.lint.sources import language, read_source
from pillion.image.lint.tree import Unreadable, read_text
from pillion.image.observe.observation import Observation, observation, observed
from pillion.image.orphans import no_child_left
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.ports import LOOPBACK
from pillion.image.refusal import Failure, Refusal
from pillion.proxy.settings import SETTINGS

_LIBRARIES = re.compile(r".*/(site-packages|dist-packages|node_modules)/")
READY_TIMEOUT_S = 30.0
REQUEST_S = 10.0
# A shorter value is part of many a word.
_SHORTEST_MASKED = 5
Reads = dict[str, dict[str, Read]]


def main(arguments: list[str]) -> int:
    """Each program in an environment of its own, as in layout separate, until it is ready and a moment more."""
    given = _parser().parse_args(arguments)
    pair = read_pair(given)
    what = f"observe {given.pair}"
    if given.output is not None and given.output.exists():
        raise Refusal(f"write {given.output}", "file exists", "name a file that is not there yet")
    planned = plan(pair, "separate", here())
    with tempfile.TemporaryDirectory(prefix="pillion-learn-") as place:
        folders = {process.name: Path(place, process.name) for process in planned.processes}
        for folder in folders.values():
            folder.mkdir()
        watched = planned._replace(
            processes=tuple(
                process._replace(environ=observed(process.environ, folders[process.name]))
                for process in planned.processes
            )
        )
        try:
            with no_child_left(), PreparedProcesses(watched, pair.grace_s).start(what, None) as running:
                wait_ready(running, what, given.ready_timeout)
                for path in given.request:
                    _ask(running.port, path)
                time.sleep(given.settle)
        except Failure as failure:
            why = _masked(failure.why, (value for each in planned.processes for value in each.environ.values()))
            raise Failure(what, why, failure.mend, failure.exit_code) from None
        seen = {name: observation(folder) for name, folder in folders.items()}
    reads: Reads = {}
    for process in sorted(planned.processes, key=lambda each: each.name != "backend"):
        own = seen[process.name]
        files = [*process.argv[:50], *(at.rpartition(":")[0] for at in own.wholes)]
        reads[process.name] = {**_scanned(files, process.cwd), **own.reads}
    if is_pillion_proxy(pair.proxy):
        declared = {row.name: Read("declared", "the proxy's settings") for row in SETTINGS}
        reads["proxy"] = {**declared, **reads["proxy"]}
    found = clashes(reads, {"backend": pair.backend.env.keys(), "proxy": pair.proxy.env.keys()})
    if given.output is not None:
        _write(given.output, catalogue_text(rows({getattr(pair, name).name: reads[name] for name in reads})))
    if given.json:
        print(json.dumps(_document(reads, seen, found), indent=1))
    else:
        _show(reads, seen, found, everything=given.all)
    return 0


def _parser() -> Arguments:
    parser = Arguments(
        "env learn",
        "Which variables the two programs read: run once here, without containers, each with its own environment.\n"
        "Python and Node programs are observed from within. Of others, and of what a program takes as a whole or\n"
        "asks for in C, the sources on the command line are scanned.",
        "pillion env learn pod.yaml --request /orders/1 -o learned.yaml",
    )
    add_pair(parser)
    parser.add_argument(
        "--request", action="append", default=[], metavar="PATH", help="ask for it once both are ready; repeatable"
    )
    parser.add_argument("--settle", type=positive, default=0.5, metavar="S", help="watch so long after that (0.5)")
    parser.add_argument("--ready-timeout", type=positive, default=READY_TIMEOUT_S, metavar="S")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="as a catalogue for env lint --catalogue")
    parser.add_argument("--all", action="store_true", help="show what only a runtime reads, too")
    parser.add_argument("--json", action="store_true")
    return parser


def _ask(port: int, path: str) -> None:
    """Whatever the answer is: what counts is what is read for it."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=REQUEST_S)
    try:
        connection.request("GET", path if path.startswith("/") else f"/{path}", headers={"Connection": "close"})
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        print(f"pillion: note: GET {path}: {error or type(error).__name__}", file=sys.stderr)
    finally:
        connection.close()


def _scanned(files: Iterable[str], folder: Path) -> dict[str, Read]:
    """What the sources say that its command line names, and those that take the whole environment."""
    found: dict[str, Read] = {}
    for name in files:
        file = folder / name
        try:
            if not file.is_file() or not (kind := language(name, "")):
                continue
            source = read_source(read_text(file, name), name, kind)
        except (OSError, ValueError, Unreadable):
            continue
        by = "library" if _LIBRARIES.search(name) else "application"
        for each, place in source.reads.items():
            found.setdefault(each, Read("scanned", str(place), by))
    return found


def _masked(text: str, values: Iterable[str]) -> str:
    """Without the values that the programs were given: a program's last line may quote them."""
    for value in sorted(set(values), key=len, reverse=True):
        if len(value) >= _SHORTEST_MASKED:
            text = text.replace(value, "***")
    return text


def _write(file: Path, text: str) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise Refusal(f"write {file}", str(error.strerror).lower(), "name a file that is not there yet") from None


def _document(reads: Reads, seen: Mapping[str, Observation], found: list[Clash]) -> dict[str, Any]:
    return {
        "version": 1,
        "programs": {
            name: {
                "observed": list(seen[name].runtimes),
                "whole": list(seen[name].wholes),
                "reads": {each: read._asdict() for each, read in sorted(reads[name].items())},
            }
            for name in reads
        },
        "clashes": [each._asdict() for each in found],
    }


def _show(reads: Reads, seen: Mapping[str, Observation], found: list[Clash], *, everything: bool) -> None:
    for name, each in reads.items():
        runtimes = seen[name].runtimes
        print(f"{name}: " + (f"observed from within {' and '.join(runtimes)}" if runtimes else "not observed"))
        shown = {one: read for one, read in each.items() if everything or read.by != "runtime"}
        for one, read in sorted(shown.items(), key=lambda item: (SURENESS.index(item[1].sure), item[0])):
            print(printable(f"  {one:24} {read.sure}: {_short(read.at)}"))
        for at in seen[name].wholes:
            print(printable(f"  {_short(at)} takes the whole environment: what it uses of that cannot be seen"))
        if not runtimes:
            print("  no Python or Node of it took the hook; what it reads is known from its sources at most")
    for clash in found if everything else [each for each in found if each.severity != "S3"]:
        who = f"{' and '.join(clash.given)} given it" if clash.given else "nothing sets it here"
        print(printable(f"{clash.severity} {clash.name}: both read it ({who}): {clash.happens}"))
    print(f"{len(found)} names are read by both" if found else "no name is read by both")
    print("Not seen: what libraries in C ask for, and what is read later or by other requests.")


def _short(at: str) -> str:
    """Without the folders that a library is in, or we are."""
    library = _LIBRARIES.search(at)
    return at[library.end() :] if library else at.removeprefix(f"{Path.cwd()}/")
