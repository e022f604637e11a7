"""A pair as a Kubernetes manifest; every manifest here is checked against the published schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pillion.image.pairfile import load_pair
from pillion.image.refusal import Refusal
from tests.compare.render import CONFIG, containers, env, manifests, notices, one, pod, rendered, variables


def test_shared_is_one_container_of_the_combined_image(tmp_path: Path) -> None:
    """Before the backend's own command stands `pillion enter`; its args stay what they are."""
    container = one(tmp_path, {"image": "reg:5000/a/shop:2@sha256:00", "args": ["--fast"], "workingDir": "/srv"})
    assert container["image"] == "reg:5000/a/shop-combined:2" and container["name"] == "backend"
    assert container["command"] == ["/opt/pillion/bin/pillion", "enter", "--", "serve"]
    assert container["args"] == ["--fast"] and container["workingDir"] == "/srv"


def test_without_a_command_the_image_has_it(tmp_path: Path) -> None:
    """`pillion build` keeps the Entrypoint behind `enter`, so args mean what they meant."""
    container = one(tmp_path, {"command": None, "args": ["--fast"]})
    assert "command" not in container and container["args"] == ["--fast"]


def test_every_variable_is_in_its_namespace_and_references_stay(tmp_path: Path) -> None:
    """Secrets are never looked up: the manifest refers to them as before."""
    secret = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "elsewhere", "key": "token"}}}
    pod_ip = {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    node = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    cores = {"name": "CORES", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
    hue = {"name": "HUE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "HUE"}}}
    found = variables(
        one(
            tmp_path,
            {"env": [secret, pod_ip, node, cores]},
            {"env": [hue, {"name": "PROXY__LOG_LEVEL", "value": "info"}]},
        )
    )
    assert found["BACKEND__TOKEN"] == secret["valueFrom"] and found["BACKEND__IP"] == pod_ip["valueFrom"]
    assert found["BACKEND__NODE"] == node["valueFrom"] and found["BACKEND__CORES"] == cores["valueFrom"]
    assert found["PROXY__HUE"] == hue["valueFrom"] and found["PROXY__LOG_LEVEL"] == "info"
    assert all(name.startswith(("BACKEND__", "PROXY__", "PILLION_")) for name in found)


def test_a_setting_in_both_spellings_is_there_once(tmp_path: Path) -> None:
    """They are equal, or the sidecar would refuse them."""
    entries = one(tmp_path, {}, env(LOG_LEVEL="info", PROXY__LOG_LEVEL="info"))["env"]
    assert [entry["name"] for entry in entries].count("PROXY__LOG_LEVEL") == 1


def test_whole_config_maps_keep_their_place_with_a_prefix(tmp_path: Path) -> None:
    """Kubernetes' own `prefix`, before one that is there; a Secret may be elsewhere."""
    backend = {
        "envFrom": [{"configMapRef": {"name": "settings"}}, {"prefix": "X_", "secretRef": {"name": "elsewhere"}}]
    }
    container = one(tmp_path, backend, {"envFrom": [{"configMapRef": {"name": "settings"}}]})
    assert container["envFrom"] == [
        {"prefix": "BACKEND__", "configMapRef": {"name": "settings"}},
        {"prefix": "BACKEND__X_", "secretRef": {"name": "elsewhere"}},
        {"prefix": "PROXY__", "configMapRef": {"name": "settings"}},
    ]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("$(PORT)", "$(BACKEND__PORT)"),
        ("a$(HUE)b", "a$(BACKEND__HUE)b"),
        ("$$(PORT)", "$$(PORT)"),
        ("$(NONE)", "$(NONE)"),
        ("$(PROXY__PORT)", "$$(PROXY__PORT)"),
        ("$(KUBERNETES_SERVICE_HOST)", "$(KUBERNETES_SERVICE_HOST)"),
        ("$PORT", "$PORT"),
    ],
)
def test_references_follow_their_names(tmp_path: Path, text: str, becomes: str) -> None:
    """In args and later values; what stood for itself still does."""
    backend = {**env(PORT="8000", LATER=text), "args": [text], "envFrom": [{"configMapRef": {"name": "settings"}}]}
    container = one(tmp_path, backend, env(PORT="8080"))
    assert container["args"] == [becomes] and variables(container)["BACKEND__LATER"] == becomes


def test_a_reference_to_what_comes_later_is_no_reference(tmp_path: Path) -> None:
    """As in Kubernetes, where the order counts."""
    found = variables(one(tmp_path, env(FIRST="$(SECOND)", SECOND="x")))
    assert found["BACKEND__FIRST"] == "$(SECOND)"


def test_an_unknown_name_is_taken_to_be_from_a_source_that_is_elsewhere(tmp_path: Path) -> None:
    """And that is said."""
    backend = {"envFrom": [{"secretRef": {"name": "elsewhere"}}], "args": ["$(USER_NAME)"]}
    assert one(tmp_path, backend)["args"] == ["$(BACKEND__USER_NAME)"]
    assert "names what the file does not hold" in notices(tmp_path, backend)


def test_the_proxys_options_become_its_settings(tmp_path: Path) -> None:
    """There is no place for its arguments; a reference in one of them is kept."""
    proxy = {"command": ["pillion", "proxy", "--listen=:$(P)", "--upstream", "http://backend:8000"], **env(P="9000")}
    found = variables(one(tmp_path, {}, proxy))
    assert found["PROXY__LISTEN"] == ":$(PROXY__P)" and found["PROXY__UPSTREAM"] == "http://127.0.0.1:8000"


@pytest.mark.parametrize("upstream", [{}, env(UPSTREAM="http://backend:7000"), env(UPSTREAM="http://BACKEND:7000")])
@pytest.mark.parametrize("layout", ["shared", "separate"])
def test_an_upstream_by_service_name_is_loopback_in_a_pod(
    tmp_path: Path, upstream: dict[str, Any], layout: str
) -> None:
    """And one that nobody named is where the backend says that it listens."""
    listed = containers(rendered(tmp_path, [pod(env(PORT="7000"), upstream)], layout))
    name = "PROXY__UPSTREAM" if layout == "shared" else "UPSTREAM"
    assert variables(listed[-1])[name] == "http://127.0.0.1:7000"


@pytest.mark.parametrize(("grace", "delay", "deadline"), [(30, "5", "28.5"), (10, "2.5", "8.5"), (2, "0.5", "1")])
def test_the_drain_fits_into_the_grace_period(tmp_path: Path, grace: int, delay: str, deadline: str) -> None:
    """5 s, as Kubernetes sends on for a while; never what a short grace period has no room for."""
    found = variables(one(tmp_path, {}, terminationGracePeriodSeconds=grace))
    assert found["PROXY__DRAIN_DELAY"] == delay and found["PILLION_DEADLINE"] == deadline
    separate = containers(rendered(tmp_path, [pod({}, {}, terminationGracePeriodSeconds=grace)], "separate"))
    assert variables(separate[1])["DRAIN_DELAY"] == delay
    assert variables(one(tmp_path, {}, env(DRAIN_DELAY="1")))["PROXY__DRAIN_DELAY"] == "1"


@pytest.mark.parametrize("layout", ["shared", "separate"])
def test_what_may_be_set_elsewhere_is_not_set_over(tmp_path: Path, layout: str) -> None:
    """A ConfigMap of the cluster's own may hold the proxy's upstream and all the rest."""
    proxy = {"envFrom": [{"configMapRef": {"name": "cluster"}}]}
    ready = {"readinessProbe": {"httpGet": {"path": "/ok", "port": 8000}}}
    container = containers(rendered(tmp_path, [pod(ready, proxy)], layout))[-1]
    assert {each["name"] for each in container.get("env", [])} <= {"PILLION_DEADLINE"}


def test_ports_of_both_and_a_name_that_both_have(tmp_path: Path) -> None:
    """The proxy's keeps it: it is what a Service knows."""
    backend = {"ports": [{"containerPort": 8000, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}]}
    proxy = {"ports": [{"containerPort": 8080, "name": "http", "hostPort": 80}]}
    assert one(tmp_path, backend, proxy)["ports"] == [
        {"containerPort": 8080, "name": "http", "hostPort": 80},
        {"containerPort": 8000},
        {"containerPort": 53, "protocol": "UDP"},
    ]
    assert "loses that name" in notices(tmp_path, backend, proxy)


def test_mounts_of_both(tmp_path: Path) -> None:
    """The same mount once; two volumes at one place are refused by name."""
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}]
    at = [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}, {"name": "b", "mountPath": "/a/"}]
    container = one(tmp_path, {"volumeMounts": at[:1]}, {"volumeMounts": at[:2]}, volumes=volumes)
    assert container["volumeMounts"] == at[:2]
    with pytest.raises(
        Refusal, match=r"containers\[0\].volumeMounts and spec.containers\[1\].volumeMounts put diff.*/a"
    ):
        one(tmp_path, {"volumeMounts": at[:1]}, {"volumeMounts": at[2:]}, volumes=volumes)


