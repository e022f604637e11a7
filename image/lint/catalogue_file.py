"""The user's own catalogue: further variables, who reads them and what goes wrong; its rows come before ours.

- names: [ORDERS_MODE, "ORDERS_*"]
  severity: S1
  happens: the importer starts in the mode of the server
  readers: [python]          # kinds of program that read it of themselves, or @NAME of one program
  may_read: [node]           # kinds whose applications do by convention
  seen_in: our incident 17
"""

from __future__ import annotations

from pathlib import Path

from pillion.image.environ.catalogue import Entry
from pillion.image.environ.learning import BY_NAME
from pillion.image.environ.lint.finding import SEVERITIES
from pillion.image.environ.lint.program import Place
from pillion.image.environ.readers import ANY, KINDS
from pillion.image.lint.tree import Unreadable, Value, read_documents, read_text
from pillion.image.refusal import Refusal

_FIELDS = ("names", "severity", "happens", "readers", "may_read", "seen_in")


def read_catalogue(file: str) -> tuple[Entry, ...]:
    """The rows of the file, YAML or JSON. Raises Refusal, naming the line."""
    try:
        documents = read_documents(read_text(Path(file), file), file)
        if len(documents) != 1 or not isinstance(documents[0].content, list):
            raise Unreadable(documents[0].place if documents else Place(file), "it is no list of variables")
        return tuple(_row(row) for row in documents[0].entries())
    except Unreadable as unreadable:
        place = unreadable.place
        at = f"line {place.line}: " if place.line else ""
        raise Refusal(f"read {file}", f"{at}{unreadable.why}", unreadable.mend or "see docs/env.md") from None


def _row(row: Value) -> Entry:
    for name, _, place in row.fields():
        if name not in _FIELDS:
            raise Unreadable(place, "is no field of a variable", f"one of {', '.join(_FIELDS)}")
    names = _texts(row["names"])
    if not names:
        raise Unreadable(row.place, "a variable has no names", "as in names: [ORDERS_MODE]")
    severity = row["severity"].text()
    if severity not in SEVERITIES:
        raise Unreadable(row["severity"].place, "the severity is none", f"one of {', '.join(SEVERITIES)}")
    happens = row["happens"].text()
    if not happens:
        raise Unreadable(row.place, "a variable has no happens", "say what goes wrong if two programs see it")
    kinds = [*_texts(row["readers"]), *_texts(row["may_read"])]
    for kind in kinds:
        if kind not in KINDS and kind != ANY and not (kind.startswith(BY_NAME) and len(kind) > 1):
            mend = f"of {ANY}, {', '.join(KINDS)}, or {BY_NAME}NAME for the program of that name"
            raise Unreadable(row.place, "a reader is no kind of program", mend)
    return Entry(
        names,
        severity,
        happens,
        row["seen_in"].text() or "your catalogue",
        _texts(row["readers"]),
        _texts(row["may_read"]),
    )


def _texts(field: Value) -> tuple[str, ...]:
    return tuple(entry.text() for entry in field.entries() if entry.text())
