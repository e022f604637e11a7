"""Whole lines out of chunks, and a stream that may have no reader."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from pillion.image.supervise.lines import LONGEST_LINE, Lines
from pillion.image.supervise.logs import LogStream


@given(st.lists(st.binary(max_size=20)))
def test_lines_do_not_depend_on_the_chunks(chunks: list[bytes]) -> None:
    """However the writes were cut, the same lines come out, the last one without its newline."""
    lines = Lines()
    found = [line for chunk in chunks for line in lines.feed(chunk)] + list(lines.last())
    whole = b"".join(chunks).split(b"\n")
    assert found == whole[:-1] + [whole[-1]] * bool(whole[-1])


def test_a_line_without_end_takes_bounded_memory() -> None:
    """It is passed on in pieces; nothing is lost."""
    lines = Lines()
    pieces = [piece for _ in range(10) for piece in lines.feed(b"x" * LONGEST_LINE)]
    assert b"".join([*pieces, *lines.last()]) == b"x" * LONGEST_LINE * 10
    assert max(map(len, pieces)) <= LONGEST_LINE


def test_what_nobody_reads_is_kept_and_given_later() -> None:
    """Up to where no more is taken in; writing never blocks."""
    reader, writer = os.pipe()
    stream = LogStream(writer)
    lines = b"".join(b"line %d\n" % number for number in range(200_000))
    assert not stream.congested
    stream.put(lines)
    assert stream.congested and stream.writable()
    read = b""
    while len(read) < len(lines):
        read += os.read(reader, 65536)
        stream.handle_write_event()
    assert read == lines and not stream.writable()
    for descriptor in (reader, writer):
        os.close(descriptor)
