"""`pillion env explain NAME [PAIR]`: who sees what, from where, and why; never a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pillion.cli.arguments import Arguments
from pillion.cli.pair import add_pair, here, read_pair
from pillion.compare.layouts import Place, plan
from pillion.image.account import own_identity
from pillion.image.enter import command_environment
from pillion.image.environ.explain import Explanation, View, explain
from pillion.image.environ.names import Namespaces, address, decode
from pillion.image.environ.split import Facts, Split, split
from pillion.image.pair import RECORD_VARIABLE, Pair, PairRecord, read_record
from pillion.image.refusal import Refusal
from pillion.image.sidecar import read_sidecar

HELP = """usage: pillion env explain NAME [PAIR]

Who sees which environment variable.
example: pillion env explain PORT pod.yaml
"""


def main(arguments: list[str]) -> int:
    """`explain` is the only one there is so far."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(HELP)
        return 0
    if arguments[:1] != ["explain"]:
        said = repr(arguments[0]) if arguments else "nothing"
        raise Refusal("run pillion env", f"it takes explain and was given {said}", "see pillion env --help")
    given = _explain_parser().parse_args(arguments[1:])
    place = here()
    pair = read_pair(given) if given.pair else None
    divided = _split_pair(pair, place) if pair else _split_caller(decode(command_environment()), place)
    target = address(given.name, Namespaces())
    name = target.name if target and target.name else given.name
    explanation = explain(name, divided, _fields(pair) if pair else {})
    if given.json:
        print(json.dumps(_document(explanation), indent=1))
    else:
        _show(explanation, pair.source if pair else "this environment")
    return 0


def _explain_parser() -> Arguments:
    parser = Arguments(
        "env explain",
        "One variable in one container for both: who sees it, from where, and why; never its value.",
        "pillion env explain PORT pod.yaml",
    )
    parser.add_argument("name", metavar="NAME", help="as a program sees it, or with its namespace")
    add_pair(parser, optional=True)
    parser.add_argument("--json", action="store_true")
    return parser


def _split_pair(pair: Pair, place: Place) -> Split:
    """As `pillion enter` will do it in layout shared."""
    shared = plan(pair, "shared", place).processes[0]
    return _split(dict(shared.environ), read_record(shared.environ[RECORD_VARIABLE]), place)


def _split_caller(environ: Mapping[str, str], place: Place) -> Split:
    """As `pillion run -- CMD` would do it from here."""
    return _split(environ, PairRecord(), place)


def _split(environ: Mapping[str, str], record: PairRecord, place: Place) -> Split:
    who = own_identity()
    return split(environ, record, Facts(who, who, who, place.path), lambda path: Path(path).read_bytes())


def _fields(pair: Pair) -> dict[str, dict[str, str]]:
    """Where in the file each program's variables stand."""
    return {"proxy": dict(read_sidecar(pair.proxy).fields), "backend": dict(pair.backend.env_fields)}


def _document(explanation: Explanation) -> dict[str, object]:
    return {
        "name": explanation.name,
        "severity": explanation.known.severity,
        "merged": explanation.known.happens,
        "programs": {view.program: {**view._asdict()} for view in explanation.views},
    }


def _show(explanation: Explanation, where: str) -> None:
    console = Console(highlight=False)
    console.print(Text.assemble((explanation.name, "bold"), f" in {where}, both programs in one container"))
    for view in explanation.views:
        console.print(_line(view), soft_wrap=True)
    known = explanation.known
    source = "" if known.seen_in == "derived" else f" (seen in {known.seen_in})"
    console.print(
        Text(f"  Seen by both, it would be {known.severity}: {known.happens}{source}.", style="dim"), soft_wrap=True
    )


def _line(view: View) -> Text:
    if not view.sees:
        return Text.assemble("  ", (f"{view.program:8}", "bold"), ("does not see it", "yellow"), f": {view.why}")
    origin = f"from {view.field or view.origin}" if view.origin else "computed"
    length = f"{view.length} character" + ("" if view.length == 1 else "s")
    return Text.assemble(
        "  ", (f"{view.program:8}", "bold"), ("sees it", "green"), f" {origin}: {view.why} [{view.layer}, {length}]"
    )
