"""The container's log: whole lines of both programs, whoever reads them."""

from __future__ import annotations

import array
import fcntl
import json
import signal
import sys
import termios
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import BACKEND, eventually
from tests.entered import Start

pytestmark = pytest.mark.usefixtures("nothing_left")


JSON = {b"PILLION_LOG_FORMAT": b"json"}
# Long lines on both streams at once, every second one JSON already.
WRITERS = """
import json, os, threading
LONG = 100_000
def write(descriptor, name):
    for number in range(40):
        line = json.dumps({"own": name * LONG}) if number % 2 else name * LONG
        data = line.encode() + b"\\n"
        while data:
            data = data[os.write(descriptor, data):]
threads = [threading.Thread(target=write, args=pair) for pair in ((1, "o"), (2, "e"))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_long_lines_come_whole_and_apart(start: Start) -> None:
    """S15: one prefix each, stdout and stderr kept apart."""
    command = (sys.executable, "-c", WRITERS)
    container = start(command=command, apart=True)
    code, out = container.wait()
    assert code == 0
    own = {"o": f"backend | {'o' * 100_000}", "e": f"backend | {'e' * 100_000}"}
    for text, name in ((out, "o"), (container.err, "e")):
        lines = [line for line in text.splitlines() if line.startswith("backend |")]
        assert len(lines) == 40 and lines[::2] == [own[name]] * 20
        assert {json.loads(line.removeprefix("backend |"))["own"][0] for line in lines[1::2]} == {name}


def test_in_json_mode_every_line_is_an_object(start: Start) -> None:
    """S15: also what the proxy, supervisord and we ourselves say; lines that are objects already keep their members."""
    container = start(command=(sys.executable, "-c", WRITERS), environ=JSON, apart=True)
    code, out = container.wait()
    assert code == 0
    for text, stream, name in ((out, "stdout", "o"), (container.err, "stderr", "e")):
        found = [json.loads(line) for line in text.splitlines()]
        assert all({"ts", "program", "stream"} <= each.keys() and each["stream"] == stream for each in found)
        ours = [each for each in found if each["program"] == "backend"]
        assert Counter("own" in each for each in ours) == {True: 20, False: 20}
        assert {each.get("own") or each["line"] for each in ours} == {name * 100_000}
    assert {json.loads(line)["program"] for line in container.err.splitlines()} >= {"pillion", "backend"}


# In both programs at once, the same on both streams; the backend ends when both have written all.
TWO_WRITERS = BACKEND.with_name("writers.py")
# `pillion` with another program in the place of the proxy.
ENTRY = """#!/bin/sh
[ "$1" = proxy ] && exec {python} {writers} {folder} p b
exec {python} -c 'import sys; sys.argv[0] = "{entry}"; from pillion.cli.main import main; sys.exit(main())' "$@"
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_two_programs_that_write_at_speed_do_not_mix(start: Start, tmp_path: Path, log_format: str) -> None:
    """S15: 100 kB lines of both programs on both streams; each whole, under its program's name, in its stream."""
    entry = tmp_path / "pillion"
    entry.write_text(ENTRY.format(python=sys.executable, writers=TWO_WRITERS, folder=tmp_path, entry=entry))
    entry.chmod(0o755)
    container = start(
        command=(sys.executable, str(TWO_WRITERS), str(tmp_path), "b", "p", "end"),
        environ={b"PILLION_LOG_FORMAT": log_format.encode(), b"PILLION_DEADLINE": b"60"},
        through=("/bin/sh", "-c", f'shift; exec {entry} "$@"', "sh"),
        apart=True,
    )
    code, out = container.wait(60)
    assert code == 0
    for text, names in ((out, {"proxy": "p", "backend": "b"}), (container.err, {"proxy": "P", "backend": "B"})):
        found: dict[str, Counter[str]] = {"proxy": Counter(), "backend": Counter(), "pillion": Counter()}
        for line in text.splitlines():
            program, own = _told(line, log_format)
            found[program][own] += 1
        for program, name in names.items():
            assert found[program] == {name * 100_000: 20, json.dumps({"own": name * 100_000}): 20}


def _told(line: str, log_format: str) -> tuple[str, str]:
    """The program and what it wrote."""
    if log_format == "text":
        program, _, own = line.partition("| ")
        return program.strip(), own
    fields = json.loads(line)
    return fields["program"], fields.get("line") or json.dumps({"own": fields["own"]})


def test_warnings_before_the_start_are_json_too(start: Start) -> None:
    """What reads the log need not know who wrote a line."""
    container = start("exit", "0", environ={**JSON, b"PORXY__TOKEN": b"x"}, apart=True)
    assert container.wait()[0] == 0
    first = json.loads(container.err.splitlines()[0])
    assert first["program"] == "pillion" and "did you mean PROXY__TOKEN?" in first["line"]


@pytest.mark.parametrize("end", ["exit 3", "kill -9 $$"])
def test_a_last_line_needs_no_newline(start: Start, end: str) -> None:
    """S16: however abruptly the program ended."""
    code, out = start(command=["/bin/sh", "-c", f"printf last; {end}"], environ={b"PILLION_RESTARTS": b"0"}).wait()
    assert code != 0 and "backend | last" in out.splitlines()


def test_a_reader_that_takes_nothing_does_not_hold_up_a_stop(start: Start) -> None:
    """S17: the flooding backend blocks on its own pipe; signals are served, and its last line is whole."""
    container = start("flood", environ={b"PILLION_DEADLINE": b"600"})
    container.ready()
    out = container.process.stdout
    assert out is not None
    eventually(lambda: _unread(out.fileno()) == _unread(out.fileno()) > 30_000)
    # Both pipes are full by now, the backend's and ours: it blocks, and ends at its stop signal all the same.
    container.process.send_signal(signal.SIGTERM)
    assert container.process.wait(timeout=20) == 0
    out.close()


def _unread(descriptor: int) -> int:
    waiting = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0]
