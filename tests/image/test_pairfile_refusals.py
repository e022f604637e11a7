"""Bad files are refused in one sentence that names file, field and mend, and never quotes a secret."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pillion.image.pair import Pair
from pillion.image.pairfile import load_pair
from pillion.image.pairfile.document import MAX_BYTES
from pillion.image.refusal import Refusal

POD = "kind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - name: proxy\n  - name: backend\n"
LAUGHS = "a: &a [x]\n" + "".join(f"{new}: &{new} [*{old}, *{old}, *{old}]\n" for old, new in pairwise("abcdefghijklmn"))
COMPOSE = "services:\n  proxy: {}\n  backend:\n    image: x\n"


def refusal_of(path: Path, **names: str) -> str:
    with pytest.raises(Refusal) as refusal:
        load_pair(path, **names)
    message = str(refusal.value)
    assert message.startswith(f"cannot read {path}: ")
    assert "hunter2" not in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"# only a comment\n---\n", "it is empty"),
        (b"\xff\xfe\x00binary", "it is not UTF-8 text (byte 0)"),
        (b"kind: Pod\x00", "it holds control characters"),
        (b"\x7fELF\x01", "it holds control characters"),
        (b"- a\n- b\n", "document 1 is a list, not a mapping; give a Pod or a Compose file"),
        (b"just text", "document 1 is text, not a mapping"),
        (b"a: b", "neither a Kubernetes manifest (no kind) nor a Compose file (no services)"),
        (b"a: b\nc: [\n", "it is not YAML: line 3, column 1: "),
        (b"a: b\n\tc: d\n", "line 2, column 1: found character '\\t' that cannot start any token"),
        (b"a: {{ .Values.x }}: {\n", "render the template first (helm template)"),
        (b"a: *hunter2pass\n", "line 1, column 4: found undefined alias;"),
        (b"a: !hunter2 b\n", "line 1 has a tag that has no meaning here"),
        (b"a: 1\nb: 2\na: 3\n", 'line 3 gives the key "a" a second time; keep one of the two'),
        (b"? [a]\n: b\n", "line 1 has a key that is no text"),
        (b'a: "\\ud800"\n', "line 1 holds half a surrogate pair"),
        (b"a: !!int hunter2\n", "line 1 has a number that is none"),
        (b"a: &a [*a]\n", "nested deeper than 64 levels"),
        (b"[" * 5000, "nested deeper than 64 levels"),
        (LAUGHS.encode(), "more than 100000 values"),
        (b"a: [" + b"x," * 110_000 + b"]", "more than 100000 values"),
        (b"#" * (MAX_BYTES + 1), "it is larger than 1048576 bytes"),
        (b"kind: Service\n", "it holds no Pod and nothing with a pod template"),
        (b"services: {}\n---\nservices: {}\n", "several Compose documents; merge them: docker compose config"),
        (b"services: {a: {image: x}}", "has 1: a; add the missing one"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_file_that_is_no_pair(tmp_path: Path, content: bytes, why: str) -> None:
    """Whatever the file holds, the refusal says what is wrong with it and where."""
    path = tmp_path / "pair.yaml"
    path.write_bytes(content)
    assert why in refusal_of(path)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a directory are told apart."""
    assert "there is no such file; check the path" in refusal_of(tmp_path / "none.yaml")
    assert "it is a directory; name the file in it" in refusal_of(tmp_path)
    (tmp_path / "file").touch()
    assert "Not a directory" in refusal_of(tmp_path / "file" / "x")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("env: [{name: PORT, value: 8000}]", '.env[0].value is a number, not text; quote it, as in "8000"'),
        ("env: [{name: P, value: yes}]", '.env[0].value is true or false, not text; quote it, as in "true"'),
        ("env: [{name: P, value: 0.5}]", '.env[0].value is a number, not text; quote it, as in "0.5"'),
        ("env: [{name: P, value: [a]}]", ".env[0].value is a list, not text"),
        ("env: {A: b}", ".env is a mapping, not a list"),
        ("env: [A]", ".env[0] is text, not a mapping"),
        ("env: [{value: a}]", ".env[0].name is missing"),
        ("env: [{name: 'a=b', value: a}]", ".env[0].name is no name of a variable"),
        ('env: [{name: A, value: "hunter2\\0"}]', ".env[0].value holds a NUL character"),
        ("env: [{name: A, value: a, valueFrom: {fieldRef: {}}}]", ".env[0].valueFrom stands beside a value"),
        ("env: [{name: A, valueFrom: {}}]", ".env[0].valueFrom must hold exactly one of configMapKeyRef"),
        ("env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]", 'fieldPath names "spec.nodeName"'),
        ("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]", '.secretKeyRef names the Secret "s"'),
        ("env: [{name: A, valueFrom: {secretKeyRef: {name: bad, key: other}}}]", 'key names "other", which is not in'),
        ("env: [{name: A, valueFrom: {secretKeyRef: {name: bad, key: k}}}]", "Secret/bad data.k is not base64; encode"),
        ("env: [{name: A, valueFrom: {secretKeyRef: {name: bad, key: num}}}]", "data.num is a number, not text"),
        ("envFrom: [{secretRef: {name: bad}}]", "Secret/bad data.k is not base64"),
        ("envFrom: [{}]", ".envFrom[0] must hold exactly one of configMapRef, secretRef"),
        ("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]", ".resources.limits.cpu is missing"),
        ("command: run me", ".command is text, not a list"),
        ("args: [--port, 8000]", ".args[1] is a number, not text; quote it"),
        ("ports: [{containerPort: '80'}]", ".containerPort is text, not a whole number; write it without quotes"),
        ("ports: [{containerPort: 70000}]", ".containerPort is not between 1 and 65535"),
        ("ports: [{}]", ".ports[0].containerPort is missing"),
        ("readinessProbe: {httpGet: {port: api}}", '.httpGet.port names the port "api", which the container does not'),
        ("readinessProbe: {httpGet: {path: /}}", ".httpGet.port is missing"),
        ("readinessProbe: {httpGet: {port: 1}, tcpSocket: {port: 1}}", ".readinessProbe must hold exactly one of"),
        ("readinessProbe: {httpGet: {port: 1, scheme: ftp}}", ".scheme is neither HTTP nor HTTPS"),
        ("readinessProbe: {exec: {}}", ".exec.command is missing"),
        ("livenessProbe: {tcpSocket: {port: 1}, periodSeconds: soon}", ".periodSeconds is text, not a whole number"),
        ("securityContext: {runAsUser: -1}", ".securityContext.runAsUser is not between 0 and 2147483647"),
        ("lifecycle: {stopSignal: SIGSTOPP}", '.stopSignal is no signal of this system; write "SIGTERM", say'),
        ("envfrom: []", ".envfrom is no field of a container; did you mean envFrom?"),
        ("readynessProbe: {}", ".readynessProbe is no field of a container; did you mean readinessProbe?"),
    ],
)  # fmt: skip
def test_kubernetes_field_is_named(tmp_path: Path, lines: str, why: str) -> None:
    """The refusal names the field by its path in the manifest."""
    path = tmp_path / "pod.yaml"
    secret = "---\nkind: Secret\nmetadata: {name: bad}\ndata: {k: 'hunter2!', num: 5}\n"
    path.write_text(f"{POD}    {lines}\n{secret}")
    message = refusal_of(path)
    assert why in message
    assert "spec.containers[1]." in message or "Secret/bad" in message


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("env_file: none.env", "services.backend.env_file names "),
        ("env_file: [bad.env]", "bad.env: line 1 is no NAME=value"),
        ("env_file: [{path: bad.env, format: ini}]", 'env_file[0].format is unknown; leave it out, or write "raw"'),
        ("environment: text", "services.backend.environment is text, not a mapping"),
        ("environment: {A: [1]}", "services.backend.environment.A is a list, not text"),
        ("environment: {A: 1e300}", "services.backend.environment.A is a number that has several spellings"),
        ("environment: {'': a}", "gives a variable whose name is none"),
        ("environment: {A: '${B:?set B}'}", "environment.A needs the variable B: set B"),
        ("environment: {A: '$'}", "environment.A has a $ that begins no ${VARIABLE}; write $$"),
        ("environment: [=hunter2]", "services.backend.environment[0] gives a variable whose name is none"),
        ("command: 'a \"b'", "services.backend.command has a quote that is not closed"),
        ("entrypoint: []", "services.backend.entrypoint is empty, and there is no command"),
        ("ports: [http]", 'services.backend.ports[0] is no port; write "8080:8000"'),
        ("expose: [70000]", "services.backend.expose[0] is no port"),
        ("stop_grace_period: 10", "stop_grace_period is a number, not a duration; give its unit, as in \"10s\""),
        ("stop_grace_period: soon", "stop_grace_period is no duration"),
        ("user: '1:9999999999'", "services.backend.user is not between 0 and 2147483647"),
        ("stop_signal: 99", "stop_signal is no signal of this system"),
        ("healthcheck: {test: [curl]}", "healthcheck.test is no health check"),
        ("extends: {service: x}", "extends is not followed; write the whole out: docker compose config"),
        ("enviroment: {}", "services.backend.enviroment is no field of a service; did you mean environment?"),
    ],
)  # fmt: skip
def test_compose_field_is_named(tmp_path: Path, lines: str, why: str) -> None:
    """The refusal names the field by its path in the Compose file."""
    path = tmp_path / "compose.yaml"
    (tmp_path / "bad.env").write_text("=hunter2\n")
    path.write_text(COMPOSE.replace("{}", "{image: y}") + f"    {lines}\n")
    assert why in refusal_of(path)


