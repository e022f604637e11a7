"""A Kubernetes manifest means here what it means in Kubernetes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pillion.image.pair import Pair, Probe
from pillion.image.pairfile import load_pair
from pillion.image.refusal import Refusal


def pod(backend: dict[str, Any] | None = None, proxy: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "backend", **(backend or {})}, {"name": "proxy", **(proxy or {})}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}, "spec": {"containers": containers, **spec}}


def load(directory: Path, *documents: Any, **names: str) -> Pair:
    path = directory / "pod.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return load_pair(path, **names)


def env(directory: Path, *entries: dict[str, Any], beside: tuple[Any, ...] = (), **container: Any) -> dict[str, str]:
    return dict(load(directory, pod({"env": list(entries), **container}), *beside).backend.env)


def value_from(name: str, **source: Any) -> dict[str, Any]:
    return {"name": name, "valueFrom": source}


CONFIG = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "red", "not a=name": "x"}}
SECRET = {
    "kind": "Secret",
    "metadata": {"name": "keys"},
    "data": {"api": base64.b64encode(b"from data").decode(), "both": "c2Vjb25k", "raw": "/w=="},
    "stringData": {"both": "plain wins"},
}


def test_pod_gives_every_field_of_the_pair(tmp_path: Path) -> None:
    """Image, command, args, ports, directory, uid, gid, signal, grace and annotations arrive as declared."""
    document = pod(
        {
            "image": "shop:1",
            "command": ["run"],
            "args": ["--fast"],
            "workingDir": "/srv",
            "ports": [{"containerPort": 8000}, {"containerPort": 9000, "name": "admin"}],
            "securityContext": {"runAsUser": 1000},
            "lifecycle": {"stopSignal": "SIGUSR1"},
        },
        securityContext={"runAsUser": 5, "runAsGroup": 6},
        terminationGracePeriodSeconds=7,
    )
    document["metadata"]["annotations"] = {"pillion.dev/load-path": "/x"}
    pair = load(tmp_path, document)
    backend, proxy = pair.backend, pair.proxy
    assert (pair.name, pair.source, pair.directory) == ("shop", str(tmp_path / "pod.yaml"), tmp_path)
    assert (pair.grace_s, pair.annotations, pair.notices) == (7.0, {"pillion.dev/load-path": "/x"}, ())
    assert (backend.image, backend.command, backend.args) == ("shop:1", ("run",), ("--fast",))
    assert (backend.working_dir, backend.ports, backend.stop_signal) == ("/srv", (8000, 9000), "SIGUSR1")
    assert (backend.run_as_user, backend.run_as_group, backend.field) == (1000, 6, "spec.containers[0]")
    assert (proxy.run_as_user, proxy.run_as_group, proxy.field) == (5, 6, "spec.containers[1]")


def test_grace_is_30_seconds_unless_given_and_0_is_given(tmp_path: Path) -> None:
    """terminationGracePeriodSeconds has Kubernetes' default, and an explicit 0 stays 0."""
    assert load(tmp_path, pod()).grace_s == 30.0
    assert load(tmp_path, pod(terminationGracePeriodSeconds=0)).grace_s == 0.0


