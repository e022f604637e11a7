"""Heads and chunked bodies, as pure functions: whole, split anywhere, and broken."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pillion.proxy.errors import BadRequest, UpstreamMalformed
from pillion.proxy.framing import (
    ChunkedReader,
    LengthReader,
    MalformedBody,
    UntilCloseReader,
    request_framing,
    response_framing,
)
from pillion.proxy.head import parse_request_head, parse_response_head, serialise

TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
STEERING = {b"connection", b"content-length", b"expect", b"host", b"transfer-encoding", b"upgrade"}
token = st.text(TCHAR, min_size=1, max_size=12).map(str.encode)
name = token.filter(lambda text: text.lower() not in STEERING)
value = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20
).map(lambda text: text.strip(" \t").encode("latin-1"))  # fmt: skip
field_lists = st.lists(st.tuples(name, value), max_size=6)
visible = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#")
target = st.text(visible, max_size=20).map(lambda text: b"/" + text.encode())


@given(
    method=token.filter(lambda text: text != b"CONNECT"),
    target=target,
    fields=field_lists,
    minor=st.sampled_from([0, 1]),
)
def test_request_head_comes_back_as_it_went_in(method, target, fields, minor):
    """Any token as method, any target without a fragment, any fields: parsed, and serialised to the same bytes."""
    line = b"%b %b HTTP/1.%d" % (method, target, minor)
    data = serialise(line, [(b"Host", b"h"), *fields])
    head = parse_request_head(data)
    assert (head.method, head.target, head.minor, head.host) == (method, target, minor, b"h")
    assert serialise(line, [(name, value) for name, _, value in head.fields]) == data


@given(status=st.integers(100, 999), reason=value, fields=field_lists, minor=st.sampled_from([0, 1]))
def test_response_head_comes_back_as_it_went_in(status, reason, fields, minor):
    """Any status, reason and fields."""
    line = b"HTTP/1.%d %d %b" % (minor, status, reason)
    data = serialise(line, fields)
    head = parse_response_head(data)
    assert (head.status, head.reason, head.minor) == (status, reason, minor)
    assert serialise(line, [(name, value) for name, _, value in head.fields]) == data


GOOD_REQUEST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX: y\r\n\r\n"
GOOD_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\n"


@given(position=st.integers(0, len(GOOD_REQUEST) - 5), byte=st.sampled_from(b"\0\r\n\x0b\x7f\x80 \t:,;"))
def test_one_strange_byte_in_a_request_head_is_refused_or_harmless(position, byte):
    """Whatever is let through has one Host, one framing, and no control byte in any of its parts."""
    data = GOOD_REQUEST[:position] + bytes((byte,)) + GOOD_REQUEST[position:]
    try:
        head = parse_request_head(data)
        request_framing(head)
    except BadRequest:
        return
    for part in (head.method, head.target, *(piece for field in head.fields for piece in field)):
        assert not set(part) & set(b"\0\r\n\x0b\x7f")
    assert [value for _, lower, value in head.fields if lower == b"content-length"] in ([b"3"], [])


@given(st.binary(max_size=60))
@example(b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n")
@example(b"HTTP/1.1 200 O\rK\r\n\r\n")
@example(b"HTTP/1.1 200 O\nK\r\n\r\n")
def test_garbage_is_refused_and_nothing_else(noise):
    """Random bytes raise the named error, or parse to something without a bare CR, LF or NUL."""
    for parse, refusal in ((parse_request_head, BadRequest), (parse_response_head, UpstreamMalformed)):
        for data in (noise, GOOD_RESPONSE[:12] + noise + b"\r\n\r\n", GOOD_REQUEST[:10] + noise + b"\r\n\r\n"):
            try:
                head = parse(data)
            except refusal:
                continue
            reason = getattr(head, "reason", b"")
            for part in (reason, *(piece for field in head.fields for piece in field)):
                assert not set(part) & set(b"\0\r\n")


@pytest.mark.parametrize("data", [GOOD_RESPONSE, GOOD_REQUEST])
def test_half_a_head_is_refused(data):
    """The parsers take whole heads only."""
    parse, refusal = (
        (parse_response_head, UpstreamMalformed) if data is GOOD_RESPONSE else (parse_request_head, BadRequest)
    )
    for size in range(len(data) - 2):
        with pytest.raises(refusal):
            parse(data[:size])


@pytest.mark.parametrize(
    ("version", "connection", "persistent"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: Close\r\n", False),
        (b"1.1", b"Connection: x, close\r\n", False),
        (b"1.1", b"Connection: x\r\nConnection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_persistence(version, connection, persistent):
    """RFC 9112 section 9.3."""
    head = parse_request_head(b"GET / HTTP/" + version + b"\r\nHost: h\r\n" + connection + b"\r\n")
    assert head.persistent is persistent


def test_content_length_of_a_response_without_a_body_is_no_framing():
    """HEAD, 204 and 304 have no body (RFC 9112 section 6.3)."""
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
    assert response_framing(head, b"GET").length == 3
    assert response_framing(head, b"HEAD").length == 0


chunks = st.lists(st.binary(min_size=1, max_size=40), max_size=5)


def on_the_wire(parts, trailers=b"", extension=b""):
    return b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n" + trailers + b"\r\n"


def fed(reader, data, sizes):
    """Feed `data` in pieces of `sizes` (the last size again and again); what came out."""
    out = b""
    sizes = list(sizes) or [1]
    while data and not reader.complete:
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        out += reader.feed(data[:size])
        data = data[size:]
    return out, data


@given(
    parts=chunks,
    sizes=st.lists(st.integers(1, 30), max_size=8),
    extension=st.sampled_from([b"", b";a", b" ; a=b", b';a="b;\\"c"']),
    behind=st.binary(max_size=10),
)
def test_chunked_body_in_any_pieces(parts, sizes, extension, behind):
    """However it arrives, it leaves in the same chunks without extensions, or bare; what is behind it is surplus."""
    trailers = b"X-A: 1\r\n"
    data = on_the_wire(parts, trailers, extension) + behind
    for decode, expected in ((False, on_the_wire(parts, trailers)), (True, b"".join(parts))):
        reader = ChunkedReader(decode=decode)
        out, left = fed(reader, data, sizes)
        assert reader.complete
        assert out == expected
        assert reader.surplus + left == behind


@given(parts=chunks, cut=st.data())
def test_half_a_chunked_body_never_looks_whole(parts, cut):
    """Cut anywhere before its end, nothing that ends a body has been sent on, and the end is an error."""
    data = on_the_wire(parts)
    size = cut.draw(st.integers(0, len(data) - 1))
    reader = ChunkedReader()
    out = reader.feed(data[:size]) if size else b""
    assert not reader.complete
    assert not on_the_wire(parts).startswith(out) or len(out) <= len(data) - len(b"0\r\n\r\n")
    with pytest.raises(MalformedBody):
        reader.end()


@given(parts=chunks, position=st.integers(0, 200), byte=st.integers(0, 255))
def test_damaged_chunked_body_is_refused_or_consistent(parts, position, byte):
    """A flipped byte gives an error, or a body that says the same whole and byte by byte."""
    data = bytearray(on_the_wire(parts, b"X: y\r\n"))
    data[position % len(data)] = byte

    def outcome(sizes):
        reader = ChunkedReader(decode=True)
        try:
            out, left = fed(reader, bytes(data), sizes)
        except MalformedBody:
            return "refused"
        return (out, reader.surplus + left) if reader.complete else "incomplete"

    assert outcome([len(data)]) == outcome([1])


@given(length=st.integers(0, 50), data=st.binary(max_size=80), sizes=st.lists(st.integers(1, 9), max_size=5))
def test_length_reader(length, data, sizes):
    """Takes as many bytes as it was told, the rest is surplus, too few are an error."""
    reader = LengthReader(length)
    out, left = fed(reader, data, sizes)
    assert out == data[:length]
    assert reader.complete is (len(data) >= length)
    if reader.complete:
        assert reader.surplus + left == data[length:]
    else:
        with pytest.raises(MalformedBody):
            reader.end()


@given(parts=chunks)
def test_until_close_reader_makes_a_chunked_body(parts):
    """What a client of 1.1 gets for a body that ends with the connection decodes to that body."""
    made = UntilCloseReader(chunk=True)
    data = b"".join(made.feed(part) for part in parts) + made.end()
    assert ChunkedReader(decode=True).feed(data) == b"".join(parts)


HEADS = [
    b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX: y\r\n\r\n",
    b"GET http://h/a?b HTTP/1.0\r\nHost: h\r\nX-A:\t b c \t\r\nY:\r\n\r\n",
    b"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close, x\r\n\r\n",
]
damage = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from(["insert", "replace", "delete"]), st.integers(0, 255)), max_size=3
)


@given(head=st.sampled_from(HEADS), damage=damage)
@example(head=HEADS[0], damage=[(3, "replace", 9)])
@example(head=HEADS[2], damage=[(45, "insert", 11)])
def test_what_is_let_through_is_the_same_to_another_parser(head, damage):
    """Whatever damage leaves a head that we pass on, llhttp reads the same method, target and fields from it."""
    data = bytearray(head)
    for at, kind, byte in damage:
        at %= len(data)
        data[at : at + (kind != "insert")] = b"" if kind == "delete" else bytes((byte,))
    try:
        ours = parse_request_head(bytes(data))
        framing = request_framing(ours)
    except BadRequest:
        return
    theirs = Heard()
    line = b"POST %b HTTP/1.%d" % (ours.target, ours.minor)  # llhttp knows some methods only
    parser = httptools.HttpRequestParser(theirs)
    try:
        parser.feed_data(line + bytes(data)[data.index(b"\r\n") :])
    except httptools.HttpParserUpgrade:
        pass
    assert theirs.complete
    assert theirs.fields == [(name, value) for name, _, value in ours.fields]
    assert bytes(data).startswith(ours.method + b" ")
    assert framing.length in (0, *(int(value) for name, value in theirs.fields if name.lower() == b"content-length"))


class Heard:
    """What llhttp calls back."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True


@given(data=st.binary(max_size=300))
def test_the_same_bytes_always_mean_the_same(data):
    """What is remembered of a head is what reading it anew gives."""
    for head in (*HEADS, HEADS[0][:20] + data + HEADS[0][20:]):
        outcomes = []
        for _ in range(2):
            try:
                parsed = parse_request_head(head)
            except BadRequest as error:
                outcomes.append(str(error))
            else:
                outcomes.append(
                    (parsed.method, parsed.target, parsed.minor, parsed.host, parsed.fields, parsed.control)
                )
        assert outcomes[0] == outcomes[1]
