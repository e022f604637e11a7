"""Whatever the environments are, each program in one container sees what it saw in its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pillion.compare.render import TARGETS, Request
from pillion.compare.render.yaml_text import to_yaml
from pillion.image.environ.classes import variable_class
from pillion.image.environ.split import Facts, split
from pillion.image.pair import Pair, PairRecord
from pillion.image.pairfile import load_pair, load_written
from pillion.image.pairfile.document import read_documents
from tests.compare.render import pod, rendered

# Names that refer to each other, and values that are hard for YAML, Compose and Kubernetes.
NAMES = st.sampled_from(["A", "B", "C", "PROXY__A", "BACKEND__A", "BACKEND__B", "a.b", "WEB_CONCURRENCY", "LD_X"])
SPECIAL = "$=%!|>)'\"\\\n\t \x07\u2028\x85\ufeff\u00e9\U0001f600"
PIECES = st.sampled_from([
    *SPECIAL, "$$", "$(A)", "$(B)", "$(PROXY__A)", "$(BACKEND__A)", "$$(B)", "$(NONE)", "$(", "${A}", "yes", "no",
    "~", "null", "1e3", "0o17", "0x1F", "1_000", "12:30", "*a", "&a", "<<", "- a", "a: b", "# x", " #",
])  # fmt: skip
VALUES = st.lists(PIECES, max_size=5).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)
ENTRIES = st.lists(st.tuples(NAMES, VALUES), max_size=5)
DERIVED = {"PATH", "HOME", "UPSTREAM", "READY_PATH", "DRAIN_DELAY", "DRAIN_TIMEOUT", "LISTEN"}


def entries(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def proxy_entries(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    """A sidecar refuses a name that is there with and without its prefix, and differs."""
    return entries([(name, value) for name, value in pairs if name != "PROXY__A"])


def both(documents: list[Any], to: str) -> tuple[Pair, str]:
    """The pair of a file, and what is made of it in layout shared."""
    with tempfile.TemporaryDirectory() as folder:
        text = rendered(Path(folder), documents, to=to, with_secrets=True).text
        return load_pair(Path(folder, "pair.yaml")), text


def read_again(text: str) -> dict[str, str]:
    """The environment that a platform would give the one container, as our own reader has it."""
    first, *rest = text.split("\n---\n")
    # Beside it something that is read as the other of a pair; the text stays as it stands.
    other = "  zzz: {image: nginx}" if "\nservices:\n" in first else None
    if other is None:
        at = first.index("containers:")
        indent = first[first.rindex("\n", 0, at) + 1 : at]
        first = f"{first[:at]}containers:\n{indent}  - {{name: zzz, image: nginx}}{first[at + len('containers:') :]}"
    else:
        first = f"{first.rstrip(chr(10))}\n{other}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pair.yaml")
        path.write_text("\n---\n".join([first, *rest]), encoding="utf-8")
        return dict(load_pair(path, backend="backend", proxy="zzz", caller_env={}).backend.env)


def seen(environ: dict[str, str]) -> dict[str, dict[str, str]]:
    """What each program sees of it."""
    divided = split(environ, PairRecord(), Facts(), lambda path: b"")
    return {program: divided.environ(program) for program in ("backend", "proxy")}


def check(pair: Pair, programs: dict[str, dict[str, str]]) -> None:
    for program, container in (("backend", pair.backend), ("proxy", pair.proxy)):
        own = {
            name.removeprefix("PROXY__") if program == "proxy" else name: value for name, value in container.env.items()
        }
        saw = {name: value for name, value in programs[program].items() if name in own or name not in DERIVED}
        assert saw == own


@settings(max_examples=50, deadline=None)
@given(ENTRIES, ENTRIES)
def test_each_program_sees_in_a_shared_pod_what_it_saw_in_its_own_container(
    backend: list[tuple[str, str]], proxy: list[tuple[str, str]]
) -> None:
    """References between variables, literal dollars and everything that YAML finds special included."""
    pair, text = both([pod({"env": entries(backend)}, {"env": proxy_entries(proxy)})], "kubernetes")
    check(pair, seen(read_again(text)))


@settings(max_examples=50, deadline=None)
@given(ENTRIES, ENTRIES)
def test_and_in_a_shared_compose_service(backend: list[tuple[str, str]], proxy: list[tuple[str, str]]) -> None:
    """Where Compose interpolates nothing of what is meant literally."""
    pair, text = both([pod({"env": entries(backend)}, {"env": proxy_entries(proxy)})], "compose")
    check(pair, seen(read_again(text)))


@settings(max_examples=50, deadline=None)
@given(ENTRIES, ENTRIES)
def test_a_compose_pair_keeps_its_environments_in_a_pod(
    backend: list[tuple[str, str]], proxy: list[tuple[str, str]]
) -> None:
    """Nothing in it becomes a reference."""
    services = {
        "backend": {"image": "shop", "command": ["serve"], "environment": escaped(backend)},
        "proxy": {"image": "pillion/sidecar", "environment": escaped([p for p in proxy if p[0] != "PROXY__A"])},
    }
    pair, text = both([{"name": "shop", "services": services}], "kubernetes")
    check(pair, seen(read_again(text)))


def escaped(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return {name: value.replace("$", "$$") for name, value in pairs}


@settings(max_examples=50, deadline=None)
@given(ENTRIES, ENTRIES, st.lists(VALUES, max_size=3))
def test_a_plain_pod_rendered_separate_is_the_same_pair(
    backend: list[tuple[str, str]], proxy: list[tuple[str, str]], args: list[str]
) -> None:
    """Once it says how to drain, there is nothing to add."""
    drain = {"name": "DRAIN_DELAY", "value": "1"}
    document = pod({"env": entries(backend), "args": args}, {"env": [*proxy_entries(proxy), drain]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pair.yaml")
        path.write_text(to_yaml([document]), encoding="utf-8")
        pair, written = load_written(path)
        text = TARGETS["kubernetes"](Request(pair, written, "separate")).text
        path.write_text(text, encoding="utf-8")
        assert load_pair(path) == pair


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(VALUES, VALUES | st.lists(VALUES, max_size=3) | st.integers() | st.booleans(), max_size=4))
def test_yaml_is_read_as_the_same_values(document: dict[str, Any]) -> None:
    """By our reader, which takes plain words as Go's does, in its old and its new way."""
    for marker in ("kind", "services"):
        whole = {marker: "x", "inner": document}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "document.yaml")
            path.write_text(to_yaml([whole]), encoding="utf-8")
            assert read_documents(path, "read it") == [whole]


def test_the_names_here_are_not_those_that_the_policy_changes() -> None:
    """Else the properties above would be about the policy."""
    assert {variable_class(name) for name in ("A", "WEB_CONCURRENCY", "a.b", "LD_X")} <= {"other", "loader"}
