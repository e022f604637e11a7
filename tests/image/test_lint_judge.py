"""The rules: what collides in a container that is shared, and what would in one that is not yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillion.image.environ.catalogue import CATALOGUE, Catalogue
from pillion.image.environ.lint.finding import RULES
from pillion.image.environ.readers import ANY, KINDS, kinds_of, named_on
from pillion.image.environ.secrets import is_secret
from pillion.image.lint.read import Wish
from tests.image.lint_files import at, lint


def pod(*containers: str) -> str:
    """A Pod of these containers."""
    return "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n" + "".join(
        f"    - {{{container}}}\n" for container in containers
    )


def env(**variables: str) -> str:
    """A container's `env`."""
    return "env: [" + ", ".join(f'{{name: {name}, value: "{value}"}}' for name, value in variables.items()) + "]"


def test_unlike_values_of_one_name_collide_and_equal_ones_do_not(tmp_path: Path) -> None:
    """At both places, with who is concerned; rated by the catalogue."""
    two = pod("name: a, " + env(PORT="1", MODE="x", TZ="UTC"), "name: b, " + env(PORT="2", MODE="y", TZ="UTC"))
    found = lint(tmp_path, {"p.yaml": two})
    assert {name: finding.severity for name, finding in found.items()} == {"PORT": "S1", "MODE": "S2"}
    assert at(tmp_path, found["PORT"]) == "p.yaml:6:30" and found["PORT"].also[0].place.line == 7
    assert found["PORT"].programs == ("a", "b") and found["PORT"].group == "Pod/p"


def test_the_same_reference_is_the_same_value(tmp_path: Path) -> None:
    """Known or not; another key of the Secret is another value."""
    reference = "env: [{name: KEY, valueFrom: {secretKeyRef: {name: s, key: %s}}}]"
    same = pod("name: a, " + reference % "x", "name: b, " + reference % "x")
    assert "KEY" not in lint(tmp_path, {"p.yaml": same})
    other = pod("name: a, " + reference % "x", "name: b, " + reference % "y")
    assert lint(tmp_path, {"p.yaml": other})["KEY"].severity == "S0"


def test_a_name_of_one_reaches_who_reads_it(tmp_path: Path) -> None:
    """Certainly: as bad as the catalogue says. By convention: a warning. Nobody known: not a word."""
    owner = "name: a, " + env(WEB_CONCURRENCY="4", LOG_LEVEL="x", RANDOM_NAME="1")
    assert lint(tmp_path, {"p.yaml": pod(owner, "name: b, command: [gunicorn, x]")})["WEB_CONCURRENCY"].severity == "S1"
    found = lint(tmp_path, {"p.yaml": pod(owner, "name: b, image: node:22")})
    assert found["WEB_CONCURRENCY"].severity == "S2" and found["LOG_LEVEL"].severity == "S2"
    assert not lint(tmp_path, {"p.yaml": pod(owner, "name: b, image: nginx")})
    refers = lint(tmp_path, {"p.yaml": pod(owner, "name: b, args: ['--x=$(RANDOM_NAME)']")})
    assert refers["RANDOM_NAME"].severity == "S2"


def test_a_secret_of_one_is_said_quietly_while_each_has_a_container(tmp_path: Path) -> None:
    """A merge that splits keeps it; in a container that is shared today the others have it."""
    assert lint(tmp_path, {"p.yaml": pod("name: a, " + env(API_TOKEN="x"), "name: b")})["API_TOKEN"].severity == "S3"
    conf = "[supervisord]\n[program:a]\ncommand=x\n[program:b]\ncommand=y\n"
    given = lint(tmp_path / "given", {"supervisord.conf": conf, "app.env": "API_TOKEN=x\n"})["API_TOKEN"]
    baked = lint(tmp_path / "baked", {"supervisord.conf": conf, "Dockerfile": "FROM x\nENV API_TOKEN=x\n"})["API_TOKEN"]
    assert (given.severity, baked.severity) == ("S2", "S0") and given.programs == ("a", "b")


def test_two_programs_on_one_port(tmp_path: Path) -> None:
    """Declared, or by a variable that names a program's own port; another's port is no conflict."""
    two = pod("name: a, ports: [{containerPort: 80}]", "name: b, " + env(METRICS_PORT="80"))
    assert lint(tmp_path, {"p.yaml": two})["80/tcp"].severity == "S1"
    client = pod("name: a, ports: [{containerPort: 6379}]", "name: b, " + env(REDIS_PORT="6379"))
    assert not lint(tmp_path, {"p.yaml": client})