TEMPLATE = {"metadata": {"annotations": {"a": "b"}}, "spec": pod()["spec"]}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"kind": "Deployment", "spec": {"template": TEMPLATE}}, "spec.template.spec"),
        ({"kind": "StatefulSet", "spec": {"template": TEMPLATE}}, "spec.template.spec"),
        ({"kind": "DaemonSet", "spec": {"template": TEMPLATE}}, "spec.template.spec"),
        ({"kind": "ReplicaSet", "spec": {"template": TEMPLATE}}, "spec.template.spec"),
        ({"kind": "Job", "spec": {"template": TEMPLATE}}, "spec.template.spec"),
        (
            {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}}},
            "spec.jobTemplate.spec.template.spec",
        ),
        ({"kind": "PodTemplate", "template": TEMPLATE}, "template.spec"),
        ({"kind": "Rollout", "spec": {"template": TEMPLATE}}, "spec.template.spec"),
        ({"kind": "List", "items": [CONFIG, {"kind": "Pod", **TEMPLATE}]}, "items[1].spec"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_anything_with_a_pod_template_is_a_pair(tmp_path: Path, document: dict[str, Any], field: str) -> None:
    """The pod is found where its kind has it, and places are named as the user would write them."""
    pair = load(tmp_path, {"kind": "Service", "spec": {"ports": []}}, document)
    assert pair.backend.field == f"{field}.containers[0]"
    assert pair.annotations == {"a": "b"}


def test_json_is_yaml(tmp_path: Path) -> None:
    """A manifest as JSON is read like any other."""
    path = tmp_path / "pod.json"
    path.write_text(json.dumps(pod(), indent=2))
    assert load_pair(path).name == "shop"


def test_env_expands_earlier_names_in_order(tmp_path: Path) -> None:
    """`$(VAR)` sees what stands above it; later and unknown names stay literal, `$$` escapes."""
    entries = [
        ("EARLY", "$(LATE)"),
        ("LATE", "1"),
        ("SUM", "$(LATE)+$(LATE)"),
        ("LIT", "$$(LATE) $(NO)"),
        ("LATE", "2"),
    ]
    found = env(tmp_path, *({"name": name, "value": value} for name, value in entries))
    assert found == {"EARLY": "$(LATE)", "LATE": "2", "SUM": "1+1", "LIT": "$(LATE) $(NO)"}


def test_command_and_args_expand_from_the_whole_environment(tmp_path: Path) -> None:
    """Command and arguments see all variables, whatever gave them."""
    document = pod(
        {
            "command": ["run", "$(PORT)"],
            "args": ["$$(PORT)", "$(colour)"],
            "env": [{"name": "PORT", "value": "1"}],
            "envFrom": [{"configMapRef": {"name": "settings"}}],
        }
    )
    backend = load(tmp_path, document, CONFIG).backend
    assert (backend.command, backend.args) == (("run", "1"), ("$(PORT)", "red"))


def test_env_from_comes_first_and_later_wins(tmp_path: Path) -> None:
    """`env` outranks `envFrom`, a later source an earlier one; prefixes apply; impossible names are left out."""
    second = {"kind": "ConfigMap", "metadata": {"name": "second"}, "data": {"colour": "blue"}}
    sources = [
        {"configMapRef": {"name": "settings"}},
        {"configMapRef": {"name": "second"}},
        {"prefix": "S_", "secretRef": {"name": "keys"}},
        {"secretRef": {"name": "absent", "optional": True}},
    ]
    entries = [{"name": "S_api", "value": "own"}, {"name": "SEEN", "value": "$(colour)"}]
    pair = load(tmp_path, pod({"env": entries, "envFrom": sources}), CONFIG, second, SECRET)
    assert pair.backend.env == {
        "colour": "blue",
        "S_api": "own",
        "S_both": "plain wins",
        "S_raw": "\udcff",
        "SEEN": "blue",
    }
    assert pair.backend.env_fields["colour"] == "spec.containers[0].envFrom[1]"
    assert pair.backend.env_fields["S_api"] == "spec.containers[0].env[0]"
    assert any("not a=name" in notice for notice in pair.notices)


def test_values_from_config_maps_and_secrets_are_not_expanded(tmp_path: Path) -> None:
    """References in a ConfigMap's or Secret's values stay as they are, like in Kubernetes."""
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "$(A)$$"}}
    found = env(
        tmp_path,
        {"name": "A", "value": "1"},
        value_from("K", configMapKeyRef={"name": "c", "key": "k"}),
        value_from("S", secretKeyRef={"name": "keys", "key": "api"}),
        value_from("NONE", secretKeyRef={"name": "keys", "key": "absent", "optional": True}),
        value_from("NO_MAP", configMapKeyRef={"name": "absent", "key": "k", "optional": True}),
        beside=(config, SECRET),
    )
    assert found == {"A": "1", "K": "$(A)$$", "S": "from data"}


