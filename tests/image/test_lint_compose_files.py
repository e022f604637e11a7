"""Compose projects of several files: `include` and `extends`, as Compose brings them together."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillion.image.environ.lint.program import Program
from pillion.image.lint.read import Wish, read_files
from tests.image.lint_files import at, lint, read, write


def programs(folder: Path, files: dict[str, str | bytes]) -> dict[str, Program]:
    """Those of the first file, which is the only one that is named."""
    got = read_files(write(folder, files)[:1], Wish())
    assert not got.broken
    (group,) = got.reading.groups
    return {program.name: program for program in group.programs}


def values(program: Program) -> dict[str, str | None]:
    """Its variables."""
    return {name: each.value for name, each in program.declared.items()}


def test_included_services_are_of_the_project(tmp_path: Path) -> None:
    """With the folder and the `.env` of their own, which counts less than the project's; also in turn."""
    files: dict[str, str | bytes] = {
        "compose.yaml": "include: [db/compose.yaml]\nservices: {web: {image: w, environment: {A: $LEVEL}}}\n",
        ".env": "LEVEL=outer\n",
        "db/compose.yaml": "include: [{path: more/c.yaml, env_file: other.env}]\n"
        "services: {db: {image: d, env_file: [d.env], environment: {B: $LEVEL, C: $OWN}}}\n",
        "db/.env": "LEVEL=inner\nOWN=db\n",
        "db/d.env": "D=1\n",
        "db/more/c.yaml": "services: {cache: {image: c, environment: {E: $OTHER}}}\n",
        "db/other.env": "OTHER=o\n",
    }
    found = programs(tmp_path, files)
    assert list(found) == ["cache", "db", "web"] or {*found} == {"web", "db", "cache"}
    assert values(found["web"]) == {"A": "outer"}
    assert values(found["db"]) == {"D": "1", "B": "outer", "C": "db"}
    assert values(found["cache"]) == {"E": "o"}
    assert found["db"].declared["B"].place.file == str(tmp_path / "db/compose.yaml")


def test_a_conflict_with_an_included_service_is_one(tmp_path: Path) -> None:
    """Placed in the file where each stands."""
    files: dict[str, str | bytes] = {
        "compose.yaml": "include:\n  - db.yaml\nservices:\n  web: {image: node, environment: {PORT: 1}}\n",
        "db.yaml": "services:\n  db: {image: node, environment: {PORT: 2}}\n",
    }
    paths = write(tmp_path, files)
    found = lint(tmp_path, {"compose.yaml": files["compose.yaml"]})["PORT"]
    assert {at(tmp_path, found), str(found.also[0].place).removeprefix(f"{tmp_path}/")} == {
        "compose.yaml:4:36", "db.yaml:2:35",
    }  # fmt: skip
    in_folder, named = read_files([str(tmp_path)], Wish()), read_files(paths, Wish())
    assert len(in_folder.reading.groups) == 1 and len(named.reading.groups) == 2


def test_what_is_included_by_two_ways_is_there_once(tmp_path: Path) -> None:
    """And thirty files of which each includes the next by two ways are read in no time."""
    files: dict[str, str | bytes] = {
        f"{n}{side}.yaml": f"include: [{n + 1}a.yaml, {n + 1}b.yaml]\nservices: {{s{n}{side}: {{image: x}}}}\n"
        for n in range(30)
        for side in "ab"
    }
    files |= {f"30{side}.yaml": f"services: {{last{side}: {{image: x}}}}\n" for side in "ab"}
    got = read_files(write(tmp_path, files)[:1], Wish())
    assert not got.broken and len(got.reading.groups[0].programs) == 61
    assert [remark for remark in got.reading.remarks if remark.rule == "twice"] == []


def test_several_files_of_one_include_add_to_one_another(tmp_path: Path) -> None:
    """The later counts; a service of the including file under the same name is what Compose refuses."""
    files: dict[str, str | bytes] = {
        "compose.yaml": "include: [{path: [a.yaml, b.yaml]}]\nservices: {}\n",
        "a.yaml": "services: {db: {image: a, environment: {A: 1, B: 1}}, web: {image: x}}\n",
        "b.yaml": "services: {db: {image: b, environment: {B: 2}}}\n",
    }
    found = programs(tmp_path, files)
    assert found["db"].image == "b" and values(found["db"]) == {"A": "1", "B": "2"} and found["web"].image == "x"
    files["compose.yaml"] = "include: [a.yaml]\nservices: {web: {image: y}}\n"
    assert lint(tmp_path, files)["web"].severity == "S1"


