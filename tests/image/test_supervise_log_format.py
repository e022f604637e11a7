"""Lines of the log: what JSON mode makes of a line, and what it leaves alone."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pillion.image.log_format import json_lines, text_lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def parsed(line: bytes) -> dict[str, object]:
    """The one object that JSON mode writes for a line."""
    written = json_lines("backend", "stdout", [line])
    assert written.endswith(b"\n") and written.count(b"\n") == 1
    found = json.loads(written, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert isinstance(found, dict)
    return found


def test_text_is_prefixed_and_otherwise_untouched() -> None:
    """Whatever its bytes."""
    assert text_lines("proxy", "stderr", [b"\xff %s", b""]) == b"proxy   | \xff %s\nproxy   | \n"


@given(st.binary().filter(lambda line: b"\n" not in line))
@example(b"{")
@example(b"{}")
@example(b"[1]")
@example(b'{"a": NaN}')
@example(b'{"a": "\xff"}')
@example(b'{"a": 1} {"b": 2}')
@example(b'{"a":' * 5000)
@example(b"\xef\xbb\xbf{}")
def test_whatever_is_written_one_valid_object_comes_out(line: bytes) -> None:
    """With the three members that say when, who and where."""
    found = parsed(line)
    assert found["program"] == "backend" and found["stream"] == "stdout"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(found["ts"]))


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), st.sampled_from([None, 1]))
def test_an_object_keeps_its_own_members(own: dict[str, object], indent: int | None) -> None:
    """All of them, with ours only where there is none of that name."""
    line = json.dumps(own, separators=(",", ":") if indent else None).encode()
    found = parsed(line)
    assert {name: found[name] for name in own} == own
    assert found.keys() == own.keys() | {"ts", "program", "stream"}


def test_an_object_stays_as_it_was_written() -> None:
    """Numbers that a parser would round, duplicates, order and escapes: its bytes are passed on."""
    own = b'"n": 0.10000000000000000001, "b": "\\u00e9", "a": 1e2, "a": 2'
    assert json_lines("backend", "stdout", [b" {" + own + b"} "]).rstrip().endswith(own + b"}")
    complete = b'{"ts":1,"program":"mine","stream":"s"}'
    assert json_lines("backend", "stdout", [complete]) == complete + b"\n"


def test_bytes_that_are_no_utf8_are_shown() -> None:
    """Not dropped, and not as halves of characters that no parser takes."""
    assert parsed(b"caf\xe9 \xc3\xa9")["line"] == "caf\\xe9 é"
