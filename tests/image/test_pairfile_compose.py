"""A Compose file means here what it means to Compose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillion.image.pair import Pair, Probe
from pillion.image.pairfile import dotenv, load_pair
from pillion.image.pairfile.interpolation import interpolate
from pillion.image.refusal import Refusal


def load(directory: Path, caller_env: Mapping[str, str] | None = None, /, **backend: Any) -> Pair:
    document = {"services": {"backend": {"image": "shop", **backend}, "proxy": {"image": "pillion/sidecar"}}}
    path = directory / "compose.yaml"
    path.write_text(json.dumps(document))
    return load_pair(path, caller_env=caller_env)


def load_text(directory: Path, services: str, rest: str = "", **caller_env: str) -> Pair:
    path = directory / "compose.yaml"
    path.write_text(f"{rest}\nservices:\n  proxy: {{image: pillion/sidecar}}\n  backend:\n{services}")
    return load_pair(path, caller_env=caller_env)


def test_services_are_containers(tmp_path: Path) -> None:
    """Every field that tells how the program runs arrives; Compose's own grace is 10 seconds."""
    pair = load(
        tmp_path,
        entrypoint=["run"],
        command="serve --name 'two words'",
        working_dir="/srv",
        user="1000:1001",
        stop_signal="usr1",
        ports=["127.0.0.1:80:8000", 9000, {"target": 8000, "published": "1"}, "5-6:3000-3001/tcp", "1:53/udp"],
        expose=["9100"],
        depends_on=["proxy"],
    )
    backend = pair.backend
    assert (backend.command, backend.args) == (("run",), ("serve", "--name", "two words"))
    assert (backend.working_dir, backend.run_as_user, backend.run_as_group) == ("/srv", 1000, 1001)
    assert (backend.stop_signal, backend.ports) == ("SIGUSR1", (8000, 9000, 3000, 3001, 9100))
    assert (pair.grace_s, pair.proxy.field) == (10.0, "services.proxy")
    assert pair.notices == ("services.backend.ports[4]: is no TCP port and not proxied",)


def test_project_is_named_by_the_file_or_its_directory(tmp_path: Path) -> None:
    """The top-level name, else the directory's name as Compose writes it."""
    directory = tmp_path / "My Shop!"
    directory.mkdir()
    assert load(directory).name == "myshop"
    assert load_text(directory, "    image: x", "name: ${WHO}-shop", WHO="our").name == "our-shop"


def test_image_of_a_build_has_composes_name(tmp_path: Path) -> None:
    """A service that is built is named after project and service."""
    assert load_text(tmp_path, "    build: .", "name: shop").backend.image == "shop-backend"


@pytest.mark.parametrize(
    ("fields", "argv"),
    [
        ({}, ((), ())),
        ({"command": ["a b", 1]}, ((), ("a b", "1"))),
        ({"entrypoint": "x y"}, (("x", "y"), ())),
        ({"entrypoint": [], "command": ["a"]}, (("a",), ())),
        ({"entrypoint": "", "command": "a b"}, (("a", "b"), ())),
        ({"command": "run $$HOME $$(PORT)"}, ((), ("run", "$HOME", "$(PORT)"))),
    ],
)
def test_entrypoint_and_command(tmp_path: Path, fields: Any, argv: Any) -> None:
    """A text is split like a shell's words but never expanded; an empty entrypoint clears the image's."""
    backend = load(tmp_path, **fields).backend
    assert (backend.command, backend.args) == argv


def test_environment_as_mapping_takes_yaml_1_2_words_and_numbers(tmp_path: Path) -> None:
    """`yes` is a word, numbers and booleans become text, and a null takes the caller's value or leaves the name out."""
    services = """
    environment:
      A: yes
      B: true
      C: 8000
      D: 0.5
      E: 2024-01-01
      F: 22:22
      G:
      H:
      I: ""
      J: 1.0
    """
    backend = load_text(tmp_path, services, G="caller's").backend
    expected = {"A": "yes", "B": "true", "C": "8000", "D": "0.5", "E": "2024-01-01", "F": "22:22", "G": "caller's"}
    assert backend.env == {**expected, "I": "", "J": "1"}
    assert backend.env_fields["C"] == "services.backend.environment.C"


def test_environment_as_list(tmp_path: Path) -> None:
    """A list's entries are split at the first `=`; a bare name takes the caller's value."""
    backend = load(tmp_path, {"B": "b"}, environment=["A=1=2", "B", "C", "D="]).backend
    assert backend.env == {"A": "1=2", "B": "b", "D": ""}
    assert backend.env_fields["B"] == "services.backend.environment[1]"


