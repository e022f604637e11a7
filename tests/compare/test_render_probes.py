"""Probes of a rendered manifest, and whom they ask; every manifest is checked against the published schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.compare.render import containers, env, manifests, notices, one, pod, rendered, variables


def test_probes_go_through_the_proxy(tmp_path: Path) -> None:
    """Where the backend is asked over HTTP; the proxy's gate asks the same path."""
    get = {"path": "/ok", "port": "api", "httpHeaders": [{"name": "A", "value": "b"}]}
    backend = {
        "ports": [{"containerPort": 8000, "name": "api"}],
        "readinessProbe": {"httpGet": get, "periodSeconds": 3},
        "livenessProbe": {"httpGet": get, "failureThreshold": 5},
        "startupProbe": {"tcpSocket": {"port": "api"}},
    }
    container = one(tmp_path, backend)
    assert container["readinessProbe"] == {"httpGet": {**get, "port": 8080}, "periodSeconds": 3}
    assert container["livenessProbe"] == {"httpGet": {**get, "port": 8080}, "failureThreshold": 5}
    assert container["startupProbe"] == {"tcpSocket": {"port": 8000}}
    assert variables(container)["PROXY__READY_PATH"] == "/ok"


def test_without_a_probe_the_container_is_ready_when_the_proxy_listens(tmp_path: Path) -> None:
    """Requests before the backend is there get 503."""
    assert one(tmp_path, {}, env(LISTEN=":9090"))["readinessProbe"] == {"tcpSocket": {"port": 9090}}


def test_what_is_said_of_probes_that_one_container_cannot_have(tmp_path: Path) -> None:
    """One of each kind; the proxy's readiness counts."""
    tcp = {"tcpSocket": {"port": 8000}}
    backend = {"readinessProbe": tcp, "livenessProbe": {"exec": {"command": ["check", "$(A)"]}}, **env(A="1")}
    proxy = {"readinessProbe": {"httpGet": {"port": 8080}}, "livenessProbe": {"tcpSocket": {"port": 8080}}}
    container = one(tmp_path, backend, proxy)
    assert container["readinessProbe"] == proxy["readinessProbe"]
    assert container["livenessProbe"] == {"exec": {"command": ["check", "$(BACKEND__A)"]}}
    said = notices(tmp_path, backend, proxy)
    assert "containers[0].readinessProbe: cannot be asked through the proxy" in said
    assert "livenessProbe of the proxy" in said and "sees the container's names" in said


def probes(container: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in container.items() if name.endswith("Probe")}


def test_an_admin_listener_is_what_probes_ask(tmp_path: Path) -> None:
    """In both layouts, by its name, once the pair sets ADMIN_LISTEN; /ready asks the backend's path behind it."""
    backend = {"readinessProbe": {"httpGet": {"path": "/ok", "port": 8000}, "periodSeconds": 3, "failureThreshold": 2}}
    document = pod(backend, {**env(ADMIN_LISTEN=":9090"), "ports": [{"containerPort": 8080, "name": "http"}]})
    front, proxy = containers(rendered(tmp_path, [document], "separate"))
    assert front["readinessProbe"] == backend["readinessProbe"]
    assert proxy["ports"] == [{"containerPort": 8080, "name": "http"}, {"containerPort": 9090, "name": "admin"}]
    assert probes(proxy) == {
        "livenessProbe": {"httpGet": {"path": "/live", "port": "admin"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "admin"}},
    }
    (container,) = containers(rendered(tmp_path, [document]))
    assert {"containerPort": 9090, "name": "admin"} in container["ports"]
    assert variables(container)["PROXY__READY_PATH"] == "/ok"
    ready = container["readinessProbe"]
    assert ready["httpGet"] == {"path": "/ready", "port": 9090}
    assert (ready["periodSeconds"], ready["failureThreshold"]) == (3, 2)
    assert container["livenessProbe"] == {"httpGet": {"path": "/live", "port": 9090}}


@pytest.mark.parametrize("address", ["127.0.0.1:9090", "unix:/run/admin.sock", "localhost:1"])
def test_an_admin_listener_that_only_the_container_reaches_is_asked_from_inside(tmp_path: Path, address: str) -> None:
    """The kubelet comes from outside; no port is declared."""
    _, proxy = containers(rendered(tmp_path, [pod({}, env(ADMIN_LISTEN=address))], "separate"))
    assert proxy["readinessProbe"]["exec"] == {"command": ["/opt/pillion/bin/pillion", "health", "ready"]}
    assert proxy["livenessProbe"]["exec"] == {"command": ["/opt/pillion/bin/pillion", "health", "live"]}
    assert "ports" not in proxy


def test_what_the_file_says_of_probes_and_ports_counts_more_than_an_admin_listener(tmp_path: Path) -> None:
    """Probes of the proxy's container, a name that the port has, a name that another has, checks by command."""
    own = {"httpGet": {"path": "/mine", "port": 8080}}
    ports = [{"containerPort": 9090, "name": "inside"}, {"containerPort": 8080, "name": "admin"}]
    given = {**env(ADMIN_LISTEN="0.0.0.0:9090"), "readinessProbe": own, "ports": ports}
    _, proxy = containers(rendered(tmp_path, [pod({}, given)], "separate"))
    assert proxy["ports"] == ports and proxy["readinessProbe"] == own
    assert proxy["livenessProbe"] == {"httpGet": {"path": "/live", "port": "inside"}}
    checks = {"readinessProbe": {"exec": {"command": ["check"]}}, "livenessProbe": {"exec": {"command": ["alive"]}}}
    assert probes(one(tmp_path, checks, env(ADMIN_LISTEN=":9090"))) == checks


def test_a_native_sidecar_starts_when_its_admin_listener_answers(tmp_path: Path) -> None:
    """It lives before the backend does."""
    found = rendered(tmp_path, [pod({}, env(ADMIN_LISTEN=":9090"))], "separate", native_sidecar=True)
    (native,) = manifests(found)[0]["spec"]["initContainers"]
    assert native["startupProbe"] == {"httpGet": {"path": "/live", "port": "admin"}, "periodSeconds": 1}