SERVICE = "---\napiVersion: v1\nkind: Service\nmetadata: {name: app}\n"


def test_service_links_that_a_program_reads_as_its_own(tmp_path: Path) -> None:
    """Told by the shape of the names; a value of the manifest's own outranks them; a namesake is a quiet hint."""
    files = {"p.yaml": pod("name: a, args: ['$(APP_PORT)']") + SERVICE}
    assert lint(tmp_path / "1", files)["APP_PORT"].severity == "S1"
    assert lint(tmp_path / "2", {"p.yaml": pod("name: app") + SERVICE})["APP_PORT"].severity == "S3"
    assert not lint(tmp_path / "3", {"p.yaml": pod("name: app, " + env(APP_PORT="1")) + SERVICE})
    read = {"p.yaml": pod("name: a") + SERVICE, "entry.sh": "exec server --port ${APP_PORT:-1}\n"}
    found = lint(tmp_path / "4", read)["APP_PORT"]
    assert found.severity == "S1" and at(tmp_path / "4", found) == "p.yaml:10:18"


@pytest.mark.parametrize(
    ("name", "value", "severity"),
    [
        ("JAVA_OPTS", "-Dcom.sun.management.jmxremote.port=8011", "S1"),
        ("KAFKA_OPTS", "-javaagent:/agent.jar=7071:/c.yml", "S1"),
        ("JAVA_TOOL_OPTIONS", "-agentlib:jdwp=transport=dt_socket,server=y,address=5005", "S1"),
        ("NODE_OPTIONS", "--inspect=0.0.0.0:9229", "S1"),
        ("JAVA_OPTS", "-Xmx512m", "S3"),
        ("JAVA_TOOL_OPTIONS", "-javaagent:/agent.jar=service.name=orders", "S3"),
        ("NODE_OPTIONS", "--max-old-space-size=512", "S3"),
    ],
)
def test_options_that_make_each_process_listen(tmp_path: Path, name: str, value: str, severity: str) -> None:
    """For one program they are a port; every further one of the runtime binds it, too."""
    assert lint(tmp_path, {"p.yaml": pod("name: a, " + env(**{name: value}))})[name].severity == severity


def test_an_egress_proxy_that_takes_the_loopback_hop(tmp_path: Path) -> None:
    """Unless NO_PROXY, in either case, has the loopback names."""
    conf = "[supervisord]\n[program:a]\ncommand=x\n[program:b]\ncommand=y\n"
    proxy = "HTTP_PROXY=http://e:1\n"
    bare = lint(tmp_path / "1", {"supervisord.conf": conf, "a.env": proxy})
    assert bare["HTTP_PROXY"].severity == "S1"
    short = lint(tmp_path / "2", {"supervisord.conf": conf, "a.env": f"{proxy}NO_PROXY=intranet\n"})
    assert short["NO_PROXY"].severity == "S1"
    spared = lint(tmp_path / "3", {"supervisord.conf": conf, "a.env": f"{proxy}no_proxy=x, localhost\n"})
    assert {"HTTP_PROXY", "NO_PROXY", "no_proxy"} & {
        name for name, found in spared.items() if found.severity < "S2"
    } == set()


def test_an_empty_trust_store(tmp_path: Path) -> None:
    """To some clients it is none, to others no check."""
    assert lint(tmp_path, {"Dockerfile": 'FROM x\nENV CURL_CA_BUNDLE=""\n'})["CURL_CA_BUNDLE"].severity == "S0"


def test_what_supervisord_leaves_to_another_user(tmp_path: Path) -> None:
    """HOME and USER stay root's, unless `environment=` has them."""
    conf = "[supervisord]\n[program:a]\ncommand=x\nuser=www\n[program:b]\ncommand=y\nuser=www\n"
    conf += 'environment=HOME="/w",USER="www"\n'
    found = lint(tmp_path, {"supervisord.conf": conf})
    assert found["HOME"].programs == ("a",) and at(tmp_path, found["HOME"]) == "supervisord.conf:4:6"