def test_the_callers_environment_does_not_leak(tmp_path: Path) -> None:
    """Nothing that the file does not ask for reaches a service."""
    assert load(tmp_path, {"HOME": "/root"}, environment={"A": "1"}).backend.env == {"A": "1"}


def test_env_files_come_before_environment(tmp_path: Path) -> None:
    """Paths are relative to the file, later ones win, `environment` outranks them, optional ones may be missing."""
    (tmp_path / "one.env").write_text("A=1\nB=1\nC=1\n")
    (tmp_path / "two.env").write_text("B=2\n")
    (tmp_path / "raw.env").write_text("D='$X' # all\n")
    files = [
        "one.env",
        {"path": "two.env"},
        {"path": "absent.env", "required": False},
        {"path": "raw.env", "format": "raw"},
    ]
    backend = load(tmp_path, env_file=files, environment={"C": "3"}).backend
    assert backend.env == {"A": "1", "B": "2", "C": "3", "D": "'$X' # all"}
    assert backend.env_fields["B"] == "services.backend.env_file[1]"
    assert load(tmp_path, env_file="one.env").backend.env_fields["A"] == "services.backend.env_file"


def test_file_is_interpolated_from_the_caller_and_dot_env(tmp_path: Path) -> None:
    """The caller outranks the `.env` beside the file; unset names without a default are a notice."""
    (tmp_path / ".env").write_text("A=dot\nB=dot\n")
    environment = {"A": "$A", "B": "${B}", "C": "${C-default}", "D": "$D", "E": "$$E"}
    pair = load(tmp_path, {"A": "caller"}, environment=environment)
    assert pair.backend.env == {"A": "caller", "B": "dot", "C": "default", "D": "", "E": "$E"}
    assert pair.notices == ("variables that are not set, and so empty: D",)


def test_healthcheck_is_an_exec_probe(tmp_path: Path) -> None:
    """CMD and CMD-SHELL become commands, durations seconds, with Docker's defaults."""
    timing = {"interval": "1m30s", "timeout": "500ms", "retries": "5", "start_period": "2s"}
    probe = load(tmp_path, healthcheck={"test": ["CMD", "check", "-q"], **timing}).backend.readiness
    assert probe == Probe(
        "exec", command=("check", "-q"), initial_delay_s=2, period_s=90, timeout_s=0.5, failure_threshold=5
    )
    shell = Probe("exec", command=("/bin/sh", "-c", "check || exit 1"), period_s=30, timeout_s=30)
    for test in (["CMD-SHELL", "check || exit 1"], "check || exit 1"):
        assert load(tmp_path, healthcheck={"test": test}).backend.readiness == shell
    for none in ({"test": ["NONE"]}, {"test": "x", "disable": True}, {}):
        assert load(tmp_path, healthcheck=none).backend.readiness is None


def test_grace_is_the_longer_of_the_two(tmp_path: Path) -> None:
    """stop_grace_period of either service is respected."""
    assert load(tmp_path, stop_grace_period="1m0.5s").grace_s == 60.5
    assert load(tmp_path, stop_grace_period="1s").grace_s == 10.0


def test_x_pillion_becomes_annotations(tmp_path: Path) -> None:
    """Its names get Pillion's prefix unless they have one of their own."""
    pair = load_text(tmp_path, "    image: x", "x-pillion: {load-path: /a, other.org/n: 3}")
    assert pair.annotations == {"pillion.dev/load-path": "/a", "other.org/n": "3"}


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    """Shared fragments work as usual, the service's own keys winning."""
    rest = "x-env: &env {A: '1', B: '1'}"
    assert load_text(tmp_path, "    environment: {<<: *env, B: '2'}", rest).backend.env == {"A": "1", "B": "2"}


def test_what_cannot_be_done_here_is_a_notice(tmp_path: Path) -> None:
    """Mounts, named users and other services are left out and reported by field."""
    services = "    user: www-data\n    volumes: ['x:/x']\n  db: {image: postgres}"
    pair = load_text(tmp_path, services)
    assert pair.backend.run_as_user is None
    said = " | ".join(pair.notices)
    for field in ("services.backend.user", "services.backend.volumes", "services.db"):
        assert field in said


