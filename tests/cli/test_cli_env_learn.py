"""`pillion env learn`: what two programs read in a trial run, how sure that is, and what the linter makes of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pillion.image.environ.learning import Read, catalogue_text, clashes, rows
from pillion.image.lint.catalogue_file import read_catalogue
from pillion.image.observe import observation as hooks
from tests.conftest import ENTRY, PairFile, cannot_test

BACKEND = """
import http.server, os
taken = dict(os.environ)
taken.get("NOT_SEEN")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/late":
            os.getenv("LATE")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass

os.environ.get("RETRY_AFTER"), os.environ["TOKEN"], "MODE" in os.environ
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
# A shell, and a Python that takes no hook.
FRONT = f"""#!/bin/sh
echo "$MODE$PORT" > /dev/null
exec {sys.executable} -I -m http.server "$PORT" --bind 127.0.0.1
"""


def learn(*arguments: str | Path, code: int = 0) -> str:
    """What it prints; no value, no traceback."""
    done = subprocess.run([ENTRY, "env", "learn", *arguments], capture_output=True, text=True, timeout=90, check=False)
    assert "canary" not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def pod(pair_file: PairFile, tmp_path: Path) -> PairFile:
    """A backend that reads, beside Pillion's proxy."""
    (tmp_path / "app.py").write_text(BACKEND)
    pair_file.backend["command"] = [sys.executable, "app.py"]
    pair_file.backend["env"].append({"name": "TOKEN", "value": "canary-token"})
    return pair_file


@pytest.mark.usefixtures("nothing_left")
def test_what_is_read_and_what_both_read(pod: PairFile, tmp_path: Path) -> None:
    """Observed with its place, also what a request alone reads; the proxy's declared settings; a name that both read
    and nothing sets; what took the whole. As a catalogue the linter finds it by."""
    output = tmp_path / "learned.yaml"
    found: dict[str, Any] = json.loads(learn(pod.write(), "--request", "/late", "-o", output, "--json"))
    backend, proxy = found["programs"]["backend"], found["programs"]["proxy"]
    assert backend["observed"] == ["python"]
    for name, line in {"RETRY_AFTER": 16, "TOKEN": 16, "MODE": 16, "PORT": 17, "LATE": 9}.items():
        read = backend["reads"][name]
        assert read["sure"] == "observed" and read["at"].endswith(f"app.py:{line}"), (name, read)
    assert "NOT_SEEN" not in backend["reads"] and any(at.endswith("app.py:3") for at in backend["whole"])
    assert proxy["observed"] == ["python"] and proxy["reads"]["RETRY_AFTER"]["sure"] == "declared"
    clash = {each["name"]: (each["severity"], each["given"]) for each in found["clashes"]}
    assert clash["RETRY_AFTER"] == ("S2", []) and clash["PORT"] == ("S1", ["backend", "proxy"]) and "MODE" not in clash
    lint = [ENTRY, "env", "lint", str(pod.path), "--catalogue", str(output)]
    said = subprocess.run(lint, capture_output=True, text=True, timeout=60, check=False).stdout
    assert "S2 RETRY_AFTER: backend and proxy read it alike: one value replaces the other; nothing sets it" in said
    assert "TOKEN" not in output.read_text()
    assert "name a file that is not there yet" in learn(pod.path, "-o", output, code=2)


@pytest.mark.usefixtures("nothing_left")
def test_what_cannot_be_observed_is_scanned_and_said_to_be(pod: PairFile, tmp_path: Path) -> None:
    """Another's proxy, started by a shell."""
    (tmp_path / "front.sh").write_text(FRONT)
    (tmp_path / "ready").touch()
    pod.proxy |= {"image": "nginx", "command": ["sh", "front.sh"]}
    pod.backend["env"].append({"name": "MODE", "value": "canary-mode"})
    text = learn(pod.write())
    assert "proxy: not observed" in text and "MODE                     scanned: front.sh:2:7" in text
    assert "S2 MODE: both read it (backend given it)" in text
    assert "app.py:3 takes the whole environment: what it uses of that cannot be seen" in text


@pytest.mark.usefixtures("nothing_left")
def test_a_program_that_does_not_come_up_is_a_failure(pod: PairFile) -> None:
    """As in any other run, but that what it says of its values is not passed on."""
    pod.backend["command"] = [sys.executable, "-c", "import os; os.environ[os.environ['TOKEN']]"]
    assert "its last line: KeyError: '***'" in learn(pod.write(), code=1)