def test_a_service_extends_that_of_another_file(tmp_path: Path) -> None:
    """Its environment first, its files from its own folder; in turn; what is overridden."""
    files: dict[str, str | bytes] = {
        "compose.yaml": "services:\n  web:\n    extends: {file: base/common.yaml, service: app}\n"
        "    environment: {B: web}\n    ports: ['1:80']\n",
        "base/common.yaml": "services:\n"
        "  app: {extends: root, image: i, environment: {A: app, B: app}, env_file: c.env}\n"
        "  root: {command: gunicorn, expose: ['81'], environment: {R: $LEVEL}, build: .}\n",
        "base/c.env": "C=c\n",
        "base/Dockerfile": "FROM x\nENV D=d\nEXPOSE 8000\n",
        ".env": "LEVEL=mine\n",
        "base/.env": "LEVEL=other\n",
    }
    (web,) = programs(tmp_path, files).values()
    assert values(web) == {"A": "app", "B": "web", "C": "c", "R": "mine", "D": "d"}
    assert web.image == "i" and web.words == ("gunicorn",) and [port.number for port in web.ports] == [80, 81]


CIRCLE = {
    "itself": {"compose.yaml": "include: [compose.yaml]\nservices: {a: {image: x}}\n"},
    "in turn": {
        "compose.yaml": "include: [b/c.yaml]\nservices: {a: {image: x}}\n",
        "b/c.yaml": "include: [../compose.yaml]\nservices: {b: {image: x}}\n",
    },
    "extends": {"compose.yaml": "services: {a: {extends: b}, b: {extends: {service: a}}}\n"},
    "extends itself": {"compose.yaml": "services: {a: {extends: a}}\n"},
    "extends elsewhere": {
        "compose.yaml": "services: {a: {extends: {file: b.yaml, service: b}}}\n",
        "b.yaml": "services: {b: {extends: {file: compose.yaml, service: a}}}\n",
    },
}


@pytest.mark.parametrize("files", CIRCLE.values(), ids=CIRCLE)
def test_a_circle_is_an_error_with_its_place(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    """And no endless search."""
    (broken,) = read_files(write(tmp_path, files)[:1], Wish()).broken
    assert "one another in a circle" in broken.why and broken.place.line == 1


def test_what_is_not_there_or_cannot_be_is_told(tmp_path: Path) -> None:
    """Remote files, missing ones, names that no file has; a file that is no Compose file is an error."""
    names = ["https://example.com/c.yaml", "absent.yaml", '"a\\0b"', "x" * 5000, "$UNSET", ".", "[]"]
    text = "".join(f"  - {name}\n" for name in names)
    extends = "services:\n  a:\n    extends: {file: absent.yaml, service: a}\n  b: {extends: c}\n"
    got = read(tmp_path, {"compose.yaml": f"include:\n{text}{extends}"})
    told = [remark.place.line for remark in got.reading.remarks if remark.rule == "elsewhere"]
    assert not got.broken and told == [2, 3, 4, 5, 6, 7, 11, 12]
    (broken,) = read(tmp_path, {"compose.yaml": "include: [x.yaml]\nservices: {}\n", "x.yaml": "a: b\n"}).broken
    assert broken.why.endswith("x.yaml is no Compose file") and broken.place.line == 1
    many = "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(100)) + "  s100: {image: x}\n"
    (broken,) = read(tmp_path, {"compose.yaml": f"services:\n{many}"}).broken
    assert "extends more than 50" in broken.why
    chain = {f"{n}.yaml": f"include: [{n + 1}.yaml]\nservices: {{s{n}: {{image: x}}}}\n" for n in range(300)}
    got = read_files(write(tmp_path, chain)[:1], Wish())
    assert "leads to more than 200 files" in got.broken[0].why