def test_two_readers_of_an_inherited_name(tmp_path: Path) -> None:
    """By what they are, by their sources, by their command lines; who has its own value is none of them."""
    conf = "[supervisord]\n[program:a]\ncommand=node x\n[program:b]\ncommand=java -jar y\n"
    assert lint(tmp_path / "1", {"supervisord.conf": conf, "a.env": "PORT=1\n"})["PORT"].programs == ("a", "b")
    own = conf + "environment=PORT=2\n"
    assert lint(tmp_path / "2", {"supervisord.conf": own, "a.env": "PORT=1\n"})["PORT"].severity == "S3"
    sources = {"a.js": "process.env.MODE", "B.java": 'System.getenv("MODE")'}
    found = lint(tmp_path / "3", {"supervisord.conf": conf, "a.env": "MODE=1\n", **sources})["MODE"]
    assert found.severity == "S2" and len(found.also) == 2
    unset = lint(tmp_path / "4", {"supervisord.conf": conf, **sources})["MODE"]
    assert "nothing sets it" in unset.happens


def test_files_of_several_containers_together(tmp_path: Path) -> None:
    """Only if it is said that they would share one."""
    files = {"a.Dockerfile": "FROM x\nENV PORT=1\n", "b.Dockerfile": "FROM y\nENV PORT=2\n"}
    assert lint(tmp_path, files)["PORT"].severity == "S3"
    assert lint(tmp_path, files, Wish(together=True))["PORT"].severity == "S1"


def test_near_misses_and_values_that_cannot_be(tmp_path: Path) -> None:
    """Found without a second program."""
    text = pod("name: a, env: [{name: PORXY__X, value: 'v'}, {name: 'a=b', value: x}, {name: N, value: \"a\\0b\"}]")
    found = lint(tmp_path, {"p.yaml": text})
    assert (found["PORXY__X"].rule, found["env"].rule, found["N"].rule) == ("near-miss", "name", "nul")
    assert lint(tmp_path, {"p.yaml": pod("name: a, " + env(BIG="x" * 140_000))})["BIG"].rule == "size"


def test_the_catalogue_knows_its_readers() -> None:
    """Every reader is a kind, every rule is told of, and an entry of the user's comes first."""
    for entry in CATALOGUE:
        assert {*entry.readers, *entry.may_read} <= {*KINDS, ANY}
    assert all(text for text in RULES.values())
    own = CATALOGUE[0]._replace(patterns=("GUNICORN_*",), severity="S3")
    assert Catalogue((own, *CATALOGUE)).look_up("GUNICORN_CMD_ARGS").severity == "S3"


@pytest.mark.parametrize(
    ("words", "image", "kinds"),
    [
        (["gunicorn", "x"], "", {"gunicorn", "python"}),
        (["/bin/sh", "-c", "exec /venv/bin/uvicorn app"], "", {"uvicorn", "python"}),
        (["bundle", "exec", "puma"], "", {"puma", "ruby"}),
        ([], "registry.example:5000/library/node:22@sha256:0", {"node"}),
        ([], "example/orders", set()),
        (["/app/server"], "nginx", {"nginx"}),
        (["pillion", "proxy"], "", {"pillion", "gunicorn", "python"}),
        (["--node", "x"], "", set()),
    ],
)
def test_kinds_are_told_from_the_command_and_else_the_image(words: list[str], image: str, kinds: set[str]) -> None:
    """By the last part of a path, also within a shell's command line."""
    assert kinds_of(words, image) == kinds


def test_names_on_a_command_line() -> None:
    """In three spellings."""
    assert named_on(["$(A)", "x${B:-1}$C", "%(ENV_D)s", "$1", "plain"]) == {"A", "B", "C", "D"}


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DB_PASSWORD", "x", True),
        ("DB_PASSWORD", "", False),
        ("DB_PASSWORD_FILE", "/run/x", False),
        ("ALLOW_EMPTY_PASSWORD", "yes", False),
        ("TOKEN_TTL", "60", False),
        ("CACHE_URL", "redis://:pw@host", True),
        ("CACHE_URL", "redis://host", False),
        ("API_TOKEN", None, True),
    ],
)
def test_what_is_a_secret(name: str, value: str | None, secret: bool) -> None:
    """By name and by value, but not what only tells of one."""
    assert is_secret(name, value) == secret
