"""A comparison for a pull request: verdicts, one table, intervals; the rest folded (pure, from the document alone)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import join
from typing import Any

from pillion.compare.decision import decide, decision_lines
from pillion.compare.report.measures import NONE, measures
from pillion.compare.report.trials import detected, heading, measured, restarts

Document = Mapping[str, Any]

_SPECIAL = re.compile(r"([\\`*_\[\]|#~])")


def markdown(document: Document) -> str:
    """GitHub's Markdown. Raises KeyError, TypeError, ValueError or AttributeError if it is not such a document."""
    return "\n".join(_lines(document)).rstrip() + "\n"


def _lines(document: Document) -> Iterator[str]:
    pair, decision = document["pair"], decide(document)
    yield f"### {_plain(pair['name'])}: one container or two\n"
    says = document.get("says") or {}
    about = [f"{_plain(pair['source'])} on engine {_plain(document['engine'])}", _plain(says.get("pace", ""))]
    about.append(_plain(document.get("when") or ""))
    yield ", ".join(each for each in about if each) + ".\n"
    if document.get("partial"):
        yield f"**This run is partial:** {_plain(document['partial'])}.\n"
    yield from _claims(document["claims"])
    yield from _table(document)
    found = [each for each in document["differences"] if (each["one"], each["other"]) == ("shared", "separate")]
    if found:
        yield "Shared - separate, paired by round:\n"
        yield from (f"- {_plain(each['says'])}" for each in found)
        yield ""
    yield from _experiments(document.get("experiments") or ())
    yield from _folded("Evidence for each claim", _evidence(document["claims"]))
    rest = [
        each["one"] + " - " + each["other"] + ": " + each["says"]
        for each in document["differences"]
        if each not in found
    ]
    yield from _folded("The other differences", [f"- {_plain(each)}" for each in rest])
    yield from _folded("Environment conflicts in a naive merge", _conflicts(document["conflicts"]))
    yield from _folded("Method, notes and how to repeat it", _method(document))
    yield "**What would have to matter to you**\n"
    yield _plain(decision.summary) + "\n"
    # What is the same or open between the two stands above, with its interval.
    for what, sentences in decision_lines(decision._replace(same=(), open=())):
        yield f"- {_plain(what)}"
        yield from (f"  - {_plain(each)}" for each in sentences)


def _claims(claims: Sequence[Document]) -> Iterator[str]:
    if claims:
        yield from _rows(
            ("No.", "Claim", "Verdict"),
            ((str(each["number"]), _plain(each["says"]), f"**{_plain(each['outcome'])}**") for each in claims),
        )
        yield ""


def _table(document: Document) -> Iterator[str]:
    found = measures(document)
    if not found:
        yield "Nothing was measured.\n"
        return
    compared = {"shared", "separate"} <= document["layouts"].keys()
    last = ("shared / separate",) if compared else ()
    rows = ((row.label, *row.cells, *((row.ratio,) if compared else ())) for row in found)
    yield from _rows(("", *map(_plain, document["layouts"]), *last), rows, "right")
    yield ""


def _experiments(experiments: Sequence[Document]) -> Iterator[str]:
    if experiments:
        head = ("Experiment", "Layout", "Failed", "Down", "Noticed after", "Restarts")
        rows = (
            (
                _plain(heading(each)),
                _plain(each["layout"]),
                *(
                    (
                        f"{each['failed']} of {each['asked']}",
                        f"{each['down_s']:.1f} s",
                        detected(each),
                        _plain(restarts(each)),
                    )
                    if measured(each)
                    else (NONE,) * 4
                ),
            )
            for each in experiments
        )
        yield from _rows(head, rows)
        yield ""


def _evidence(claims: Sequence[Document]) -> Iterator[str]:
    for each in claims:
        why = f" ({_plain(each['why'])})" if each["why"] else ""
        yield f"- {each['number']}, {_plain(each['name'])}: {_plain(each['outcome'])}{why}"
        yield from (f"  - {_plain(said)}" for said in each["evidence"])


def _conflicts(conflicts: Sequence[Document]) -> Iterator[str]:
    if conflicts:
        yield from _rows(
            ("Variable", "", "Merged, it would be", "In shared"),
            ([_plain(each[name]) for name in ("name", "severity", "happens", "resolution")] for each in conflicts),
        )


def _method(document: Document) -> Iterator[str]:
    says = document.get("says") or {}
    for each in (*says.get("noise", ()), says.get("method", ""), *says.get("notes", ()), *document["notices"]):
        if each:
            yield f"- {_plain(each)}"
    machine = document.get("machine") or {}
    if machine.get("processor"):
        processors = f"{_plain(machine['processor'])}, {machine['processors']} processors"
        yield f"- {processors}, kernel {_plain(machine['kernel'])}"
    for name, said in (document.get("engine_facts") or {}).items():
        yield f"- {_plain(name)} {_plain(said)}"
    if document["not_measured"]:
        yield f"- not measured on this engine: {_plain('; '.join(document['not_measured']))}"
    if document.get("command"):
        yield f"- `{join(document['command']).replace('`', '')}`"


def _folded(what: str, lines: Iterable[str]) -> Iterator[str]:
    """Nothing if there is nothing in it."""
    inside = list(lines)
    if inside:
        yield f"<details><summary>{what}</summary>\n"
        yield from inside
        yield "\n</details>\n"


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: str = "") -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join("---:" if numbers and place else "---" for place in range(len(head))) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _plain(said: object) -> str:
    """Text that means nothing to Markdown and HTML, on one line; nobody is mentioned."""
    text = " ".join(str(said).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text).replace("@", "&#64;")
