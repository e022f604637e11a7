"""The static entry: what Python is started with, and what it is kept from. Needs a C compiler, no container."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pillion.image.enter import ASIDE
from pillion.image.environ.names import decode
from tests.conftest import cannot_test
from tests.containers.bases import ROOT

SOURCE = ROOT / "image" / "layer" / "entry.c"
PROBE = """#!{python} -I
import json, pathlib, sys
block = pathlib.Path("/proc/self/environ").read_bytes().decode("utf-8", "surrogateescape")
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(json.dumps([sys.argv, block.split("\\0")[:-1], int(status["SigBlk"], 16)]))
"""


@pytest.fixture(params=["gcc", "musl-gcc"])
def entry(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The entry, built for a Python that says what it was given."""
    if shutil.which(request.param) is None:
        cannot_test(f"not installed: {request.param}")
    probe = tmp_path / "python3"
    probe.write_text(PROBE.format(python=sys.executable))
    probe.chmod(0o755)
    return compiled(tmp_path / "pillion", probe, request.param)


def compiled(target: Path, python: Path, cc: str = "gcc") -> Path:
    """The entry, built as the layer's is but for the Python it starts."""
    sys.path.insert(0, str(SOURCE.parent))
    try:
        from assemble import CFLAGS
    finally:
        sys.path.pop(0)
    subprocess.run([cc, *CFLAGS, f'-DPYTHON="{python}"', "-o", target, SOURCE], check=True)
    return target


def started(entry: Path, *arguments: bytes | str, environ: dict[bytes, bytes]) -> tuple[list[str], list[str], int]:
    """The arguments, environment and blocked signals that Python had."""
    answer: Any = json.loads(subprocess.run([entry, *arguments], env=environ, capture_output=True, check=True).stdout)
    return answer[0], answer[1], answer[2]


def test_what_a_loader_obeys_is_renamed_and_all_else_stays(entry: Path) -> None:
    """In its order and byte for byte; names that only look alike are left alone."""
    environ = {
        b"A": b"",
        b"LD_PRELOAD": b"/nonexistent.so",
        b"LDFLAGS": b"-s",
        b"LD_": b"x",
        b"GLIBC_TUNABLES": b"glibc.malloc.check=3",
        b"GLIBC_TUNABLES_NOT": b"y",
        b"OLD_PATH": b"z",
        b"PYTHONHOME": b"/garbage",
        b"BYTES": bytes(range(1, 256)),
    }
    moved = (b"LD_PRELOAD", b"LD_", b"GLIBC_TUNABLES")
    expected = {ASIDE + name if name in moved else name: value for name, value in environ.items()}
    _, block, _ = started(entry, environ=environ)
    assert block == [f"{name}={value}" for name, value in decode(expected).items()]


def test_arguments_arrive_behind_those_of_an_isolated_python(entry: Path) -> None:
    """Whatever they are; Python's own path is absolute, for it finds its library by that."""
    odd = ["enter", "--", "", "-c", "a b", "x\n%s", "ä"]
    arguments, _, _ = started(entry, *odd, environ={})
    assert arguments == [str(entry.parent / "python3"), "-I", "-S", "-X", "utf8", "/opt/pillion/lib/start.pyc", *odd]


@pytest.mark.parametrize(
    ("command", "held"),
    [
        (["enter", "--", "x"], {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP}),
        (["proxy"], {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}),
        (["exec", "backend"], set()),
        (["entering"], set()),
        ([], set()),
    ],
)
def test_signals_are_held_for_what_runs_first(entry: Path, command: list[str], held: set[signal.Signals]) -> None:
    """A container's first process loses those for which there is no handler yet."""
    _, _, blocked = started(entry, *command, environ={})
    assert blocked == sum(1 << (number - 1) for number in held)


def test_an_environment_of_a_megabyte_passes(entry: Path) -> None:
    """The kernel's own limits are the only ones."""
    environ = {b"LD_%d" % i: b"x" * 100_000 for i in range(10)}
    _, block, _ = started(entry, environ=environ)
    assert {ASIDE + name + b"=" + value for name, value in environ.items()} == set(map(os.fsencode, block))


def test_a_layer_without_its_python_says_so(tmp_path: Path) -> None:
    """One line, and a shell's exit code for it."""
    entry = compiled(tmp_path / "pillion", tmp_path / "absent")
    done = subprocess.run([entry, "proxy"], check=False, capture_output=True, text=True)
    assert done.returncode == 127 and done.stderr.startswith(f"pillion: cannot start: {tmp_path}/absent does not run")
    assert done.stderr.count("\n") == 1


def test_it_needs_no_loader(entry: Path) -> None:
    """No interpreter and nothing to link: a base's C library, or its absence, means nothing to it."""
    said = subprocess.run(["readelf", "-ldW", entry], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in said and "NEEDED" not in said and "There is no dynamic section" in said
    assert entry.stat().st_size < 8192
