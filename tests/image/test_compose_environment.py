"""The backend's ENV in the combined image: what moves, what stays, and that a rebase finds it again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pillion.image.compose.environment import merge_env, original_env
from pillion.image.environ.split import Facts, split
from pillion.image.pair import PairRecord, ProgramRecord

names = st.sampled_from(["A", "PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "GLIBC_TUNABLES", "PYTHONPATH", "EMPTY", "LDX"])
values = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=12)
envs = st.dictionaries(names, values)


def entries_of(env: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]


@given(envs)
def test_the_loaders_variables_move_and_nothing_else_does(env: dict[str, str]) -> None:
    """In order, values untouched."""
    merged = merge_env(entries_of(env), {})
    expected = [
        (f"BACKEND__{name}" if name.startswith("LD_") or name == "GLIBC_TUNABLES" else name, value)
        for name, value in env.items()
    ]
    assert [tuple(entry.split("=", 1)) for entry in merged.entries] == expected
    assert not any(entry.startswith(("LD_", "GLIBC_")) for entry in merged.entries)


@given(envs, envs)
def test_the_merge_can_be_undone(env: dict[str, str], added: dict[str, str]) -> None:
    """Whatever was added, over what was there."""
    merged = merge_env(entries_of(env), added)
    record = "PILLION_PAIR={}"
    assert original_env([*merged.entries, record], merged.moved, merged.added, merged.replaced) == entries_of(env)


@given(envs)
def test_the_backend_sees_its_image_s_own_values(env: dict[str, str]) -> None:
    """After the split, under their own names: all but PATH-like derived ones are as the image had them."""
    merged = merge_env(entries_of(env), {})
    record = PairRecord(backend=ProgramRecord(image_env=merged.fingerprints), verbatim=True)
    seen = split(merged.values, record, Facts(), lambda path: b"").environ("backend")
    assert {name: seen.get(name) for name in env} == env


def test_doubles_and_entries_without_a_value() -> None:
    """Kept as they stand; the first of two is what a program finds."""
    merged = merge_env(["A=1", "B", "A=2", "C="], {})
    assert merged.entries == ("A=1", "B", "A=2", "C=")
    assert merged.values == {"A": "1", "C": ""}


def test_an_added_variable_takes_the_place_of_the_image_s() -> None:
    """Once, where it stood; a new one comes last."""
    assert merge_env(["A=1", "B=2", "A=3"], {"A": "9", "PROXY__X": "y"}).entries == ("A=9", "B=2", "PROXY__X=y")


def test_a_backend_with_another_namespace() -> None:
    """PILLION_NAMESPACES in the image renames what the loader's variables move to."""
    merged = merge_env(["PILLION_NAMESPACES=backend=APP", "LD_PRELOAD=x.so"], {})
    assert merged.entries[1] == "APP__LD_PRELOAD=x.so"
