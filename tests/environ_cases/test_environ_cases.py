"""The cases are well formed: else a tool is scored against mistakes of ours."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from tests.environ_cases.cases import (
    CASE_FILE,
    FOLDER,
    FORMATS,
    KINDS,
    LOUD,
    NEEDS,
    ORIGINS,
    SEVERITIES,
    TOGETHER,
    Case,
    CaseFile,
    Expected,
    Finding,
    Malformed,
    load,
    load_all,
    read_case,
    score,
)

CASES = load_all()
FOLDERS = sorted(folder for kind in ("incidents", "healthy") for folder in (FOLDER / kind).iterdir() if folder.is_dir())
INSTRUCTION = re.compile(
    r"(ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR)\s"
)
WITHOUT_SCHEMA = ("List", "RayCluster")
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_folder_is_a_case(folder: Path) -> None:
    assert (folder / CASE_FILE).is_file()


@every_case
def test_words_are_those_of_the_format(case: Case) -> None:
    assert case.source.startswith("https://")
    assert all(place.startswith("https://") for place in case.also)
    assert case.together in TOGETHER
    for expected in case.expected:
        assert expected.kind in KINDS
        assert expected.severity in SEVERITIES
        assert expected.needs in NEEDS
        assert expected.at
        assert expected.programs
        assert set(expected.programs) <= case.programs.keys()


@every_case
def test_an_incident_expects_something_and_a_healthy_case_nothing_loud(case: Case) -> None:
    if case.healthy:
        assert not [expected for expected in case.expected if expected.severity in LOUD]
    else:
        assert case.expected
    names = [name for expected in case.expected for name in (expected.name, *expected.aka)]
    assert len(names) == len(set(names))


@every_case
def test_every_file_is_told_of(case: Case) -> None:
    folder = FOLDER / ("healthy" if case.healthy else "incidents") / case.name
    assert {file.name for file in case.files} | {CASE_FILE} == {file.name for file in folder.iterdir()}
    for file in case.files:
        assert file.form in FORMATS, file.name
        assert file.origin in ORIGINS, file.name
        assert len(file.text.splitlines()) <= 120, f"{file.name} is not reduced"


@every_case
def test_every_file_can_be_read(case: Case) -> None:
    for file in case.files:
        if file.form in CHECKS:
            CHECKS[file.form](file)


@every_case
def test_expected_names_are_in_the_files(case: Case) -> None:
    """In one at least of the lines that a finding may point at."""
    lines = {file.name: file.text.splitlines() for file in case.files}
    for expected in case.expected:
        shown = [lines[place.file][place.line - 1].lower().replace("_", "-") for place in expected.at]
        assert any(told(expected) in line for line in shown), (expected.name, shown)


def told(expected: Expected) -> str:
    """How a file shows it: a port by its number, a service link by the Service, another's HOME by the user."""
    name = expected.name.lower().replace("_", "-")
    if expected.kind == "service-link":
        return re.split("-port|-service", name)[0]
    return {"port": name.split("/")[0], "user": "user"}.get(expected.kind, name)


def test_there_are_enough_of_both() -> None:
    assert Counter(case.healthy for case in CASES).most_common()[-1][1] >= 20


def test_sources_and_names_are_unique() -> None:
    for counted in (Counter(case.source for case in CASES), Counter(case.name for case in CASES)):
        assert not [value for value, times in counted.items() if times > 1]


def kubernetes(file: CaseFile) -> None:
    documents = [document for document in yaml.safe_load_all(file.text) if document is not None]
    assert documents
    for document in documents:
        assert {"apiVersion", "kind", "metadata"} <= document.keys()
        if document["kind"] not in WITHOUT_SCHEMA:
            kubernetes_validate.validate(document, "1.32", strict=True)


def compose(file: CaseFile) -> None:
    """Valid by the Compose specification; interpolations are filled in with their default, or a digit."""
    assert yaml.safe_load(file.text)["services"]
    text = re.sub(r"\$\{\w+(?::-([^}]*))?\}", lambda found: found[1] or "1", file.text)
    # The network that is always there is not known to this parser.
    PyCompose.from_yaml(text if "\nnetworks:" in text else f"{text}networks: {{default: {{}}}}\n").validate()


