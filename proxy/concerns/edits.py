"""What is to be changed in a head, as a value: so that what follows from it can be remembered, and two be made one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pillion.proxy.head import Field


class Edits(NamedTuple):
    """First the fields of these names are left out, then these are put behind the others.

    `drop` is in lower case and with hyphens; a field goes in whichever spelling it came, since one with underscores
    reaches a WSGI, CGI or PHP backend under the same name.
    """

    drop: frozenset[bytes] = frozenset()
    add: tuple[Field, ...] = ()

    def then(self, later: Edits) -> Edits:
        """These, and on their result the later ones."""
        if self is NO_EDITS or later is NO_EDITS:
            return later if self is NO_EDITS else self
        return Edits(self.drop | later.drop, (*later.keep(self.add), *later.add))

    def keep(self, fields: Iterable[Field]) -> list[Field]:
        """The fields that are not left out."""
        drop = self.drop
        return [field for field in fields if canonical(field[0]) not in drop] if drop else list(fields)

    def apply(self, fields: Iterable[Field]) -> list[Field]:
        """The fields as they become."""
        return [*self.keep(fields), *self.add]


NO_EDITS = Edits()


def replaced(name: bytes, value: bytes) -> Edits:
    """One field of that name, whatever was there."""
    return Edits(frozenset((canonical(name),)), ((name, value),))


def canonical(name: bytes) -> bytes:
    """The spelling that stands for all that mean the same to some backend."""
    return name.lower().replace(b"_", b"-")