@pytest.mark.parametrize("written", ["always", "unless-stopped", "on-failure", "on-failure:3", '"no"', "no", ""])
def test_a_restart_policy_is_not_obeyed(tmp_path: Path, written: str) -> None:
    """Said where it is one."""
    notices = load_text(tmp_path, f"    image: x\n    restart: {written}").notices
    told = [notice for notice in notices if notice.startswith("services.backend.restart: is not obeyed")]
    assert bool(told) == ("no" not in written.strip('"').split("-") and bool(written))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A ${A} $AB", "1 1 "),
        ("${EMPTY:-d}${EMPTY-d}${NO:-d}${NO-d}", "ddd"),
        ("${A:+x}${EMPTY:+x}${EMPTY+y}${NO+z}", "xy"),
        ("${NO:-${A:-x}}${NO:-${NO:-in$$ner}}", "1in$ner"),
        ("${A:?gone}${EMPTY?gone}", "1"),
        ("$$A$$$A {$$}", "$A$1 {$}"),
        ("${NO:-}", ""),
    ],
)
def test_interpolation(text: str, expected: str) -> None:
    """The forms that Compose documents."""
    assert interpolate(text, {"A": "1", "EMPTY": ""}.get, set()) == expected


@pytest.mark.parametrize("text", ["$", "a $ b", "${", "${}", "${A", "${A:-x", "${1}", "${A!}", "${NO:?gone}", "$1"])
def test_malformed_interpolation_is_refused(text: str) -> None:
    """What Compose refuses is a ValueError, and a demanded variable's message is its author's."""
    with pytest.raises(ValueError, match="gone" if "?" in text else r"\$"):
        interpolate(text, {"A": "1"}.get, set())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1\nexport B = 2 \n\n# no\n  C: 3", {"A": "1", "B": "2", "C": "3"}),
        ("A=b # comment\nB=b#none\nC=#all\r\nD=", {"A": "b", "B": "b#none", "C": "", "D": ""}),
        ("A='$X # \\n' # c", {"A": "$X # \\n"}),
        ('A="$X\\t\\"q\\" \\$X # in" # c', {"A": '7\t"q" $X # in'}),
        ("A=\"two\nlines\"\nB='also\ntwo'", {"A": "two\nlines", "B": "also\ntwo"}),
        ("A=1\nB=${A}$X\nX=2\nC=$X", {"A": "1", "B": "17", "X": "2", "C": "7"}),
        ("X\nNONE\nA=1", {"X": "7", "A": "1"}),
        ("", {}),
    ],
)
def test_dotenv(text: str, expected: dict[str, str]) -> None:
    """Quotes, comments, escapes, and interpolation from the caller first, then from the lines above."""
    assert dotenv.parse(text, {"X": "7"}.get) == expected


@pytest.mark.parametrize(
    ("text", "line"), [("A=1\n=2", 2), ("A='open", 1), ('\n\nA="open', 3), ("A=1\nB=${", 2), ("A b", 1)]
)
def test_malformed_dotenv_names_the_line(text: str, line: int) -> None:
    """The complaint names the line and quotes nothing of it."""
    with pytest.raises(ValueError, match=f"^line {line} "):
        dotenv.parse(text, {}.get)


@given(st.text(st.sampled_from("A=:\"'\\$ {}#\n\rexport \t-x"), max_size=40))
def test_any_dotenv_parses_or_is_a_value_error(text: str) -> None:
    """Nothing else comes out of the parser."""
    try:
        found = dotenv.parse(text, {"A": "1"}.get)
    except ValueError:
        return
    assert all(isinstance(value, str) for value in found.values())


@given(st.text(st.sampled_from("A$ {}:-+?é"), max_size=40))
def test_any_interpolation_works_or_is_a_value_error(text: str) -> None:
    """Nothing else comes out of it, and text without a dollar is left alone."""
    try:
        found = interpolate(text, {"A": "1"}.get, set())
    except ValueError:
        assert "$" in text
        return
    assert "$" in text or found == text


def test_dot_env_that_is_malformed_names_itself(tmp_path: Path) -> None:
    """The refusal names the `.env` file, and no value of it."""
    (tmp_path / ".env").write_text("A=1\nB='hunter2")
    with pytest.raises(Refusal, match=r"cannot read .*/\.env: line 2 is no NAME=value; correct the line") as refusal:
        load(tmp_path)
    assert "hunter2" not in str(refusal.value)


def test_directory_named_dot_env_is_no_dot_env(tmp_path: Path) -> None:
    """A virtual environment of that name does not get in the way."""
    (tmp_path / ".env").mkdir()
    assert load(tmp_path).backend.image == "shop"
