"""What a concern sees of a request, what it leaves behind, and what it is itself."""

from __future__ import annotations

from typing import NamedTuple

from pillion.proxy.concerns.edits import NO_EDITS, Edits
from pillion.proxy.head import Fields


class Asked(NamedTuple):
    """A request's head as the client sent it. `trusted` says whether its peer, at `address`, may speak for others."""

    method: bytes
    target: bytes
    fields: Fields
    address: bytes
    trusted: bool

    def values(self, name: bytes) -> list[bytes]:
        """The values of a field, given in lower case."""
        return [value for _, lower, value in self.fields if lower == name]


class Passage:
    """One request's way through the concerns, and its answer's way back."""

    __slots__ = ("asked", "edits", "request_id")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.edits: Edits = NO_EDITS  # of the request's head
        self.request_id = b""  # unless it has been given one


class Concern:
    """Something that is done for every request, knowing neither a stream nor WSGI. It is shared by all threads."""

    def request(self, passage: Passage) -> Edits:
        """What changes in the request's head. Raises Declined if it must not go on."""
        return NO_EDITS

    def response(self, passage: Passage, status: int) -> Edits:
        """What changes in the head of the final response, whoever it is from."""
        return NO_EDITS
