"""What each kind of file gives a program, with its place."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from supervisor.datatypes import dict_of_key_value_pairs

from pillion.image.environ.lint.program import Declaration, Group, Program, Reading
from pillion.image.lint.read import Wish, read_files
from pillion.image.lint.sources import launched, read_source
from pillion.image.lint.supervisord import read_supervisord
from pillion.image.lint.tree import Unreadable
from tests.image.lint_files import read
from tests.images import image, write_docker_archive, write_layout, write_oci_archive

# A machine that is busy is no slow test.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def only(reading: Reading) -> Group:
    """The one group."""
    (group,) = reading.groups
    return group


def seen(program: Program) -> dict[str, str | None]:
    """Name to value."""
    return {name: declaration.value for name, declaration in program.declared.items()}


POD = f"""apiVersion: v1
kind: ConfigMap
metadata: {{name: web}}
data: {{MODE: fast, LEVEL: info}}
---
apiVersion: v1
kind: Secret
metadata: {{name: web}}
data: {{KEY: {base64.b64encode(b"hush").decode()}, ODD: "no base64!"}}
stringData: {{TOKEN: t}}
---
apiVersion: v1
kind: Service
metadata: {{name: my-redis}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  template:
    spec:
      initContainers:
        - {{name: once, image: busybox, env: [{{name: NEVER, value: x}}]}}
        - {{name: side, image: nginx, restartPolicy: Always}}
      containers:
        - name: app
          image: example/app
          command: [gunicorn, "--bind=:$(PORT)"]
          ports: [{{containerPort: 8000}}, {{containerPort: 53, protocol: UDP}}]
          envFrom:
            - prefix: C_
              configMapRef: {{name: web}}
            - secretRef: {{name: absent}}
          env:
            - {{name: PORT, value: "8000"}}
            - {{name: URL, value: "http://x:$(PORT)/$$(A)"}}
            - {{name: KEY, valueFrom: {{secretKeyRef: {{name: web, key: KEY}}}}}}
            - {{name: ODD, valueFrom: {{secretKeyRef: {{name: web, key: ODD}}}}}}
            - {{name: IP, valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}}}
            - {{name: GONE, valueFrom: {{configMapKeyRef: {{name: web, key: none, optional: true}}}}}}
            - {{name: COUNT, value: 3}}
            - {{name: PORT, value: "8001"}}
