"""Request ids and trace contexts: every request can be found again, in the logs of all who had to do with it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from pillion.proxy.concerns.edits import NO_EDITS, Edits, canonical
from pillion.proxy.concerns.passage import Asked, Concern, Passage

# What can be searched for, stands in any log unescaped and is no novel.
_GOOD_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._~+/=:@\-]{0,127}")
# https://www.w3.org/TR/trace-context/#traceparent-header; a later version may have more behind its flags.
_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_TRACE_FIELDS = frozenset((b"traceparent", b"tracestate"))
_SAMPLED = b"01"  # "not sampled" would have the backend record nothing


class Correlation(Concern):
    """The client's id if it is a good one, else a new one: to the backend and back to the client.

    A traceparent goes through as it came, or is made where there is none; then the new request's id is that trace's.
    """

    def __init__(self, field: bytes, traceparent: bool, random: Callable[[int], bytes] = os.urandom) -> None:
        """`field` carries the id, b"" for none."""
        self._field = field
        self._name = field.lower()
        self._drop = frozenset((canonical(field),))
        self._traceparent = traceparent
        self._random = random

    def request(self, passage: Passage) -> Edits:
        edits, trace = self._trace(passage.asked) if self._traceparent else (NO_EDITS, b"")
        if not self._field:
            return edits
        given = passage.asked.values(self._name)
        if len(given) == 1 and _GOOD_ID.fullmatch(given[0]) is not None:
            passage.request_id = given[0]
        else:
            passage.request_id = trace or self._new(16)
        return edits.then(Edits(self._drop, ((self._field, passage.request_id),)))

    def response(self, passage: Passage, status: int) -> Edits:
        return Edits(self._drop, ((self._field, passage.request_id),)) if self._field else NO_EDITS

    def _trace(self, asked: Asked) -> tuple[Edits, bytes]:
        """What changes, and the trace's id. Without a good traceparent, a tracestate belongs to nothing."""
        given = asked.values(b"traceparent")
        found = _TRACEPARENT.fullmatch(given[0]) if len(given) == 1 else None
        if found is not None and (found[1] != b"00" or found[3] is None):
            return NO_EDITS, found[2]
        trace = self._new(16)
        made = b"-".join((b"00", trace, self._new(8), _SAMPLED))
        return Edits(_TRACE_FIELDS, ((b"traceparent", made),)), trace

    def _new(self, size: int) -> bytes:
        """An id of so many bytes, in hexadecimal."""
        return self._random(size).hex().encode("ascii")
