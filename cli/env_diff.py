"""`pillion env diff LAYOUT LAYOUT PAIR`: what a program sees in the one and not, or not alike, in the other."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pillion.cli.arguments import Arguments
from pillion.cli.env_split import split_pair
from pillion.cli.pair import add_pair, here, read_pair
from pillion.compare.layouts import Place, plan
from pillion.image.pair import PROGRAMS, Pair

_LAYOUTS = ("shared", "separate")


def main(arguments: list[str]) -> int:
    """Compare the two, program by program; a difference is no failure."""
    parser = Arguments(
        "env diff",
        "What each program sees in one layout and not, or not alike, in the other; never a value.",
        "pillion env diff shared separate pod.yaml",
    )
    parser.add_argument("left", choices=_LAYOUTS)
    parser.add_argument("right", choices=_LAYOUTS)
    add_pair(parser)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    pair = read_pair(given)
    left, right = (_environments(pair, layout, here()) for layout in (given.left, given.right))
    why = {program: _reasons(pair, program) for program in PROGRAMS}
    rows = [
        {"program": program, "name": name, "difference": said, "why": why[program].get(name, "")}
        for program in PROGRAMS
        for name, said in _differences(left[program], right[program], given.left, given.right)
    ]
    if given.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        reason = f" ({row['why']})" if row["why"] else ""
        print(f"{row['program']:8} {row['name']}: {row['difference']}{reason}")
    print(f"{len(rows)} differences" if rows else "no difference")
    return 0


def _environments(pair: Pair, layout: str, place: Place) -> dict[str, Mapping[str, str]]:
    if layout == "shared":
        divided = split_pair(pair, place)
        return {program: divided.environ(program) for program in PROGRAMS}
    return {process.name: process.environ for process in plan(pair, layout, place).processes}


def _reasons(pair: Pair, program: str) -> dict[str, str]:
    """Why the split gives what it computes."""
    return {name: each.why for name, each in split_pair(pair, here()).programs[program].items() if not each.origin}


def _differences(
    left: Mapping[str, str], right: Mapping[str, str], left_name: str, right_name: str
) -> list[tuple[str, str]]:
    found = []
    for name in sorted(left.keys() | right.keys()):
        if name not in right:
            found.append((name, f"only in {left_name}"))
        elif name not in left:
            found.append((name, f"only in {right_name}"))
        elif left[name] != right[name]:
            found.append((name, f"{len(left[name])} characters in {left_name}, {len(right[name])} in {right_name}"))
    return found
