"""Whole lines out of the chunks that programs write."""

from __future__ import annotations

from collections.abc import Iterator

# A line longer than this is passed on in pieces, so that a program without newlines takes no memory without bound.
LONGEST_LINE = 256 * 1024


class Lines:
    """Takes chunks of one stream of one program and gives its complete lines, without their newlines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        yield from lines
        while len(self._rest) > LONGEST_LINE:
            yield self._rest[:LONGEST_LINE]
            self._rest = self._rest[LONGEST_LINE:]

    def last(self) -> Iterator[bytes]:
        """What is left without a newline when the stream ends."""
        rest, self._rest = self._rest, b""
        if rest:
            yield rest
