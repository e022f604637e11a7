"""Every exit code and every fatal signal of a program, through a real supervisord, becomes the container's exit code.

supervisord is imported once and forked for each of them, and its programs are a shell in the place of the command that
it starts, so that three hundred containers take seconds. Six codes go the whole way in `test_supervise_restarts.py` and
in real containers.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# What ends a process that does not handle it (signal(7)); 32 and 33 belong to the C library.
HARMLESS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
STOPS = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
FATAL = sorted({*range(1, 65)} - HARMLESS - STOPS - {32, 33})
EXPECTED = {f"exit {code}": code for code in range(256)} | {f"kill -{number} $$": 128 + number for number in FATAL}

# In a process of its own: the workers of a supervisord are nobody else's children.
RUNNER = """
import json, os, signal, sys
from pathlib import Path
from pillion.image.launch import DESCRIPTORS_VARIABLE, RUN_DIRECTORY_VARIABLE, LaunchRecord, hand_over
from pillion.image.supervise.daemon import supervise
from pillion.image.supervision import SUPERVISION_VARIABLE, Supervision
import pillion.image.supervise.plugin, supervisor.http, supervisor.process, supervisor.dispatchers

def container(root, end):
    folder = Path(root, "run")
    folder.mkdir()
    for descriptor in (1, 2):
        os.dup2(os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them; `pillion exec` gives them back
    os.environ.clear()
    os.environ["END"] = end
    os.environ["PATH"] = f"{sys.argv[1]}:/usr/bin:/bin"
    os.environ[RUN_DIRECTORY_VARIABLE] = str(folder)
    os.environ[SUPERVISION_VARIABLE] = Supervision(restarts=0).to_json()
    records = [LaunchRecord(name, ("unused",), {}) for name in ("proxy", "backend")]
    os.environ[DESCRIPTORS_VARIABLE] = hand_over(records)
    return supervise()

ends, found, running = json.load(sys.stdin), {}, {}
while ends or running:
    while ends and len(running) < 4:
        end = ends.pop()
        root = Path(sys.argv[1], str(len(ends)))
        root.mkdir()
        pid = os.fork()
        if pid == 0:
            code = 255
            try:
                code = container(root, end)
            finally:
                os._exit(code)
        running[pid] = end
    pid, status = os.wait()
    found[running.pop(pid)] = os.waitstatus_to_exitcode(status)
json.dump(found, sys.stdout)
"""
# Both programs of supervisord.conf: `pillion exec NAME`.
PROGRAM = """#!/bin/sh
ulimit -c 0
[ "$2" = proxy ] && exec sleep 60
eval "$END"
"""


@pytest.mark.usefixtures("nothing_left")
def test_the_container_ends_as_its_backend_did() -> None:
    """All 256 codes, and 128 + every fatal signal."""
    with tempfile.TemporaryDirectory(prefix="codes-") as folder:
        program = Path(folder, "pillion")
        program.write_text(PROGRAM)
        program.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", RUNNER, folder],
            input=json.dumps(list(EXPECTED)),
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
    found = json.loads(done.stdout)
    assert len(found) == len(EXPECTED) > 300
    assert {end: code for end, code in found.items() if code != EXPECTED[end]} == {}
