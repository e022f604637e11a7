"""Bad input: one "cannot ..." line that names file, field and mend; no traceback, no process, no port held."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BACKEND, ENTRY, ORDERS, PairFile, listens

pytestmark = pytest.mark.usefixtures("nothing_left")


def refused(*arguments: str | Path, env: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit code and the one line that begins with "pillion: cannot"."""
    ended = subprocess.run([ENTRY, *arguments], capture_output=True, text=True, timeout=60, check=False, env=env)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("pillion: cannot")]
    assert len(lines) == 1, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    return ended.returncode, lines[0]


def one_container(pair: PairFile) -> None:
    pair.proxy = {"name": "x", "image": "x"}
    pair.write()
    pair.path.write_text(pair.path.read_text().replace("- image: x\n    name: x\n", ""))


def open_roles(pair: PairFile) -> None:
    pair.backend["name"], pair.proxy["name"], pair.proxy["image"] = "one", "two", "three"
    pair.write()


def no_command(pair: PairFile) -> None:
    del pair.backend["command"]
    pair.write()


def namespace_typo(pair: PairFile) -> None:
    pair.proxy["env"].append({"name": "PORXY__TOKEN", "value": "the-value"})
    pair.write()


def one_port(pair: PairFile) -> None:
    pair.proxy["env"] = [{"name": "PORT", "value": str(pair.inner)}]
    pair.write()


def differing_settings(pair: PairFile) -> None:
    pair.proxy["env"].append({"name": "PROXY__LOG_LEVEL", "value": "debug"})
    pair.write()


def wrong_directory(pair: PairFile) -> None:
    pair.backend["workingDir"] = "/no/such/directory"
    pair.write()


def unknown_command(pair: PairFile) -> None:
    pair.backend["command"] = ["no-such-command"]
    pair.write()


def not_yaml(pair: PairFile) -> None:
    pair.path.write_text("a: [b\n")


BROKEN: list[tuple[Callable[[PairFile], object], int, tuple[str, ...]]] = [
    (lambda pair: None, 2, ("there is no such file", "pod.yaml")),
    (not_yaml, 2, ("pod.yaml", "line 2")),
    (one_container, 2, ("pod.yaml", "two containers")),
    (open_roles, 2, ("one, two", "--backend NAME --proxy NAME")),
    (no_command, 2, ("spec.containers[0] (backend) has no command", "add spec.containers[0].command")),
    (namespace_typo, 2, ("spec.containers[1].env[3]", "PORXY__TOKEN", "did you mean PROXY__TOKEN?")),
    (one_port, 2, ("spec.containers[1]", "would both listen on port")),
    (differing_settings, 2, ("spec.containers[1].env[3]", "LOG_LEVEL and PROXY__LOG_LEVEL are both set and differ")),
    (wrong_directory, 2, ("spec.containers[0].workingDir", "/no/such/directory")),
    (unknown_command, 1, ("no-such-command: not found in PATH",)),
]


@pytest.mark.parametrize("command", ["compare", "run"])
@pytest.mark.parametrize(("breaking", "code", "says"), BROKEN)
def test_a_pair_that_cannot_be(
    pair_file: PairFile, command: str, breaking: Callable[[PairFile], object], code: int, says: tuple[str, ...]
) -> None:
    """2 for the file, 1 for what was started and failed."""
    breaking(pair_file)
    layout = ["--layout", "direct"] if breaking is unknown_command else []
    found, line = refused(command, pair_file.path, *layout)
    assert found == code, line
    assert all(part in line for part in says), line
    assert "the-value" not in line


@pytest.mark.parametrize("command", ["compare", "run"])
def test_a_port_in_use(pair_file: PairFile, command: str) -> None:
    """Named with the container that wants it; nothing was started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", pair_file.front))
        taken.listen()
        code, line = refused(command, pair_file.write(), "--layout", "separate")
    assert code == 2 and f"port {pair_file.front} of spec.containers[1] (proxy) is in use" in line
    assert not listens(pair_file.inner)


# In `shared` it is started again as in any container, five times within sixteen seconds: once is enough.
@pytest.mark.parametrize(
    ("command", "layout"),
    [("compare", "direct"), ("compare", "separate"), ("run", "direct"), ("run", "separate"), ("run", "shared")],
)
def test_a_backend_that_dies_at_start(pair_file: PairFile, command: str, layout: str) -> None:
    """With its exit code and its last line; `run` ends with that code, as the container would."""
    pair_file.backend["command"] = [sys.executable, "-c", "import sys; print('no database'); sys.exit(3)"]
    code, line = refused(command, pair_file.write(), "--layout", layout)
    assert code == 1
    assert "ended with 3" in line and line.count("no database") == 1, line
    assert not listens(pair_file.front)


@pytest.mark.parametrize("layout", ["direct", "separate", "shared"])
def test_a_backend_that_never_gets_ready(pair_file: PairFile, layout: str) -> None:
    """After the time it was given, with what was seen last."""
    pair_file.backend["args"] = ["late", "60"]
    code, line = refused("compare", pair_file.write(), "--layout", layout, "--ready-timeout", "1.5")
    assert code == 1 and f"layout {layout} was not ready within 1.5 s" in line and "--ready-timeout" in line
    assert not listens(pair_file.front) and not listens(pair_file.inner)


def test_a_foreign_proxy_is_not_combined(pair_file: PairFile) -> None:
    """It can be compared and linted; `shared` is refused with the reason."""
    pair_file.proxy |= {"image": "nginx", "command": ["nginx"]}
    code, line = refused("run", pair_file.write(), "--layout", "shared")
    assert code == 2 and "is not Pillion's proxy" in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "no such command"),
        (["run"], "neither a pair file nor a command"),
        (["compare"], "PAIR"),
        (["compare", "x.yaml", "--rate", "0"], "--rate"),
        (["compare", "x.yaml", "--json", "/no/such/folder/x.json"], "--json"),
        (["compare", "x.yaml", "--nonsense"], "--nonsense"),
        (["compare", "x.yaml", "--experiments", "kill,flood"], "choose from all,kill,hang"),
        (["compare", str(ORDERS / "pod.yaml"), "--claims", "7"], "choose from all,3,4,5,9,10"),
        (["compare", "x.yaml", "--node-memory", "much"], "much is no amount above 0"),
        (["compare", "x.yaml", "--rounds", "0"], "0 is not a whole number from 1 to 300"),
        (["compare", "x.yaml", "--rounds", "301"], "301 is not a whole number from 1 to 300"),
        (["compare", str(ORDERS / "pod.yaml"), "--path", "orders"], "path"),
        (["compare", str(ORDERS / "pod.yaml"), "--rate", "0.1"], "is not one request"),
        (["proxy", "--nonsense"], "--nonsense"),
        (["env"], "explain"),
        (["env", "explain"], "NAME"),
        (["exec", "proxy"], "pillion enter"),
        (["supervise"], "pillion enter"),
        (["run", "--layout", "direct", "--", "true"], "layout shared"),
    ],
)
def test_arguments_that_cannot_be(arguments: list[str], says: str) -> None:
    """Exit code 2 and the argument that is wrong."""
    code, line = refused(*arguments)
    assert code == 2 and says in line


def test_a_typo_in_the_callers_environment() -> None:
    """`pillion run -- CMD` takes its variables from there."""
    code, line = refused("run", "--", sys.executable, str(BACKEND), env={"BAKEND__PORT": "1", "PATH": "/usr/bin"})
    assert code == 2 and "did you mean BACKEND__PORT?" in line