def dockerfile(file: CaseFile) -> None:
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", file.text, flags=re.MULTILINE))
    instructions = [line for line in joined.splitlines() if line.strip()]
    assert all(INSTRUCTION.match(line) for line in instructions)
    assert any(line.startswith("FROM ") for line in instructions)


def supervisord(file: CaseFile) -> None:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read_string(file.text)
    assert any(section.startswith(("program:", "supervisord")) for section in parser.sections())


def env(file: CaseFile) -> None:
    for line in file.text.splitlines():
        assert not line.strip() or line.startswith("#") or re.match(r"(export )?[A-Za-z_][A-Za-z0-9_.-]*=", line), line


def shell(file: CaseFile) -> None:
    interpreter = shutil.which("bash") if "bash" in file.text.partition("\n")[0] else shutil.which("sh")
    assert interpreter
    subprocess.run([interpreter, "-n"], input=file.text, text=True, check=True, timeout=60, capture_output=True)


CHECKS = {
    "kubernetes": kubernetes,
    "compose": compose,
    "dockerfile": dockerfile,
    "supervisord": supervisord,
    "env": env,
    "shell": shell,
}

MADE_UP = """
source: https://example.com/1
licence: none
story: two programs bind PORT
stated: nothing
reconstructed: everything
together: container
files: {a.env: "env, reconstructed"}
programs: {one: a server, two: another}
expected:
  - {name: PORT, kind: variable, severity: S1, programs: [one, two], why: both bind it, needs: readers,
     at: [{a.env: PORT=1}], aka: [1/tcp]}
"""


def test_findings_are_scored_by_name_then_place_then_severity() -> None:
    case = read_case("made-up", False, MADE_UP, {"a.env": "X=1\nPORT=1\n"})
    exact = Finding("made-up", "a.env", 2, "PORT", "S1", "variable")
    assert score(case, [exact])[:5] == ("made-up", 1, 1, 1, 1)
    assert score(case, [exact._replace(line=1)])[:5] == ("made-up", 1, 1, 0, 1)
    assert score(case, [exact._replace(severity="S3")])[:5] == ("made-up", 1, 1, 1, 0)
    assert score(case, [exact._replace(name="1/tcp")])[:5] == ("made-up", 1, 1, 1, 1)
    assert score(case, [exact._replace(case="other")]).missed == case.expected
    other = exact._replace(name="X")
    assert score(case, [other]).unlisted == (other,)
    assert score(case, [other]).false_alarms == ()


def test_a_loud_finding_in_a_healthy_case_is_a_false_alarm() -> None:
    text = MADE_UP.partition("expected:")[0]
    case = read_case("made-up", True, text, {"a.env": "X=1\nPORT=1\n"})
    loud, quiet = (Finding("made-up", "a.env", 2, "PORT", severity) for severity in ("S1", "S2"))
    assert score(case, [loud, quiet]).false_alarms == (loud,)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (MADE_UP.replace("story:", "tale:"), "unknown keys"),
        (MADE_UP.replace("licence: none\n", ""), "licence"),
        (MADE_UP.replace("PORT=1", "NONE=1"), "0 lines"),
        (MADE_UP.replace("a.env: PORT", "b.env: PORT"), "no file b.env"),
        (MADE_UP.replace("two programs bind PORT", "[]"), "not a text"),
    ],
)
def test_a_malformed_case_is_refused(broken: str, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        read_case("made-up", False, broken, {"a.env": "X=1\nPORT=1\n"})


def test_a_case_is_loaded_from_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "incidents" / "made-up"
    folder.mkdir(parents=True)
    (folder / CASE_FILE).write_text(MADE_UP)
    (folder / "a.env").write_text("X=1\nPORT=1\n")
    assert load(folder) == load_all(tmp_path)[0]
    assert load(folder).expected[0].at[0] == ("a.env", 2)