def test_node_is_observed_from_within(tmp_path: Path) -> None:
    """Reads, reads of the whole, and children; what the program had in NODE_OPTIONS stays."""
    if shutil.which("node") is None:
        cannot_test("not installed: node")
    (tmp_path / "app.js").write_text(
        "process.env.MODE; 'FLAG' in process.env;\nconst all = {...process.env};\nprocess.env.TOKEN\n"
        "require('child_process').execFileSync(process.execPath, ['-e', 'process.env.CHILD']);\n"
        "console.log(all.TOKEN, process.env.TOKEN, Object.keys(process.env).includes('TOKEN'), process.title);\n"
    )
    (tmp_path / "hooks").mkdir()
    own = {"PATH": os.environ["PATH"], "TOKEN": "canary", "NODE_OPTIONS": "--title=own"}
    environ = hooks.observed(own, tmp_path / "hooks")
    command = [shutil.which("node") or "", "app.js"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "canary canary true own\n"
    seen = hooks.observation(tmp_path / "hooks")
    assert seen.runtimes == ("node",) and "canary" not in (tmp_path / "hooks" / "reads.log").read_text()
    assert {"MODE", "FLAG", "TOKEN", "CHILD"} <= seen.reads.keys() and "PATH" not in seen.reads
    assert seen.reads["MODE"].at.endswith("app.js:1") and seen.wholes[0].endswith("app.js:2")


def test_the_hook_lets_the_program_be(tmp_path: Path) -> None:
    """Another sitecustomize is still imported, PYTHONPATH kept; a log that is gone, or is no log, harms nobody."""
    others, hook = tmp_path / "others", tmp_path / "hooks"
    others.mkdir()
    hook.mkdir()
    (others / "sitecustomize.py").write_text("print('other')\n")
    environ = hooks.observed({"PYTHONPATH": str(others), "A": "x"}, hook)
    code = "import os; print(os.environ.get('A'), os.environ.pop('A'), 'A' in os.environ, len(os.environ) > 2)"
    log = hook / "reads.log"
    for damage in (None, log.unlink, lambda: log.write_text("no JSON\n[]\n{}\n")):
        if damage:
            damage()
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, env=environ, capture_output=True, text=True, timeout=60
        )
        assert (done.stdout, done.stderr) == ("other\nx x False True\n", "")
        if log.exists():
            assert "A" in hooks.observation(hook).reads


def test_clashes_and_rows() -> None:
    """What both only have from the same library is noise; surroundings and shared classes are none; a secret is no
    row; what is only scanned is only perhaps read. The text is the catalogue's."""
    ours, theirs, runtime = Read("observed", "a:1"), Read("observed", "b:1", "library"), Read("scanned", "c", "runtime")
    reads = {
        "app": {"MODE": ours, "PWD": ours, "TZ": ours, "LIB": theirs, "TOKEN": ours, "PORT": runtime, "OWN": runtime},
        "web": {"MODE": Read("scanned", "s"), "PWD": ours, "TZ": ours, "LIB": theirs, "TOKEN": ours, "PORT": ours},
    }
    found = {each.name: (each.severity, each.given) for each in clashes(reads, {"app": ["PORT"], "web": []})}
    assert found == {"PORT": ("S1", ("app",)), "TOKEN": ("S2", ()), "MODE": ("S2", ()), "LIB": ("S3", ())}
    entries = rows(reads)
    assert [each.patterns for each in entries] == [("LIB",), ("MODE",), ("PORT",)]
    assert entries[1].readers == ("@app",) and entries[1].may_read == ("@web",)


def test_what_is_written_is_what_the_linter_reads(tmp_path: Path) -> None:
    """Whatever the names."""
    reads = {"a": {'ODD"\\: {}#': Read("observed"), "MODE": Read("observed")}, "b": {"MODE": Read("scanned")}}
    file = tmp_path / "learned.yaml"
    file.write_text(catalogue_text(rows(reads)))
    assert read_catalogue(str(file)) == tuple(rows(reads))
    file.write_text(catalogue_text([]))
    assert read_catalogue(str(file)) == ()