"""


def test_a_pods_containers_are_its_programs(tmp_path: Path) -> None:
    """References resolved within the files, native sidecars counted, what is elsewhere told of."""
    got = read(tmp_path, {"web.yaml": POD}).reading
    app, side = only(got).programs
    assert (app.name, side.name, app.image) == ("app", "side", "example/app")
    assert seen(app) == {
        "C_MODE": "fast",
        "C_LEVEL": "info",
        "PORT": "8001",
        "URL": "http://x:8000/$(A)",
        "KEY": "hush",
        "ODD": None,
        "IP": None,
        "COUNT": "3",
    }
    assert app.declared["KEY"].secret and app.declared["C_MODE"].place.line == 4
    assert [port.number for port in app.ports] == [8000]
    assert list(only(got).links) == ["MY_REDIS"]
    told = {(remark.rule, remark.subject, remark.place.line) for remark in got.remarks}
    assert told == {("elsewhere", "Secret absent", 33), ("type", "COUNT", 41), ("twice", "PORT", 42)}


@pytest.mark.parametrize(
    ("kind", "inside"),
    [
        ("Pod", "spec: {containers: [{name: a}]}"),
        ("StatefulSet", "spec: {template: {spec: {containers: [{name: a}]}}}"),
        ("Job", "spec: {template: {spec: {containers: [{name: a}]}}}"),
        ("Rollout", "spec: {template: {spec: {containers: [{name: a}]}}}"),
        ("CronJob", "spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: a}]}}}}}"),
        ("List", "items: [{apiVersion: v1, kind: Pod, spec: {containers: [{name: a}]}}]"),
    ],
)
def test_every_workload_has_its_pod(tmp_path: Path, kind: str, inside: str) -> None:
    """Also kinds of others that have a pod template, and lists."""
    got = read(tmp_path, {"f.yaml": f"apiVersion: x/v1\nkind: {kind}\n{inside}\n"}).reading
    assert [program.name for program in only(got).programs] == ["a"]


def test_service_links_can_be_off_and_headless_services_have_none(tmp_path: Path) -> None:
    """As in Kubernetes; a Service of another namespace has none here either."""
    pod = "apiVersion: v1\nkind: Pod\nspec: {%s containers: [{name: a}]}\n"
    services = (
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {clusterIP: None}\n"
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: c, namespace: other}\n"
    )
    assert list(only(read(tmp_path, {"a.yaml": pod % "" + services}).reading).links) == ["A"]
    off = pod % "enableServiceLinks: false," + services
    assert not only(read(tmp_path, {"a.yaml": off}).reading).links


def test_a_configmap_of_another_file_is_found_and_that_of_the_same_comes_first(tmp_path: Path) -> None:
    """All files of one call."""
    configmap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {A: %s}\n"
    pod = "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, envFrom: [{configMapRef: {name: %s}}]}]}\n"
    files = {
        "one.yaml": configmap % ("x", "1"),
        "two.yaml": pod % "x",
        "three.yaml": pod % "x" + "---\n" + configmap % ("x", "2"),
    }
    groups = read(tmp_path, files).reading.groups
    assert [seen(group.programs[0])["A"] for group in groups] == ["1", "2"]


COMPOSE = """name: shop
x-env: &env {LEVEL: info, SHARED: "1"}
services:
  base: {image: base, environment: {A: base, B: base}}
  web:
    extends: {service: base}
    build: .
    env_file: [web.env, {path: absent.env, required: false}, gone.env]
    environment:
      <<: *env
      A: own
      TAG: "v${TAG:-1}"
      FROM_DOTENV: ${FROM_DOTENV}
      UNSET: ${UNSET}
      CALLER:
      LEVEL: debug
    ports: ["80:8000", "9000/udp", {target: 7000}]
    expose: [6000]
  job:
    image: redis
    profiles: [jobs]
    environment: [A=1, A=2, EMPTY=]
"""


def test_a_compose_file_with_all_that_gives_variables(tmp_path: Path) -> None:
    """The image's ENV, `extends`, `env_file`, merge keys, interpolation from `.env` and from nowhere else."""
    files = {
        "compose.yaml": COMPOSE,
        "web.env": "B=file\nE=${FROM_DOTENV}\n",
        "Dockerfile": "FROM x\nENV IMAGE=1 A=image\nCMD gunicorn app\n",
    }
    (tmp_path / ".env").write_text("FROM_DOTENV=yes\n")
    got = read(tmp_path, {name: files[name] for name in ("web.env", "Dockerfile", "compose.yaml")})
    group = next(group for group in got.reading.groups if group.title == "shop")
    web = next(program for program in group.programs if program.name == "web")
    assert seen(web) == {
        "IMAGE": "1", "A": "own", "B": "file", "E": "yes", "LEVEL": "debug", "SHARED": "1", "TAG": "v1",
        "FROM_DOTENV": "yes", "UNSET": None, "CALLER": None,
    }  # fmt: skip
    assert web.declared["B"].place == (str(tmp_path / "web.env"), 1, 1) and web.declared["A"].place[1:] == (11, 7)
    assert sorted(port.number for port in web.ports) == [6000, 7000, 8000]
    assert web.words == ("/bin/sh", "-c", "gunicorn app")
    assert [program.name for program in group.programs] == ["base", "web"]
    assert {remark.subject for remark in got.reading.remarks} >= {"gone.env", "job"}


def test_keys_given_twice_are_told(tmp_path: Path) -> None:
    """In any mapping of a manifest, at the later one."""
    files = {
        "a.yaml": "services:\n  a:\n    image: x\n    environment: {A: 1, A: 2}\n    image: y\n",
        "b.yaml": "a: 1\na: 2\n",
    }
    remarks = read(tmp_path, files).reading.remarks
    assert {(remark.rule, remark.subject, remark.place[1:]) for remark in remarks} == {
        ("twice", "A", (4, 25)), ("twice", "image", (5, 5)),
    }  # fmt: skip


