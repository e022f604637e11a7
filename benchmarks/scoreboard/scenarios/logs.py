"""The container's log."""

from __future__ import annotations

import array
import fcntl
import json
import sys
import termios
from collections import Counter

from benchmarks.scoreboard.running import Line, Missed, eventually
from benchmarks.scoreboard.stage import PROGRAMS, Scenario, Stage

WRITERS = (sys.executable, str(PROGRAMS / "writers.py"))
EACH, LONG = 40, 100_000
LAST = "the last words"


def long_lines(stage: Stage) -> str:
    """Both programs, both streams, 100 kB a line."""
    folder = stage.folder / "writers"
    folder.mkdir()
    running = stage.start(command=(*WRITERS, str(folder), "b", "p"), proxy=(*WRITERS, str(folder), "p", "b"), grace_s=6)
    eventually(lambda: len(list(folder.glob("done-*"))) == 2, "all is written", 30)
    running.signal()
    running.wait(8)
    found: Counter[str] = Counter()
    named: dict[str, set[str]] = {}
    for line in running.log:
        letter, name = _whole(line)
        found[letter] += bool(letter)
        named.setdefault(letter, set()).add(name)
    torn = 4 * EACH - sum(found[letter] for letter in "bBpP")
    if torn:
        raise Missed(f"{torn} of {4 * EACH} lines are torn, mixed or in the wrong stream")
    if named["b"] & named["p"]:
        raise Missed("whole, but which program's they are is not said")
    return ""


def _whole(line: Line) -> tuple[str, str]:
    """The letter of a line that is one writer's alone and in its stream, and what stands before it."""
    text = line.text
    letter = text[LONG // -2 :][:1]
    if not letter or letter.islower() != (line.stream == "stdout"):
        return "", ""
    for own in (letter * LONG, json.dumps({"own": letter * LONG})):
        before = text.removesuffix(own)
        if text.endswith(own) and len(before) < 100 and letter * 3 not in before:
            return letter, before
    return "", ""


def last_words(stage: Stage) -> str:
    for end in ("exit 3", "kill -9 $$"):
        running = stage.start(command=("/bin/sh", "-c", f"printf '{LAST}'; {end}"))
        try:
            running.says(LAST, 4)
        except Missed:
            # A reader that waits for lines sees what has none when the container ends.
            running.signal()
            running.wait(6)
            if not any(LAST in line.text for line in running.log):
                raise Missed(f"lost before `{end}`") from None
        running.end()
    return ""


def nobody_reads(stage: Stage) -> str:
    running = stage.start("flood", reads=False)
    running.ready()
    pipe = running.pipes[0].fileno()
    eventually(lambda: _unread(pipe) == _unread(pipe) > 30_000, "the pipe is full", 10)
    running.signal()
    if running.wait(running.pair.grace_s) is None:
        raise Missed("SIGTERM is not served")
    return ""


def _unread(descriptor: int) -> int:
    waiting = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return waiting[0]


SCENARIOS = (
    Scenario("S15", "100 kB lines of both programs: whole, named, stderr apart", long_lines),
    Scenario("S16", "a last line without newline before the end is logged", last_words),
    Scenario("S17", "nobody reads the log: SIGTERM is served", nobody_reads),
)
