"""`pillion env explain NAME [PAIR]`: who sees what, from where, and why; never a value."""

from __future__ import annotations

import json

from rich.console import Console
from rich.text import Text

from pillion.cli.arguments import Arguments
from pillion.cli.env_split import fields_of, split_caller, split_pair
from pillion.cli.overrides import add_overrides, overrides, refuse_overrides
from pillion.cli.pair import add_pair, here, read_pair
from pillion.cli.printable import printable
from pillion.image.enter import command_environment
from pillion.image.environ.explain import Explanation, View, explain
from pillion.image.environ.names import Namespaces, address, decode


def main(arguments: list[str]) -> int:
    """Explain one variable."""
    given = _explain_parser().parse_args(arguments)
    place = here()
    if given.pair:
        refuse_overrides(given, "env explain")
    pair = read_pair(given) if given.pair else None
    divided = split_pair(pair, place) if pair else split_caller(decode(command_environment(overrides(given))), place)
    target = address(given.name, Namespaces())
    name = target.name if target and target.name else given.name
    explanation = explain(name, divided, fields_of(pair) if pair else {})
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
    add_overrides(parser)
    parser.add_argument("--json", action="store_true")
    return parser


def _document(explanation: Explanation) -> dict[str, object]:
    return {
        "name": explanation.name,
        "severity": explanation.known.severity,
        "merged": explanation.known.happens,
        "programs": {view.program: {**view._asdict()} for view in explanation.views},
    }


def _show(explanation: Explanation, where: str) -> None:
    console = Console(highlight=False)
    console.print(Text.assemble((printable(explanation.name), "bold"), f" in {where}, both programs in one container"))
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
    origin = f"from {printable(view.field or view.origin)}" if view.origin else "computed"
    length = f"{view.length} character" + ("" if view.length == 1 else "s")
    return Text.assemble(
        "  ", (f"{view.program:8}", "bold"), ("sees it", "green"), f" {origin}: {view.why} [{view.layer}, {length}]"
    )