def test_profiles_are_asked_for(tmp_path: Path) -> None:
    """By name, or all."""
    for profile in ("jobs", "*"):
        got = read(tmp_path, {"compose.yaml": COMPOSE}, Wish((profile,))).reading
        job = only(got).programs[-1]
        assert job.name == "job" and seen(job) == {"A": "2", "EMPTY": ""}
        assert "twice" in {remark.rule for remark in got.remarks}


def supervised(environment: str) -> tuple[dict[str, Declaration], list[tuple[str, str]]]:
    """The variables of a program, and severity and subject of each remark."""
    text = f"[supervisord]\n[program:a]\ncommand=x\nenvironment={environment}\n"
    got = read_supervisord(text, "s")
    program = next(each for each in got.programs if each.name == "a")
    return dict(program.declared), [(remark.severity, remark.subject) for remark in got.remarks]


@pytest.mark.parametrize(
    ("environment", "arrives", "remarks"),
    [
        ('A="x",B="y z"', {"A": "x", "B": "y z"}, []),
        ("A=x,B=http://h:1/p?q=1", {"A": "x", "B": "http://h:1/p", "q": "1"}, [("S2", "B")]),
        ('PW="50%"', {}, [("S1", "PW")]),
        ('PW="50%%"', {"PW": "50%"}, []),
        ('HOME="%(ENV_HOME)s/x"', {"HOME": None}, []),
        ('A="%(nothing)s"', {}, [("S1", "A")]),
        ("A=$HOME", {"A": "$"}, [("S2", "A")]),
        ("A=a#b,B=2", {"A": "a"}, [("S2", "A"), ("S1", "B")]),
        ('A="x ;y",B=2', {}, [("S1", "A")]),
        ("A='x',\n    B=\"y\"", {"A": "x", "B": "y"}, []),
        ('A="x" ; a comment', {"A": "x"}, []),
        ('K="p@ss,w0rd"', {"K": "p@ss,w0rd"}, []),
    ],
)
def test_what_supervisords_layers_do_to_a_value(
    environment: str, arrives: dict[str, str | None], remarks: list[tuple[str, str]]
) -> None:
    """INI comments, % formats, and its lexer; what arrives is what its own functions make of it."""
    declared, found = supervised(environment)
    assert {name: declaration.value for name, declaration in declared.items()} == arrives
    assert found == remarks


def test_places_in_supervisords_file() -> None:
    """Of programs, variables on further lines, and users; everything of a broken file is a clear error."""
    text = '[supervisord]\nenvironment=BASE=1\n[program:a]\ncommand=x\nuser=www\nenvironment=A=1,\n  B="2"\n'
    got = read_supervisord(text, "s")
    program = got.programs[1]
    assert program.place[1:] == (3, 1) and program.declared["B"].place[1:] == (7, 3)
    assert got.base["BASE"].place[1:] == (2, 13) and got.users["a"][1:] == (5, 6)
    with pytest.raises(Unreadable) as caught:
        read_supervisord("[supervisord]\nhunter2\n", "s")
    assert caught.value.place.line == 2 and "hunter2" not in str(caught.value)


@UNHURRIED
@given(st.text("AB=\"', \\#;%$x\n", max_size=24))
def test_no_environment_ends_in_a_traceback(environment: str) -> None:
    """And a value without remark is what supervisord's own function gives for it."""
    try:
        declared, remarks = supervised(environment)
    except Unreadable:
        return
    if declared and not remarks and "%" not in environment and "\n" not in environment and ";" not in environment:
        assert {n: d.value for n, d in declared.items()} == dict_of_key_value_pairs(environment.partition(" #")[0])


def test_an_image_in_every_form(tmp_path: Path) -> None:
    """A layout, and both archives; its ENV has no lines."""
    config = {"Env": ["A=1", "B=x=y", "C="], "Cmd": ["node", "x.js"], "ExposedPorts": {"80/tcp": {}, "53/udp": {}}}
    layout = write_layout(tmp_path / "layout", image(config=config))
    archive = write_oci_archive(tmp_path / "oci.tar", image(config=config))
    for name in (f"oci:{layout}", str(layout), f"oci-archive:{archive}", str(archive)):
        got = read_files([name], Wish())
        assert not got.broken
        program = only(got.reading).programs[0]
        assert seen(program) == {"A": "1", "B": "x=y", "C": ""} and program.words == ("node", "x.js")
        assert [port.number for port in program.ports] == [80] and program.place[1:] == (0, 0)
    docker = write_docker_archive(tmp_path / "docker.tar")
    assert read_files([f"docker-archive:{docker}"], Wish()).reading.groups
    (broken,) = read_files([f"oci:{tmp_path}/absent"], Wish()).broken
    assert "no such file" in broken.why