def test_resources_add_up(tmp_path: Path) -> None:
    """A request that is missing is the limit; a limit that one has not leaves none, and that is said."""
    backend = {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"memory": "256Mi"}}
    proxy = {"limits": {"memory": "128Mi"}, "requests": {"cpu": "250m", "memory": "64Mi"}}
    assert one(tmp_path, {"resources": backend}, {"resources": proxy})["resources"] == {
        "requests": {"cpu": "1250m", "memory": "320Mi"},
        "limits": {"memory": "640Mi"},
    }
    assert "resources.limits.cpu: only one" in notices(tmp_path, {"resources": backend}, {"resources": proxy})


def test_security_is_the_backends_where_they_differ(tmp_path: Path) -> None:
    """And the one uid is said to be no boundary."""
    backend = {"runAsUser": 1000, "readOnlyRootFilesystem": True, "runAsNonRoot": True}
    proxy = {"runAsUser": 65532, "readOnlyRootFilesystem": False, "runAsNonRoot": True}
    assert one(tmp_path, {"securityContext": backend}, {"securityContext": proxy})["securityContext"] == backend
    said = notices(tmp_path, {"securityContext": backend}, {"securityContext": proxy})
    assert "readOnlyRootFilesystem: differs" in said and "uid 1000" in said and "not a boundary" in said
    assert "runAsNonRoot" not in said


