"""Dockerfile syntax: compared with a port of BuildKit's own parser, and places, which that has not."""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pillion.image.environ.lint.program import Place
from pillion.image.lint.containerfile import Stage, read_containerfile
from pillion.image.lint.dockerfile import instructions, unquoted, words
from pillion.image.lint.tree import Unreadable

needs_port = pytest.mark.skipif(sys.version_info < (3, 11), reason="e2b-dockerfile-utils needs Python 3.11")
# A machine that is busy is no slow test.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def final(text: str, target: str = "") -> Stage:
    """The last stage."""
    stage = read_containerfile(text, "D", target).final
    assert stage is not None
    return stage


def values(text: str) -> dict[str, str | None]:
    """The ENV of the last stage."""
    return {name: declaration.value for name, declaration in final(text).declared.items()}


def test_each_name_of_a_long_env_has_its_own_place() -> None:
    """Across continued lines, comments and empty lines between them."""
    text = 'FROM x\nENV A=1 \\\n  # why\n\n    B="two words" \\\nC=3\n  ENV D 4 and more\n'
    places = {name: declaration.place for name, declaration in final(text).declared.items()}
    assert places == {"A": Place("D", 2, 5), "B": Place("D", 5, 5), "C": Place("D", 6, 1), "D": Place("D", 7, 7)}
    assert values(text)["B"] == "two words" and values(text)["D"] == "4 and more"


def test_a_here_document_is_no_instruction() -> None:
    """Also two of them, quoted, with tabs; what follows is."""
    text = "FROM x\nRUN <<EOF cat <<-'END' > f\nENV A=1\nEOF\nENV B=2\n\tEND\nENV C=3\n"
    assert values(text) == {"C": "3"}
    with pytest.raises(Unreadable, match="does not end"):
        final("FROM x\nRUN <<EOF\nENV A=1\n")


def test_references_see_env_and_arg_and_not_the_same_line() -> None:
    """ENV outranks ARG; what only the builder's caller knows is unknown."""
    text = (
        "ARG BASE=y\nFROM ${BASE}\nARG V=1 W\nENV A=$V B=${A:-none} C=$W D=${C:+set} E='$A' F=\\$A\n"
        "ENV V=2\nENV G=${V}x\n"
    )
    found = values(text)
    assert found == {"A": "1", "B": "none", "C": None, "D": "", "E": "$A", "F": "$A", "V": "2", "G": "2x"}
    assert final(text).base == "y"


def test_stages_inherit_and_a_target_ends_early() -> None:
    """FROM an earlier stage takes its ENV and command; a new ENTRYPOINT drops the base's CMD, not the stage's own."""
    text = 'FROM x AS a\nENV A=1\nCMD ["c"]\nFROM a AS b\nENV B=2\nFROM scratch\nENV C=3\n'
    assert values(text) == {"C": "3"}
    assert set(final(text, "b").declared) == {"A", "B"} and final(text, "b").words == ("c",)
    assert final('FROM x AS a\nCMD ["c"]\nFROM a\nENTRYPOINT ["e"]\n').words == ("e",)
    assert final('FROM x\nCMD ["c"]\nENTRYPOINT ["e"]\n').words == ("e", "c")
    assert final("FROM x\nCMD a b\n").words == ("/bin/sh", "-c", "a b")


def test_the_escape_directive() -> None:
    """For Windows paths."""
    assert values("# escape=`\nFROM x\nENV A=C:\\dir `\n B=2\n") == {"A": "C:\\dir", "B": "2"}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("ENV A=1\n", 1, "before the first FROM"),
        ("FROM x\nENV A=1 hunter2\n", 2, "without ="),
        ("FROM x\nENV A\n", 2, "without a value"),
        ("FROM x\nhunter2 A\n", 2, "no instruction"),
        ("# escape=x\nFROM x\n", 1, "escape directive"),
        ("FROM x\nENV =hunter2\n", 2, "a name that is none"),
    ],
)
def test_what_is_broken_is_told_with_its_line_and_quotes_nothing(text: str, line: int, says: str) -> None:
    """A value may be a secret."""
    with pytest.raises(Unreadable, match=says) as caught:
        final(text)
    assert caught.value.place.line == line and "hunter2" not in str(caught.value)


WORD = st.text("ab=\\'\"$ \t#", min_size=1, max_size=10)


@needs_port
@UNHURRIED
@given(st.lists(WORD, min_size=1, max_size=4).map(" ".join))
def test_words_are_those_of_buildkit(line: str) -> None:
    """Where they are parted."""
    from e2b_dockerfile_utils import parse_words

    assert [word.raw for word in words(line, "\\")] == parse_words(line, "\\") or line.rstrip().endswith("\\")


@needs_port
@UNHURRIED
@given(st.text("ab\\'\" ", max_size=12))
def test_quotes_and_escapes_come_off_as_in_buildkit(raw: str) -> None:
    """References apart, which that port leaves as they are."""
    from e2b_dockerfile_utils import ShellLex

    try:
        expected = ShellLex("\\").process_word(raw)
    except ValueError:
        return
    assert unquoted(raw, "\\", lambda _: None) == expected


LINE = st.sampled_from(
    ["ENV A=1", "ENV B=2 \\", "  C=3", "# comment", "", "RUN x \\", " y", "RUN <<E", "E", "COPY a b", 'CMD ["a"]',
     "ENV D e f",
     "  ENV F=g", "RUN echo a<<b", "ENV H=1\\", "\\", "RUN a <<E b <<'X Y'", "USER u", "ARG Z"]
)  # fmt: skip


@needs_port
@UNHURRIED
@given(st.lists(LINE, max_size=12))
def test_instructions_are_those_of_buildkit(lines: list[str]) -> None:
    """Which, and on which line each begins; or both refuse."""
    from e2b_dockerfile_utils import DockerfileSyntaxError, parse_dockerfile_ast

    text = "FROM x\n" + "\n".join(lines)
    try:
        expected = [(each.name, each.start_line) for each in parse_dockerfile_ast(text).instructions]
    except DockerfileSyntaxError:
        return
    _, found = instructions(text, "D")
    assert [(each.keyword, each.place.line) for each in found] == expected


@UNHURRIED
@given(st.text(max_size=80) | st.lists(LINE, max_size=8).map("\n".join))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    """It is read or refused."""
    try:
        read_containerfile(text, "D")
    except Unreadable as unreadable:
        assert str(unreadable)