def test_secret_of_another_namespace_is_not_this_pods(tmp_path: Path) -> None:
    """References stay within the pod's namespace."""
    elsewhere = {**SECRET, "metadata": {"name": "keys", "namespace": "other"}}
    with pytest.raises(Refusal, match='names the Secret "keys", which the file does not hold'):
        env(tmp_path, value_from("S", secretKeyRef={"name": "keys", "key": "api"}), beside=(elsewhere,))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "shop"),
        ("metadata.namespace", "default"),
        ("spec.serviceAccountName", "default"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['x/y']", "z"),
        ("status.podIP", "127.0.0.1"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_field_ref(tmp_path: Path, path: str, value: str) -> None:
    """What of the pod is known without a cluster is given."""
    document = pod({"env": [value_from("F", fieldRef={"fieldPath": path})]})
    document["metadata"] |= {"labels": {"app": "web"}, "annotations": {"x/y": "z"}}
    pair = load(tmp_path, document)
    assert pair.backend.env["F"] == value
    assert bool(pair.notices) == path.startswith("status.")


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "128"),
        ({"resource": "limits.memory"}, str(128 * 2**20)),
        ({"resource": "requests.memory", "divisor": "1Ki"}, str(128 * 2**10)),
        ({"resource": "requests.cpu"}, "1"),
        ({"resource": "requests.ephemeral-storage"}, "0"),
        ({"resource": "limits.memory", "divisor": "1e3"}, "134218"),
    ],
)
def test_resource_field_ref_rounds_up_to_whole_divisors(tmp_path: Path, reference: Any, value: str) -> None:
    """Limits and requests in their divisor's units; a request defaults to the limit."""
    resources = {"limits": {"cpu": 1.5, "memory": "128Mi"}, "requests": {"cpu": "100m"}}
    assert env(tmp_path, value_from("R", resourceFieldRef=reference), resources=resources)["R"] == value


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        ({"httpGet": {"port": 80}}, Probe("http", 80)),
        (
            {
                "httpGet": {
                    "port": "api",
                    "path": "ready",
                    "scheme": "HTTPS",
                    "httpHeaders": [{"name": "A", "value": "b"}],
                }
            },
            Probe("http", 8000, "/ready", "https", (("A", "b"),)),
        ),
        ({"tcpSocket": {"port": "api"}}, Probe("tcp", 8000)),
        (
            {"exec": {"command": ["check", "$(PORT)", "$(LATER)"]}},
            Probe("exec", command=("check", "1", "$(PORT)")),
        ),
        (
            {
                "tcpSocket": {"port": 1},
                "initialDelaySeconds": 2,
                "periodSeconds": 3,
                "timeoutSeconds": 4,
                "failureThreshold": 5,
            },
            Probe("tcp", 1, initial_delay_s=2, period_s=3, timeout_s=4, failure_threshold=5),
        ),
        ({"tcpSocket": {"port": 1}, "periodSeconds": 0, "failureThreshold": 0}, Probe("tcp", 1)),
    ],
)
@pytest.mark.parametrize("kind", ["readiness", "liveness", "startup"])
def test_probes(tmp_path: Path, kind: str, probe: dict[str, Any], expected: Probe) -> None:
    """Probes keep Kubernetes' defaults; ports go by number or name; commands expand only from values as written."""
    container = {
        f"{kind}Probe": probe,
        "ports": [{"containerPort": 8000, "name": "api"}],
        "env": [{"name": "PORT", "value": "1"}, {"name": "LATER", "value": "$(PORT)"}],
    }
    backend = load(tmp_path, pod(container)).backend
    assert getattr(backend, kind) == expected


def test_what_cannot_be_done_here_is_a_notice(tmp_path: Path) -> None:
    """gRPC probes, UDP ports, mounts, hooks, further and init containers are left out and reported by field."""
    document = pod(
        {
            "readinessProbe": {"grpc": {"port": 1}},
            "ports": [{"containerPort": 53, "protocol": "UDP"}],
            "volumeMounts": [{"name": "x", "mountPath": "/x"}],
            "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
        },
        initContainers=[{"name": "migrate"}],
        restartPolicy="OnFailure",
    )
    document["spec"]["containers"].append({"name": "logs", "env": "broken, but nobody's business"})
    pair = load(tmp_path, document)
    assert (pair.backend.readiness, pair.backend.ports) == (None, ())
    said = " | ".join(pair.notices)
    for field in (
        "spec.containers[0].readinessProbe.grpc",
        "spec.containers[0].ports[0]",
        "spec.containers[0].volumeMounts",
        "spec.containers[0].lifecycle.preStop",
        'spec.initContainers[0]: the init container "migrate" is not run',
        'spec.containers[2]: the container "logs" stays outside the pair',
        "spec.restartPolicy: is not obeyed",
    ):
        assert field in said


def test_the_one_pair_among_several_workloads_is_taken(tmp_path: Path) -> None:
    """A workload that is no pair does not get in the way of the one that is."""
    other = {
        "kind": "Job",
        "metadata": {"name": "migrate"},
        "spec": {"template": {"spec": {"containers": [{"name": "m"}]}}},
    }
    assert load(tmp_path, other, pod()).name == "shop"
    second = pod()
    second["metadata"]["name"] = "second"
    with pytest.raises(Refusal, match=r"more than one is a pair: Pod/shop, Pod/second"):
        load(tmp_path, pod(), second)
    with pytest.raises(Refusal, match=r"none of which is a pair: Job/migrate, Job/migrate"):
        load(tmp_path, other, other)


def test_values_arrive_byte_identical(tmp_path: Path) -> None:
    """Percent signs, quotes, backslashes, newlines, bytes that are not UTF-8, emptiness and 100 kB all survive."""
    for value in ("", "%(x)s %", "'\"`;#", "a\\b\\", "line\nline\r\n", "$", "$$ ", "é\N{PILE OF POO}", "x" * 100_000):
        expected = value.replace("$$", "$")
        assert env(tmp_path, {"name": "V", "value": value})["V"] == expected
        secret = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"v": base64.b64encode(value.encode()).decode()}}
        got = env(tmp_path, value_from("V", secretKeyRef={"name": "s", "key": "v"}), beside=(secret,))["V"]
        assert got == value
    secret = {
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"v": base64.b64encode(bytes(range(1, 256))).decode()},
    }
    got = env(tmp_path, value_from("V", secretKeyRef={"name": "s", "key": "v"}), beside=(secret,))["V"]
    assert got.encode(errors="surrogateescape") == bytes(range(1, 256))