def test_hooks_and_the_stop_signal(tmp_path: Path) -> None:
    """One container has one of each hook; the backend's signal is told to `enter`, whose own is SIGTERM."""
    sleep = [{"sleep": {"seconds": seconds}} for seconds in (1, 2)]
    backend = {"lifecycle": {"preStop": sleep[0], "stopSignal": "SIGQUIT"}}
    proxy = {"lifecycle": {"preStop": sleep[1], "postStart": sleep[1]}}
    pods_own = {"os": {"name": "linux"}}
    container = one(tmp_path, backend, proxy, **pods_own)
    assert container["lifecycle"] == {"preStop": sleep[0], "postStart": sleep[1]}
    assert variables(container)["PILLION_STOP_SIGNAL"] == "SIGQUIT"
    assert "lifecycle.preStop: one container runs one hook" in notices(tmp_path, backend, proxy, **pods_own)


def test_fields_of_the_proxy_without_a_place_are_named(tmp_path: Path) -> None:
    """Nothing disappears in silence."""
    container = one(tmp_path, {"tty": True}, {"stdin": True})
    assert container["tty"] is True and "stdin" not in container
    assert "containers[1].stdin: the backend's container decides" in notices(tmp_path, {}, {"stdin": True})


def deployment(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": {**pod({}, {})["spec"], **spec}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "shop"}}, "template": template},
    }


@pytest.mark.parametrize("layout", ["shared", "separate"])
def test_everything_else_of_the_file_stays(tmp_path: Path, layout: str) -> None:
    """The kind, the other documents, further containers, init containers and volumes."""
    document = deployment(
        initContainers=[{"name": "migrate", "image": "m"}], volumes=[{"name": "v", "emptyDir": {}}], hostNetwork=True
    )
    pod_spec = document["spec"]["template"]["spec"]
    pod_spec["containers"].insert(1, {"name": "agent", "image": "a"})
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "k"}, "stringData": {"a": "b"}}
    found = rendered(tmp_path, [CONFIG, service, document, secret], layout)
    first, second, third, fourth = manifests(found)
    assert (first, second, fourth) == (CONFIG, service, secret) and found.secret
    spec = third["spec"]["template"]["spec"]
    assert third["kind"] == "Deployment" and third["spec"]["replicas"] == 3 and spec["hostNetwork"] is True
    assert spec["initContainers"] == pod_spec["initContainers"] and spec["volumes"] == pod_spec["volumes"]
    names = [each["name"] for each in spec["containers"]]
    assert names == (["backend", "agent"] if layout == "shared" else ["backend", "agent", "proxy"])


def test_a_list_is_changed_within(tmp_path: Path) -> None:
    """As kubectl get -o yaml prints several."""
    whole = {"apiVersion": "v1", "kind": "List", "items": [CONFIG, pod({}, {})]}
    (found,) = yaml.safe_load_all(rendered(tmp_path, [whole]).text)
    assert found["items"][0] == CONFIG and len(found["items"][1]["spec"]["containers"]) == 1


def test_annotations_that_name_the_proxys_container(tmp_path: Path) -> None:
    """kubectl's default container becomes the one that is there."""
    document = pod({}, {})
    document["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/default-container": "proxy",
        "container.apparmor.security.beta.kubernetes.io/proxy": "unconfined",
        "mine": "x",
    }
    found = rendered(tmp_path, [document])
    assert manifests(found)[0]["metadata"]["annotations"] == {
        "kubectl.kubernetes.io/default-container": "backend",
        "mine": "x",
        "pillion.dev/layout": "shared",
        "pillion.dev/pair": "shop",
    }
    assert any("apparmor" in notice for notice in found.notices)


