"""The same environment for the other layout: there and back is the identity."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pillion.image.environ.convert import to_separate, to_shared
from pillion.image.pairfile import dotenv

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAME = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True) | st.sampled_from(
    ["PORT", "HOME", "PATH", "HTTP_PROXY", "NO_PROXY", "TZ", "UPSTREAM", "BACKEND__X", "PROXY__X", "A_PORT", "KEY_FILE",
     "PILLION_SHARED"]
)  # fmt: skip
ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
VALUE = ANY_TEXT | st.text("'\"\\$#= \n\r{}", max_size=8)
ENVIRON = st.dictionaries(NAME, VALUE, max_size=6)


@UNHURRIED
@given(ENVIRON, ENVIRON)
def test_there_and_back_is_the_identity(proxy: dict[str, str], backend: dict[str, str]) -> None:
    """Whatever the names mean: every one of them is addressed."""
    programs = {"proxy": proxy, "backend": backend}
    parted = to_separate(to_shared(programs))
    assert parted.programs == programs and not [each for each in parted.findings if each.severity < "S1"]
    assert to_shared(parted.programs) == to_shared(programs)


def test_what_is_not_addressed_goes_by_the_policy() -> None:
    """As it would at the start of a container, without what is computed there."""
    parted = to_separate({"TZ": "UTC", "MODE": "x", "PROXY__LISTEN": ":1", "PORXY__A": "1", "REDIS_PORT": "tcp://h:1"})
    assert parted.programs == {
        "proxy": {"TZ": "UTC", "LISTEN": ":1"},
        "backend": {"TZ": "UTC", "MODE": "x", "PORXY__A": "1"},
    }
    assert [finding.subject for finding in parted.findings] == ["PORXY__A", "service links"]


@UNHURRIED
@given(ENVIRON)
def test_a_written_file_reads_back(environ: dict[str, str]) -> None:
    """Quotes, dollars, line ends and all."""
    assert dotenv.parse(dotenv.write(environ), lambda _: "inherited") == environ


@pytest.mark.parametrize("environ", [{"A B": "1"}, {"A#": "1"}, {"": "1"}, {"Ä": "1"}, {"A": "\0"}, {"A": "\udcff"}])
def test_what_such_a_file_cannot_hold_is_told(environ: dict[str, str]) -> None:
    """By name."""
    with pytest.raises(ValueError, match=r"."):
        dotenv.write(environ)
