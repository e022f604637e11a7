"""Names: namespaces are taken off once, near misses are told, the rest is nobody's business."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillion.image.environ.names import Namespaces, address, decode, distance, encode, near_miss, read_namespaces

NAMES = Namespaces()
WORDS = st.text(st.characters(codec="ascii", categories=("Lu", "Nd")), max_size=8)


@pytest.mark.parametrize(
    ("name", "program", "seen"),
    [
        ("PROXY__LISTEN", "proxy", "LISTEN"),
        ("BACKEND__AIRFLOW__CORE__X", "backend", "AIRFLOW__CORE__X"),
        ("BACKEND__BACKEND__X", "backend", "BACKEND__X"),
        ("PROXY__", "proxy", ""),
        ("BACKEND___X", "backend", "_X"),
    ],
)
def test_exactly_one_namespace_is_taken_off(name: str, program: str, seen: str) -> None:
    """`BACKEND__X` arrives as `X`, whatever X holds."""
    assert address(name, NAMES) == (program, seen)


@pytest.mark.parametrize("name", ["PORT", "PROXY_X", "Logging__LogLevel", "AIRFLOW__CORE__X", "__X", "_PROXY__X"])
def test_other_names_have_no_address(name: str) -> None:
    """Only a namespace before `__` addresses."""
    assert address(name, NAMES) is None


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("PORXY__LISTEN", "PROXY__LISTEN"),
        ("PROXIES__LISTEN", None),
        ("PROXY__", "PROXY__NAME"),
        ("proxy__listen", "PROXY__listen"),
        ("BACKENDS__X", "BACKEND__X"),
        ("BAKEND__X", "BACKEND__X"),
        ("BACKEND__X", None),
        ("AIRFLOW__CORE__X", None),
        ("Logging__LogLevel", None),
        ("__X", None),
        ("PLAIN", None),
    ],
)
def test_a_near_miss_comes_with_a_suggestion(name: str, suggestion: str | None) -> None:
    """Within an edit distance of two of a namespace, or a namespace without a name."""
    found = near_miss(name, NAMES)
    assert (found.suggestion if found else None) == suggestion


def test_namespaces_can_be_renamed() -> None:
    """For a backend that owns `BACKEND__` itself."""
    renamed = read_namespaces("proxy=SIDECAR, backend=APP")
    assert address("SIDECAR__X", renamed) == ("proxy", "X")
    assert address("BACKEND__X", renamed) is None
    assert read_namespaces("") == NAMES


@pytest.mark.parametrize("text", ["SIDECAR", "proxy=", "proxy=A__B", "other=X", "proxy=BACKEND", "proxy=A B"])
def test_namespaces_that_cannot_be_are_refused(text: str) -> None:
    """With a sentence, not with a default."""
    with pytest.raises(ValueError, match=r"."):
        read_namespaces(text)


@given(WORDS, WORDS)
def test_distance_is_a_distance(left: str, right: str) -> None:
    """Zero for equals only, symmetric, at most the longer length."""
    assert (distance(left, right) == 0) == (left == right)
    assert distance(left, right) == distance(right, left)
    assert distance(left, right) <= max(len(left), len(right))


@given(st.dictionaries(st.binary(min_size=1), st.binary()))
def test_decoding_loses_no_byte(block: dict[bytes, bytes]) -> None:
    """Bytes that are not UTF-8 come back as they were."""
    assert encode(decode(block)) == block