@pytest.mark.parametrize(
    ("kind", "text", "reads"),
    [
        (
            "python",
            "x = os.environ['A']\ny = os.getenv('B', '1')\nos.environ['C'] = '1'\nos.environ.get('D')",
            "ABD",
        ),
        ("python", "not python at all (", ""),
        ("node", "const p = process.env.A || process.env['B']; const c = { PORT: 1 }", "AB"),
        ("jvm", "server.port=${A:8080}\nx=${B}", "AB"),
        ("go", 'os.Getenv("A"); os.LookupEnv("B")', "AB"),
        ("ruby", 'ENV.fetch("A") { 1 }; ENV["B"]', "AB"),
        ("php", "getenv('A'); $_ENV['B'];", "AB"),
        ("rust", 'std::env::var("A")', "A"),
        ("shell", '# $Z\nB=1\necho "$A" "$B" "${C:-x}" "$1" "$HOME"\nfor D in a; do echo $D; done', "AC"),
    ],
)
def test_what_a_source_reads(kind: str, text: str, reads: str) -> None:
    """By how the language spells it."""
    assert "".join(sorted(read_source(text, "f", kind).reads)) == reads


def test_what_a_script_starts_and_exports() -> None:
    """In the background, as a daemon, or in its own place; names that it only gives a default are no exports."""
    text = (
        '#!/bin/sh\nexport A=1 \nexport B=${B:-2}\nexport C="$C"\nredis-server --x &\n/etc/init.d/nginx start\n'
        "pm2 start --name app 'yarn x'\nmkdir -p /x\nwait\nexec \\\n  gunicorn app \"$D\"\n"
    )
    assert [program.name for program in launched(text, "f")] == ["redis-server", "nginx", "app", "gunicorn"]
    assert [program.place.line for program in launched(text, "f")] == [5, 6, 7, 10]
    assert list(read_source(text, "f", "shell").exports) == ["A"]


def test_what_lies_together_is_one_container(tmp_path: Path) -> None:
    """supervisord's programs, the image's ENV, the service's variables, `.env` files and a script's exports."""
    files = {
        "supervisord.conf": "[supervisord]\n[program:a]\ncommand=node x\n[program:b]\ncommand=java x\n",
        "Dockerfile": "FROM x\nENV IMAGE=1\nCMD supervisord\n",
        "app.env": "FILE=1\n",
        "compose.yaml": "services: {one: {image: x, environment: {SERVICE: '1'}}}\n",
        "start.sh": "export EXPORTED=1 IMAGE=2\nexec supervisord\n",
    }
    group = only(read(tmp_path, files).reading)
    assert group.shared and [program.name for program in group.programs] == ["supervisord", "a", "b"]
    assert {*group.inherited} == {"IMAGE", "FILE", "SERVICE", "EXPORTED"}


def test_a_folder_is_searched_for_what_is_known_by_name(tmp_path: Path) -> None:
    """Nothing else is read, no link followed, and what is no manifest passed over without a word."""
    files = {
        "a/pod.yaml": "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a}]}\n",
        "a/other.yaml": "x: y\n",
        "a/broken.py": "(",
        "b/Dockerfile.dev": "FROM x\n",
        ".git/pod.yaml": "\t",
    }
    read(tmp_path, files)
    (tmp_path / "loop").symlink_to(tmp_path)
    got = read_files([str(tmp_path)], Wish())
    assert not got.broken and not got.reading.skipped and len(got.reading.groups) == 2
    named = read_files([str(tmp_path / "a/other.yaml")], Wish())
    assert list(named.reading.skipped) == [str(tmp_path / "a/other.yaml")]
