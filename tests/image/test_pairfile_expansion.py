"""`$(VAR)` expansion agrees with Kubernetes' own algorithm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillion.image.pairfile.expansion import expand


def reference(text: str, env: dict[str, str]) -> str:
    """Kubernetes' scanner (third_party/forked/golang/expansion/expand.go), character by character."""
    out, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out, at = out + text[at], at + 1
        elif text[at + 1] == "$":
            out, at = out + "$", at + 2
        elif text[at + 1] == "(" and ")" in text[at + 2 :]:
            end = text.index(")", at + 2)
            name = text[at + 2 : end]
            out, at = out + env.get(name, f"$({name})"), end + 1
        else:
            out, at = out + text[at : at + 2], at + 2
    return out


@given(
    st.lists(st.sampled_from(["$", "(", ")", "A", "B", " ", "\n", "é", "$(A)", "$$(B)"])).map("".join),
    st.dictionaries(st.sampled_from(["A", "B", "", "$", "A("]), st.sampled_from(["", "1", "$(B)", "$$"])),
)
def test_expansion_agrees_with_the_reference(text: str, env: dict[str, str]) -> None:
    """Whatever the text, the result is Kubernetes'."""
    assert expand(text, env) == reference(text, env)


def test_references_that_multiply_are_bounded() -> None:
    """A result that no program could be given is refused before it is built."""
    with pytest.raises(ValueError, match="longer than"):
        expand("$(A)" * 10_000, {"A": "x" * 100_000})
