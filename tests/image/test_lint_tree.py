"""YAML with places: right lines and columns, no traceback and no quoted secret for what is broken, bounded work."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pillion.image.environ.lint.program import Place
from pillion.image.lint import tree
from pillion.image.lint.tree import Unreadable, Value, read_documents, read_text

# A machine that is busy is no slow test.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plain(value: Value) -> object:
    """The value without places."""
    if isinstance(value.content, dict):
        return {key: plain(child) for key, child, _ in value.fields()}
    if isinstance(value.content, list):
        return [plain(child) for child in value.entries()]
    return value.content


def test_values_keys_and_entries_know_where_they_stand() -> None:
    """Line and column from 1, of several documents."""
    first, second = read_documents("a:\n  - {b: c}\n  - d\n---\n'x y': z\n", "f")
    entries = first["a"].entries()
    assert entries[0]["b"].place == Place("f", 2, 9)
    assert entries[0].keys["b"] == Place("f", 2, 6)
    assert entries[1].place == Place("f", 3, 5)
    assert [place for _, _, place in second.fields()] == [Place("f", 5, 1)]


def test_what_is_not_there_is_empty_and_no_error() -> None:
    """Of any type, at any depth."""
    (document,) = read_documents("a: [1]\nb:\n", "f")
    assert not document["a"]["b"]["c"].given and not document["b"].given
    assert document["a"].text() == "" and document["a"]["x"].entries() == [] and list(document["a"].fields()) == []


def test_numbers_and_words_for_truth_are_told_from_texts() -> None:
    """Only what is written without quotes, as YAML 1.1 has it."""
    text = 'a: [1, 0x1f, 1.5, yes, "1", word, 1.2.3, !!str 1]'
    assert [each.number() for each in read_documents(text, "f")[0]["a"].entries()] == [True] * 4 + [False] * 4


def test_merge_keys_and_anchors() -> None:
    """Own keys win, then earlier mappings; an alias is the anchor's value with the anchor's place."""
    text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nx:\n  <<: [*base, *more]\n  a: own\ny: *base\n"
    (document,) = read_documents(text, "f")
    assert plain(document["x"]) == {"a": "own", "b": "2", "c": "4"}
    assert document["y"]["a"].place.line == 1


def test_a_key_that_is_given_twice_is_kept_and_told() -> None:
    """The later one counts, as for kubectl; Kubernetes' own strict decoding refuses it."""
    (document,) = read_documents("a: 1\nb: 2\na: 3\n", "f")
    assert document["a"].text() == "3" and document.doubles == [("a", Place("f", 3, 1))]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: [b", 2, "not YAML"),
        ("\ta: b", 1, "not YAML"),
        ("a: b\n\tc: d\n", 2, "not YAML"),
        ("a: b\x01", 1, "control character"),
        ("a: &x [*x]", 1, "no anchor before it"),
        ("a: *none", 1, "no anchor"),
        ("? [a]\n: b", 1, "a key is no text"),
        ("a: {{ .Values.x }}", 1, "render the template first"),
        ("[" * 500, 1, "nests deeper"),
        ("a:\n  <<: [1]\n", 3, "merges what is no mapping"),
    ],
)
def test_what_is_broken_is_told_with_its_line(text: str, line: int, says: str) -> None:
    """And the mend, where there is one."""
    with pytest.raises(Unreadable, match=says) as caught:
        read_documents(text, "f")
    assert caught.value.place.line == line and caught.value.place.column > 0


def test_an_error_quotes_nothing_of_the_file() -> None:
    """An unquoted password may look like an alias, a tag or an anchor."""
    for text in (
        "a: *hunter2!x",
        "a: !hunter2{",
        "a: &hunter2",
        "a: @hunter2",
        "'hunter2",
        "%hunter2 x\n---",
        "a: hunter2: b",
    ):
        try:
            read_documents(text, "f")
        except Unreadable as unreadable:
            assert "hunter2" not in str(unreadable)


def test_aliases_that_explode_do_not() -> None:
    """A billion laughs are some tens of values; merge keys that copy each other end at the limit."""
    laughs = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    assert len(read_documents(laughs, "f")) == 1
    merges = "a0: &a0 {x0: y}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, x{n}: y}}\n" for n in range(1, 5000))
    with pytest.raises(Unreadable, match="values"):
        read_documents(merges, "f")


def test_files_are_bounded_and_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte order mark is no part of the text; the place of a byte that is no UTF-8; what is too large is not read."""
    file = tmp_path / "f"
    file.write_bytes(b"\xef\xbb\xbfa: b")
    assert read_text(file, "f") == "a: b"
    file.write_bytes(b"a: b\nc: \xff")
    with pytest.raises(Unreadable, match="UTF-8") as caught:
        read_text(file, "f")
    assert caught.value.place == Place("f", 2, 4)
    monkeypatch.setattr(tree, "MAX_BYTES", 1 << 20)
    with file.open("wb") as sparse:
        sparse.truncate(100 << 20)
    with pytest.raises(Unreadable, match="larger than 1 MiB"):
        read_text(file, "f")
    with pytest.raises(Unreadable, match="no such file"):
        read_text(tmp_path / "absent", "absent")


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=8)
DOCUMENTS = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=12
)


@UNHURRIED
@given(DOCUMENTS)
def test_it_reads_what_was_written(document: object) -> None:
    """Whatever PyYAML writes in quotes comes back."""
    text = yaml.safe_dump(document, default_style='"', allow_unicode=True)
    documents = read_documents(text, "f")
    assert [plain(each) for each in documents] == [document]


@UNHURRIED
@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text("[]{}:,-&*!|>'\"%@?# \n\tab<<", max_size=60))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    """It is read or refused."""
    try:
        read_documents(text, "f")
    except Unreadable as unreadable:
        assert str(unreadable)