def test_the_native_sidecar_starts_before_the_backend(tmp_path: Path) -> None:
    """Its startup probe must not wait for the backend, which waits for it; it stays the same pair."""
    ready = {"httpGet": {"path": "/ok", "port": 8080}}
    document = pod(
        {},
        {
            "startupProbe": {**ready, "failureThreshold": 9},
            "readinessProbe": ready,
            **env(UPSTREAM="http://127.0.0.1:8000"),
        },
    )
    found = rendered(tmp_path, [document], "separate", native_sidecar=True)
    (spec,) = (each["spec"] for each in manifests(found))
    (native,) = spec["initContainers"]
    assert [each["name"] for each in spec["containers"]] == ["backend"] and native["restartPolicy"] == "Always"
    assert native["startupProbe"] == {"tcpSocket": {"port": 8080}, "failureThreshold": 9}
    assert native["readinessProbe"] == ready and any("startupProbe" in notice for notice in found.notices)
    (tmp_path / "again.yaml").write_text(found.text)
    assert load_pair(tmp_path / "again.yaml").proxy.name == "proxy"


def test_a_native_sidecar_can_be_shared_too(tmp_path: Path) -> None:
    """Its init container is gone, and the restart policy with it."""
    document = pod({}, {})
    document["spec"]["initContainers"] = [{**document["spec"]["containers"].pop(), "restartPolicy": "Always"}]
    (found,) = manifests(rendered(tmp_path, [document]))
    assert "initContainers" not in found["spec"] and "restartPolicy" not in found["spec"]["containers"][0]


def test_another_proxy_is_rendered_as_it_is_or_refused(tmp_path: Path) -> None:
    """Only Pillion's can share."""
    document = pod({}, {"image": "envoyproxy/envoy", "command": ["envoy"]})
    assert manifests(rendered(tmp_path, [document], "separate")) == [document]
    with pytest.raises(
        Refusal, match=r"containers\[1\] \(proxy\) is not Pillion's proxy; render it with --layout separate"
    ):
        rendered(tmp_path, [document])


COMPOSE = {
    "name": "my_shop",
    "services": {
        "backend": {
            "image": "shop:1",
            "entrypoint": ["serve"],
            "command": ["--x=$$(PORT)"],
            "environment": {"PORT": "8000", "PRICE": "$$(5)", "API_KEY": "k3y-value", "URL": "http://u:pa55@h/"},
            "volumes": ["data:/data"],
            "user": "1000:1000",
            "stop_signal": "SIGINT",
        },
        "proxy": {"image": "pillion/sidecar", "environment": {"UPSTREAM": "http://backend:8000"}, "ports": ["80:8080"]},
    },
}


@pytest.mark.parametrize("layout", ["shared", "separate"])
def test_a_compose_pair_becomes_a_deployment_without_its_secrets(tmp_path: Path, layout: str) -> None:
    """Values that look secret are for a Secret that the file names and does not hold."""
    found = rendered(tmp_path, [COMPOSE], layout)
    (document,) = manifests(found)
    assert document["kind"] == "Deployment" and document["metadata"]["name"] == "my-shop"
    assert "k3y-value" not in found.text and "pa55" not in found.text and not found.secret
    assert "#   backend.API_KEY" in found.text and any("backend.URL" in notice for notice in found.notices)
    assert any("volumes: is not carried over" in notice for notice in found.notices)
    container = containers(found)[0]
    prefix = "BACKEND__" if layout == "shared" else ""
    assert variables(container)[f"{prefix}PRICE"] == "$$(5)" and container["args"] == ["--x=$$(PORT)"]
    reference = {"name": "my-shop-secrets", "key": "backend.API_KEY"}
    assert variables(container)[f"{prefix}API_KEY"] == {"secretKeyRef": reference}
    assert container["securityContext"] == {"runAsUser": 1000, "runAsGroup": 1000}


def test_with_secrets_the_secret_is_in_the_file(tmp_path: Path) -> None:
    """Asked for, and the file is then one to guard."""
    found = rendered(tmp_path, [COMPOSE], with_secrets=True)
    assert found.secret
    assert manifests(found)[1]["stringData"] == {"backend.API_KEY": "k3y-value", "backend.URL": "http://u:pa55@h/"}


def test_a_secret_on_a_command_line_is_refused(tmp_path: Path) -> None:
    """It would be in the file whatever becomes of the variable."""
    services = {**COMPOSE["services"], "backend": {"image": "s", "command": ["--key=${MY_KEY}"]}}  # type: ignore[dict-item]
    with pytest.raises(Refusal, match=r"backend.*its command holds the value of MY_KEY, which is a secret"):
        rendered(tmp_path, [{"services": services}], caller_env={"MY_KEY": "v"})
