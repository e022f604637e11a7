"""The reader finds the end of every response however it is framed and however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillion.compare.load.response import MalformedResponse, ResponseReader

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + SIZED
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"
WHOLE = {SIZED: 200, CHUNKED: 201, INTERIM: 200, NO_CONTENT: 204, NOT_MODIFIED: 304}


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_responses_are_complete_at_their_last_byte(response: bytes, data: st.DataObject) -> None:
    """However the bytes are cut, complete is said once, with the last one, and the connection can be used again."""
    reader = ResponseReader("GET")
    for _ in range(2):
        cuts = sorted(data.draw(st.sets(st.integers(1, len(response) - 1), max_size=5)))
        pieces = [response[a:b] for a, b in zip([0, *cuts], [*cuts, len(response)], strict=True)]
        reader.start()
        assert not reader.begun
        assert [reader.feed(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert (reader.begun, reader.status, reader.keep_alive) == (True, WHOLE[response], True)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_connection_that_will_close_is_not_kept(response: bytes) -> None:
    """`Connection: close` and HTTP/1.0 end the connection after the response."""
    reader = ResponseReader("GET")
    assert reader.feed(response)
    assert not reader.keep_alive


@pytest.mark.parametrize(
    ("response", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nup to the end", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nup to", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\ncut", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n", False),
        (b"", False),
    ],
)
def test_end_of_the_connection_ends_only_what_has_no_length(response: bytes, whole: bool) -> None:
    """A response that is cut short is never taken for a whole one."""
    reader = ResponseReader("GET")
    assert not (response and reader.feed(response))
    assert reader.end() is whole


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_head_has_no_content(head: bytes) -> None:
    """The length in the answer to HEAD is that of the content a GET would have had."""
    reader = ResponseReader("HEAD")
    for _ in range(2):
        reader.start()
        assert reader.feed(head)
        assert reader.keep_alive


@pytest.mark.parametrize(
    "response",
    [
        SIZED + SIZED,
        SIZED + b"!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok!",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-x\r\n",
    ],
)
def test_what_is_not_one_response_is_malformed(response: bytes) -> None:
    """More than was asked for is as wrong as less."""
    with pytest.raises(MalformedResponse):
        ResponseReader("GET").feed(response)


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    """No bytes of a server can raise anything else."""
    reader = ResponseReader("GET")
    try:
        reader.feed(data)
    except MalformedResponse:
        pass