def test_unknown_role_lists_the_containers(tmp_path: Path) -> None:
    """A name that is not in the file is refused with those that are."""
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    assert '--backend: there is no container "api", only: proxy, backend' in refusal_of(path, backend="api")


def test_references_to_references_are_bounded(tmp_path: Path) -> None:
    """Thirty lines cannot make a gigabyte."""
    path = tmp_path / "pod.yaml"
    names = [f"A{index}" for index in range(30)]
    entries = [{"name": "A0", "value": "hunter2" * 10}]
    entries += [{"name": new, "value": f"$({old})$({old})"} for old, new in pairwise(names)]
    path.write_text(POD + "    env: " + yaml.safe_dump(entries, default_flow_style=True))
    assert ".value is longer than 131071 bytes once expanded" in refusal_of(path)


_WORDS = st.sampled_from(
    [
        *(
            "kind",
            "Pod",
            "List",
            "items",
            "metadata",
            "name",
            "spec",
            "template",
            "containers",
            "initContainers",
            "env",
        ),
        *(
            "envFrom",
            "value",
            "valueFrom",
            "secretKeyRef",
            "key",
            "ports",
            "containerPort",
            "httpGet",
            "port",
            "command",
        ),
        *("services", "environment", "env_file", "test", "${A}", "$(A)", "Always", "restartPolicy", "command"),
    ]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | _WORDS | st.text(max_size=5)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4), max_leaves=12
)


