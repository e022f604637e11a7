"""Who passes what: the scenarios of supervision against Pillion, supervisor alone, s6 and tini with a shell wrapper.

    python -m benchmarks.scoreboard [--only S3,S8] [--peer Pillion]

Each peer is the first process of a process namespace of its own, and has the same two programs: the tests' backend and
Pillion's proxy, so that what differs is the supervision. Where the proxy has a part in a pass that is marked (*). How
each peer is configured, and why, stands at the top of its module in benchmarks/scoreboard/peers. Needs root.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.rounds import arguments, keep, report, table
from benchmarks.scoreboard.board import NOT_PUT, PASS, PEERS, SCENARIOS, Outcome, play_all
from benchmarks.scoreboard.pair import Peer
from benchmarks.scoreboard.stage import Scenario, cannot_contain, scatter_ports


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", rounds=None)
    parser.add_argument("--only", metavar="S1,S2", help="these scenarios alone")
    parser.add_argument("--peer", action="append", metavar="NAME", help="this peer alone; may be given again")
    parser.add_argument("--markdown", action="store_true", help="the table as docs/supervision.md has it")
    parser.add_argument("--at-once", type=int, default=3, metavar="N", help="containers side by side (%(default)s)")
    given = parser.parse_args()
    if why := cannot_contain():
        parser.error(f"no process namespace can be made here: {why}")
    asked = given.only.split(",") if given.only else [each.number for each in SCENARIOS]
    scenarios = [each for each in SCENARIOS if each.number in asked]
    peers = [peer for peer in PEERS if not given.peer or peer.NAME in given.peer]
    if not peers or len(scenarios) < len(set(asked)):
        known = [each.number for each in SCENARIOS]
        parser.error(f"scenarios are {', '.join(known)}; peers are {', '.join(peer.NAME for peer in PEERS)}")
    absent = {peer.NAME: why for peer in peers if (why := peer.missing())}
    peers = [peer for peer in peers if peer.NAME not in absent]
    scatter_ports()
    began = time.monotonic()
    found = play_all(scenarios, peers, given.at_once, _told)
    versions = {peer.NAME: peer.version() for peer in peers}
    document = {
        **report("Scoreboard", {}, [], versions),
        "seconds": round(time.monotonic() - began, 1),
        "scenarios": {
            each.number: {
                "must": each.must,
                "by_proxy": each.by_proxy,
                "outcomes": {name: outcome._asdict() for name, outcome in found[each.number].items()},
            }
            for each in scenarios
        },
        "not_put": NOT_PUT,
        "absent": absent,
    }
    _show(document, [peer.NAME for peer in peers], table_in_markdown if given.markdown else table)
    keep(document, given, "scoreboard")
    return 0


def _told(scenario: Scenario, peer: Peer, outcome: Outcome) -> None:
    print(
        f"{scenario.number}: {peer.NAME}: {outcome.verdict} ({outcome.seconds:.1f} s) {outcome.why}",
        file=sys.stderr,
        flush=True,
    )


def table_in_markdown(rows: Sequence[Sequence[str]]) -> None:
    """As benchmarks.rounds.table."""
    head, *others = rows
    print()
    for row in (head, ["---"] * len(head), *others):
        print(f"| {' | '.join(row)} |")


def _show(document: Mapping[str, Any], peers: list[str], as_table: Callable[[Sequence[Sequence[str]]], None]) -> None:
    print("\nScoreboard")
    for name, version in document["about"].items():
        print(f"  {name}: {version}")
    rows = [["", *peers]]
    passed: Counter[str] = Counter()
    reasons = []
    for number, each in document["scenarios"].items():
        cells = []
        for peer in peers:
            verdict, why = (each["outcomes"][peer][key] for key in ("verdict", "why"))
            passed[peer] += verdict == PASS
            cells.append(verdict + (" *" if verdict == PASS and each["by_proxy"] else ""))
            if why:
                reasons.append(f"{number:<4} {peer}: {verdict}: {why}")
        rows.append([f"{number:<4} {each['must']}", *cells])
    rows.append([f"passed, of {len(document['scenarios'])}", *(str(passed[peer]) for peer in peers)])
    as_table(rows)
    print("\n  * with the proxy's part, which is the same for all")
    for reason in reasons:
        print(f"  {reason}")
    for number, why in document["not_put"].items():
        print(f"  {number:<4} not put to any: {why}")
    for peer, why in document["absent"].items():
        print(f"  {peer}: not run: {why}")
    for note in document["notes"]:
        print(f"  {note}")
    print(f"  {document['seconds']:g} s in all")


if __name__ == "__main__":
    sys.exit(main())
