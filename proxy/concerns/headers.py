"""Header rules: fields that are set, added or removed in every request or every response."""

from __future__ import annotations

import re

from pillion.proxy.concerns.edits import NO_EDITS, Edits, canonical, replaced
from pillion.proxy.concerns.passage import Concern, Passage

_RULE = re.compile(
    r"(set|add)\s+([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~]*)|remove\s+([!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
)
# These say where a message goes, how long it is and what becomes of its connection.
_STEERING = frozenset(
    (b"connection", b"content-length", b"expect", b"host", b"http2-settings", b"keep-alive", b"max-forwards",
     b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"via")
)  # fmt: skip


class HeaderRules(Concern):
    """The same edits for all."""

    def __init__(self, request: Edits, response: Edits) -> None:
        self._request = request
        self._response = response

    def request(self, passage: Passage) -> Edits:
        return self._request

    def response(self, passage: Passage, status: int) -> Edits:
        return self._response


def header_rules(text: str) -> Edits:
    """The rules `set NAME: VALUE`, `add NAME: VALUE` and `remove NAME`, one a line, or on one line with ` | ` between.

    Raises ValueError. Nothing of a value is in it, since a value may be secret.
    """
    edits = NO_EDITS
    lines = text.splitlines() if len(text.splitlines()) > 1 else text.split(" | ")
    for number, line in enumerate((line.strip() for line in lines), 1):
        rule = _RULE.fullmatch(line)
        if rule is None and line:
            raise ValueError(f"rule {number} is none; write set NAME: VALUE, add NAME: VALUE or remove NAME")
        if rule is None:
            continue
        name = field_name(rule[2] or rule[4])
        if rule[1] == "add":
            edits = edits.then(Edits(add=((name, rule[3].encode("ascii")),)))
        elif rule[1] == "set":
            edits = edits.then(replaced(name, rule[3].encode("ascii")))
        else:
            edits = edits.then(Edits(drop=frozenset((canonical(name),))))
    return edits


def field_name(text: str) -> bytes:
    """The name of a field that may be changed. Raises ValueError."""
    if re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", text) is None:
        raise ValueError(f"{text!r} is no name of a field; write it as X-Request-ID")
    name = text.encode("ascii")
    if canonical(name) in _STEERING:
        raise ValueError(f"{text} is not to be changed: it decides about the message or its connection; take another")
    return name