def _names(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, _VALUES))


_CONTAINERS = _names(
    ("name", "image", "command", "args", "env", "envFrom", "ports", "readinessProbe", "securityContext", "lifecycle",
     "resources", "workingDir", "restartPolicy")
)  # fmt: skip
_SERVICES = _names(
    ("image", "command", "entrypoint", "environment", "env_file", "ports", "expose", "user", "stop_signal",
     "healthcheck", "stop_grace_period", "working_dir", "build")
)  # fmt: skip
_NAMED = st.tuples(_CONTAINERS, _CONTAINERS).map(
    lambda two: [{**two[0], "name": "backend"}, {**two[1], "name": "proxy"}]
)
_NEARLY = st.one_of(
    _NAMED.map(lambda containers: {"kind": "Pod", "spec": {"containers": containers}}),
    st.tuples(_SERVICES, _SERVICES).map(lambda two: {"services": {"backend": two[0], "proxy": two[1]}}),
    st.fixed_dictionaries({"kind": st.sampled_from(["Pod", "CronJob", "List", "Secret"])}, optional={"spec": _VALUES}),
    _VALUES,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_NEARLY, min_size=1, max_size=2))
def test_any_document_is_a_pair_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, documents: list[Any]) -> None:
    """Whatever YAML a file holds, no other exception comes out."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    try:
        pair = load_pair(path, caller_env={"A": "1"})
    except Refusal:
        return
    assert isinstance(pair, Pair)
    for container in (pair.backend, pair.proxy):
        assert container.env.keys() == container.env_fields.keys()


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab:-? []{}&*!|>'\"%@`#,\n\t~<\\\x85\u2028\x00é"), max_size=40) | st.binary(max_size=40))
def test_any_file_is_a_pair_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    """Whatever bytes a file holds, no other exception comes out."""
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(Refusal):
        load_pair(path)


ORDERS = Path(__file__).parents[2] / "examples" / "orders"


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every entry of every mapping and list within `value`, as the one that holds it and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["pod.yaml", "compose.yaml"]), st.integers(0, 10_000), _VALUES)
def test_any_field_of_a_good_file_may_be_anything(
    tmp_path_factory: pytest.TempPathFactory, name: str, index: int, value: Any
) -> None:
    """One field of the sample pair replaced by whatever: a pair or a refusal."""
    documents = list(yaml.safe_load_all((ORDERS / name).read_text()))
    places = _places(documents)
    holder, key = places[index % len(places)]
    holder[key] = value
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(yaml.safe_dump_all(documents))
    try:
        assert isinstance(load_pair(path), Pair)
    except Refusal as refusal:
        assert "not-a-secret" not in str(refusal)
