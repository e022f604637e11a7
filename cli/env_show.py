"""`pillion env show PROGRAM [PAIR]`: every variable that a program sees; never a value."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from pillion.cli.arguments import Arguments
from pillion.cli.env_split import class_of, fields_of, split_caller, split_pair
from pillion.cli.overrides import add_overrides, overrides, refuse_overrides
from pillion.cli.pair import add_pair, here, read_pair
from pillion.cli.printable import printable
from pillion.image.enter import command_environment
from pillion.image.environ.finding import refusing
from pillion.image.environ.names import decode
from pillion.image.environ.split import Split
from pillion.image.pair import PROGRAMS


def main(arguments: list[str]) -> int:
    """Show one program's environment, in one container for both: 1 if the pair would be refused for it."""
    parser = Arguments(
        "env show",
        "Every variable that one program sees in one container for both: where it is from, its class and length.",
        "pillion env show backend pod.yaml",
    )
    parser.add_argument("program", choices=PROGRAMS)
    add_pair(parser, optional=True)
    add_overrides(parser)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if given.pair:
        refuse_overrides(given, "env show")
    pair = read_pair(given) if given.pair else None
    divided = split_pair(pair, here()) if pair else split_caller(decode(command_environment(overrides(given))), here())
    rows = _rows(divided, given.program, fields_of(pair)[given.program] if pair else {})
    refused = refusing(divided.findings)
    for finding in refused:
        print(printable(f"pillion: would not start: {finding}"), file=sys.stderr)
    if given.json:
        print(json.dumps(rows, indent=1))
        return int(bool(refused))
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for column in ("name", "from", "layer", "class"):
        table.add_column(column, no_wrap=column == "name", overflow="fold")
    table.add_column("length", justify="right")
    for row in rows:
        table.add_row(*(printable(str(row[column])) for column in ("name", "from", "layer", "class", "length")))
    Console(highlight=False, markup=False).print(table)
    return int(bool(refused))


def _rows(divided: Split, program: str, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "from": (fields.get(name, "") if variable.layer == "namespaced" else "") or variable.origin or "computed",
            "layer": variable.layer,
            "class": class_of(name, variable.value),
            "length": len(variable.value),
            "why": variable.why,
        }
        for name, variable in sorted(divided.programs[program].items())
    ]
