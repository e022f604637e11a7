"""`pillion run`: a pair in the foreground, in each layout, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from pillion.cli.run import command_grace_s
from pillion.compare.proc import descendants
from pillion.image.pair import PairRecord
from tests.conftest import BACKEND, ENTRY, PairFile, argv_of, environ_of, eventually, free_port, listens

pytestmark = pytest.mark.usefixtures("nothing_left")

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run() -> Iterator[Run]:
    """Starts `pillion run ARGUMENTS`, and ends it if the test did not."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        command = [ENTRY, "run", *arguments]
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def answered(port: int) -> bool:
    """Whether a GET on this port of loopback gets its 200."""
    return requests.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 200


def programs(root: int) -> dict[str, int]:
    """The oldest process of each program below `root`."""
    family = [(pid, argv_of(pid)) for pid in sorted(descendants([root]))]
    return {
        "backend": next(pid for pid, argv in family if str(BACKEND) in argv),
        "proxy": next(pid for pid, argv in family if argv[1:] and argv[-1] == "proxy"),
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("layout", ["direct", "shared", "separate"])
def test_a_layout_comes_up_and_is_stopped(run: Run, pair_file: PairFile, layout: str, number: int) -> None:
    """Ctrl-C and SIGTERM: exit code 0, no process left, every port free again."""
    process = run(pair_file.write(), "--layout", layout)
    front = pair_file.inner if layout == "direct" else pair_file.front
    eventually(lambda: answered(front))
    assert layout != "direct" or not listens(pair_file.front)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert not listens(pair_file.front) and not listens(pair_file.inner)
    ours = [line for line in errors.splitlines() if not line.startswith("backend")]  # a reset tells of itself there
    assert not any("Traceback" in line for line in ours), errors


@pytest.mark.parametrize("layout", ["direct", "shared"])
def test_a_relative_command_is_relative_to_the_file(run: Run, pair_file: PairFile, layout: str) -> None:
    """As it would be to the image's working directory; wherever the caller stands."""
    script = pair_file.path.parent / "serve here.sh"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {BACKEND} "$@"\n')
    script.chmod(0o755)
    pair_file.backend |= {"command": ["./serve here.sh"], "args": []}
    process = run(os.path.relpath(pair_file.write()), "--layout", layout)
    eventually(lambda: answered(pair_file.inner if layout == "direct" else pair_file.front))
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_both_programs_logs_are_told_apart(run: Run, pair_file: PairFile) -> None:
    """Each line begins with its program's name, stdout and stderr apart."""
    process = run(pair_file.write(), "--layout", "separate")
    eventually(lambda: answered(pair_file.front))
    process.terminate()
    out, errors = process.communicate(timeout=20)
    assert "backend | stopped by 15, proxy gone" in out
    assert {line.split(" | ")[0].strip() for line in (out + errors).splitlines()} <= {"backend", "proxy", "pillion"}


def test_programs_see_the_same_in_one_container_as_in_two(run: Run, pair_file: PairFile) -> None:
    """What the file gives each, nothing of the caller's; in `shared` the proxy also learns what its pod would say."""
    pair_file.backend["env"].append({"name": "ODD", "value": "%(x)s $(PORT) 'q' \"d\" \\ ; \n"})
    seen: dict[str, dict[str, dict[bytes, bytes]]] = {}
    for layout in ("separate", "shared"):
        process = run(pair_file.write(), "--layout", layout, env={**os.environ, "CALLER": "x"})
        eventually(lambda: answered(pair_file.front))
        seen[layout] = {name: environ_of(pid) for name, pid in programs(process.pid).items()}
        process.terminate()
        process.communicate(timeout=20)
    assert seen["shared"]["backend"] == seen["separate"]["backend"]
    expected = f"%(x)s {pair_file.inner} 'q' \"d\" \\ ; \n"
    assert seen["shared"]["backend"][b"ODD"] == expected.encode()
    assert b"CALLER" not in {**seen["shared"]["backend"], **seen["separate"]["proxy"]}
    more = seen["shared"]["proxy"].items() - seen["separate"]["proxy"].items()
    assert {name for name, _ in more} == {b"DRAIN_TIMEOUT", b"PILLION_RUN_DIR"}
    assert seen["separate"]["proxy"].items() <= seen["shared"]["proxy"].items()


def test_a_command_needs_no_file(run: Run) -> None:
    """S18: the caller's environment is the container's, and a plain print is seen at once."""
    front, inner = free_port(), free_port()
    code = (
        "import http.server as h, os\nprint('hello from', os.environ['NAME'])\n"
        "h.test(h.SimpleHTTPRequestHandler, h.ThreadingHTTPServer, port=int(os.environ['PORT']), bind='127.0.0.1')"
    )
    env = {**os.environ, "PROXY__LISTEN": f"127.0.0.1:{front}", "BACKEND__PORT": str(inner), "NAME": "them"}
    env.pop("PYTHONUNBUFFERED", None)
    process = run("--", "python3", "-c", code, env=env)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first == "backend | hello from them\n", (first, process.poll() is None or process.communicate())
    eventually(lambda: answered(front))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_command_may_take_its_deadline_to_stop() -> None:
    """Also one that is longer than ours is by default; only who does not keep it is killed."""
    assert command_grace_s({}) > PairRecord().deadline_s
    assert command_grace_s({"PILLION_DEADLINE": "2m"}) > 120


def test_closing_the_terminal_stops_a_command(run: Run) -> None:
    """SIGHUP restarts in a container, where there is no terminal; here it is one that was closed."""
    front, inner = free_port(), free_port()
    env = {**os.environ, "PROXY__LISTEN": f"127.0.0.1:{front}", "BACKEND__PORT": str(inner)}
    process = run("--", sys.executable, str(BACKEND), env=env)
    eventually(lambda: answered(front))
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    assert process.returncode == 0 and not listens(front) and not listens(inner)


@pytest.mark.parametrize("layout", ["direct", "shared"])
def test_a_line_that_the_terminal_cannot_show_is_shown_escaped(run: Run, pair_file: PairFile, layout: str) -> None:
    """And the lines behind it are read as well."""
    pair_file.backend["command"] = ["sh", "-c", f"echo gr\u00fcn; echo then; exec {sys.executable} {BACKEND}"]
    process = run(pair_file.write(), "--layout", layout, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    eventually(lambda: answered(pair_file.inner if layout == "direct" else pair_file.front))
    process.terminate()
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0 and "backend | gr\\xfcn\nbackend | then\n" in out


def test_a_program_that_ends_by_itself_ends_the_run_with_its_code(run: Run, pair_file: PairFile) -> None:
    """And the other program is stopped."""
    process = run(pair_file.write(), "--layout", "separate")
    assert process.stderr is not None
    assert any("layout separate is up" in line for line in process.stderr)
    os.kill(programs(process.pid)["backend"], signal.SIGKILL)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 137 and "the backend ended with 137" in errors
    assert not listens(pair_file.front)


def test_a_reader_that_has_gone_does_not_block_the_programs(run: Run, pair_file: PairFile) -> None:
    """As in `pillion run ... | head -1`: it goes on, and stops when it is told to."""
    pair_file.backend["command"] = ["sh", "-c", f"yes >&2 & exec {sys.executable} {BACKEND}"]
    process = run(pair_file.write(), "--layout", "separate")
    assert process.stderr is not None
    process.stderr.readline()
    process.stderr.close()
    process.stderr = None
    eventually(lambda: answered(pair_file.front))
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize("layout", ["direct", "shared", "separate"])
def test_the_backends_stop_signal_is_the_same_in_every_layout(run: Run, pair_file: PairFile, layout: str) -> None:
    """The one that the file names."""
    pair_file.backend["lifecycle"] = {"stopSignal": "SIGQUIT"}
    process = run(pair_file.write(), "--layout", layout)
    eventually(lambda: answered(pair_file.inner if layout == "direct" else pair_file.front))
    process.terminate()
    out, _ = process.communicate(timeout=20)
    assert f"backend | stopped by {int(signal.SIGQUIT)}" in out


def test_nothing_survives_a_run_that_is_killed(run: Run, pair_file: PairFile) -> None:
    """SIGKILL gives it no chance to stop anything: its programs notice by themselves."""
    process = run(pair_file.write(), "--layout", "shared")
    eventually(lambda: answered(pair_file.front))
    family = descendants([process.pid])
    process.kill()
    process.communicate(timeout=20)
    eventually(lambda: not any(argv_of(pid) for pid in family))
    assert not listens(pair_file.front) and not listens(pair_file.inner)
