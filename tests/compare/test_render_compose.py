"""A pair as a Compose file; every file here is parsed strictly by the Compose Specification's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from pillion.image.pairfile import load_pair
from pillion.image.refusal import Refusal
from tests.compare.render import pod, rendered

BACKEND = {
    "image": "shop:1",
    "entrypoint": ["serve"],
    "command": ["--p=$$x"],
    "environment": {"PORT": 8000, "A": "$$1"},
}
PROXY = {
    "image": "pillion/sidecar",
    "environment": ["UPSTREAM=http://backend:8000", "LOG=${LOG:-x}"],
    "ports": ["80:8080"],
}


def compose(backend: dict[str, Any], proxy: dict[str, Any], **more: Any) -> dict[str, Any]:
    services = {"backend": {**BACKEND, **backend}, "proxy": {**PROXY, **proxy}, **more.pop("others", {})}
    return {"name": "shop", "services": services, **more}


def read(text: str) -> dict[str, Any]:
    """The document, if it is one."""
    found: dict[str, Any] = yaml.safe_load(text)
    # The network that is always there is not known to this parser.
    PyCompose.from_yaml(f"{text}networks: {{default: {{}}}}\n" if "networks" not in found else text).validate()
    return found


def render(folder: Path, document: dict[str, Any], layout: str = "shared", **more: Any) -> dict[str, Any]:
    return read(rendered(folder, [document], layout, "compose", **more).text)


def shared(folder: Path, backend: dict[str, Any], proxy: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The one service."""
    service: dict[str, Any] = render(folder, compose(backend, proxy, **more))["services"]["backend"]
    return service


def test_shared_is_one_service_that_answers_to_both_names(tmp_path: Path) -> None:
    """Values are as the file wrote them, interpolation included; the published ports are the proxy's."""
    found = render(tmp_path, compose({}, {}))
    assert list(found["services"]) == ["backend"]
    service = found["services"]["backend"]
    assert service["image"] == "shop-combined:1" and service["ports"] == ["80:8080"]
    assert service["entrypoint"] == ["/opt/pillion/bin/pillion", "enter", "--", "serve"]
    assert service["command"] == ["--p=$$x"]
    assert service["networks"] == {"default": {"aliases": ["proxy"]}}
    assert service["environment"] == {
        "BACKEND__PORT": "8000",
        "BACKEND__A": "$$1",
        "PROXY__UPSTREAM": "http://127.0.0.1:8000",
        "PROXY__LOG": "${LOG:-x}",
        "PILLION_DEADLINE": "8.5",
    }


def test_env_files_become_variables_but_for_secrets(tmp_path: Path) -> None:
    """A prefix cannot be given to a whole file."""
    (tmp_path / "api.env").write_text("COLOUR=a$$b\nTOKEN=s3cr3t\nMYSQL_PWD=s3cr3t\nGRAFANA_JWT=s3cr3t\n")
    found = rendered(tmp_path, [compose({"env_file": "api.env"}, {})], "shared", "compose")
    environment = read(found.text)["services"]["backend"]["environment"]
    assert environment["BACKEND__COLOUR"] == "a$$b" and "s3cr3t" not in found.text
    assert environment["BACKEND__TOKEN"].startswith("${BACKEND__TOKEN:?")
    assert any("BACKEND__TOKEN" in notice for notice in found.notices)


def test_a_name_alone_is_taken_from_who_starts_it(tmp_path: Path) -> None:
    """Whether the caller of today has it or not; into a manifest it cannot be taken, and that is said."""
    document = compose({"environment": ["HERE", "NOWHERE"]}, {"environment": {"HERE": None}})
    found = rendered(tmp_path, [document], "shared", "compose", caller_env={"HERE": "x"})
    environment = read(found.text)["services"]["backend"]["environment"]
    assert environment["BACKEND__HERE"] == environment["PROXY__HERE"] == "${HERE-}"
    assert environment["BACKEND__NOWHERE"] == "${NOWHERE-}" and any("NOWHERE" in notice for notice in found.notices)
    assert any("NOWHERE" in notice for notice in rendered(tmp_path, [document]).notices)


def test_fields_of_both_services(tmp_path: Path) -> None:
    """Lists are joined, waiting for each other is over, and what one service cannot have is named."""
    backend = {
        "volumes": ["data:/data"], "depends_on": ["db"], "restart": "always", "stop_signal": "SIGINT",
        "stop_grace_period": "20s", "user": "1000", "networks": ["inner"],
        "healthcheck": {"test": ["CMD", "true"]}, "build": "./shop",
    }  # fmt: skip
    proxy = {
        "volumes": ["./certs:/certs:ro"], "depends_on": {"backend": {"condition": "service_healthy"}},
        "networks": {"outer": {"aliases": ["front"]}, "inner": None}, "restart": "no", "read_only": True,
    }  # fmt: skip
    others = {"db": {"image": "pg"}, "agent": {"image": "a", "depends_on": ["proxy", "backend"]}}
    document = compose(backend, proxy, others=others, volumes={"data": None}, networks={"inner": None, "outer": None})
    found = rendered(tmp_path, [document], "shared", "compose")
    whole = read(found.text)
    service = whole["services"]["backend"]
    assert service["volumes"] == ["./certs:/certs:ro", "data:/data"] and service["restart"] == "always"
    assert service["depends_on"] == {"db": {"condition": "service_started"}}
    assert service["networks"] == {"inner": {"aliases": ["proxy"]}, "outer": {"aliases": ["front", "proxy"]}}
    assert service["stop_grace_period"] == "20s" and "stop_signal" not in service and "build" not in service
    assert service["environment"]["PILLION_STOP_SIGNAL"] == "SIGINT" and service["user"] == "1000"
    assert service["environment"]["PILLION_DEADLINE"] == "18.5" and service["healthcheck"] == {"test": ["CMD", "true"]}
    assert whole["services"]["agent"]["depends_on"] == ["backend"] and whole["volumes"] == {"data": None}
    said = "\n".join(found.notices)
    assert "services.proxy.restart: the backend's" in said and "services.proxy.read_only" in said


def test_two_volumes_at_one_place_are_refused(tmp_path: Path) -> None:
    """By both their names."""
    with pytest.raises(Refusal, match=r"services.backend.volumes and services.proxy.volumes both mount /a"):
        shared(tmp_path, {"volumes": ["x:/a"]}, {"volumes": [{"type": "bind", "source": "/y", "target": "/a/"}]})


def test_separate_is_the_file_with_the_proxy_after_the_backend(tmp_path: Path) -> None:
    """And the same pair."""
    document = compose({}, {})
    found = rendered(tmp_path, [document], "separate", "compose")
    document["services"]["proxy"]["depends_on"] = ["backend"]
    assert read(found.text) == document
    before = load_pair(tmp_path / "pair.yaml")
    (tmp_path / "pair.yaml").write_text(found.text)
    assert load_pair(tmp_path / "pair.yaml") == before


SECRET = {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
DOCUMENT = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hunter2"}}


def manifest(**proxy: Any) -> list[Any]:
    env = [SECRET, {"name": "URL", "value": "x:$(PW)@y"}, {"name": "PRICE", "value": "$5"}]
    probe = {"exec": {"command": ["ok", "$x"]}, "periodSeconds": 3}
    backend = {
        "env": env,
        "args": ["$$(A)"],
        "readinessProbe": probe,
        "securityContext": {"runAsUser": 7, "runAsGroup": 8},
    }
    return [pod(backend, proxy, terminationGracePeriodSeconds=20), DOCUMENT]


def test_a_pod_becomes_two_services_with_one_loopback(tmp_path: Path) -> None:
    """The proxy joins the backend's network, so the backend's service publishes the port."""
    found = rendered(tmp_path, manifest(), "separate", "compose")
    services = read(found.text)["services"]
    assert services["proxy"]["network_mode"] == "service:backend" and services["proxy"]["depends_on"] == ["backend"]
    assert services["backend"]["ports"] == ["8080:8080"] and "ports" not in services["proxy"]
    assert services["proxy"]["environment"] == {"UPSTREAM": "http://127.0.0.1:8000"}
    backend = services["backend"]
    assert backend["user"] == "7:8" and backend["stop_grace_period"] == "20s" and backend["command"] == ["$$(A)"]
    assert backend["healthcheck"]["test"] == ["CMD", "ok", "$$x"] and backend["healthcheck"]["interval"] == "3s"


def test_an_upstream_by_name_keeps_the_networks_apart(tmp_path: Path) -> None:
    """Then the proxy publishes its port itself."""
    services = render_pod(tmp_path, manifest(env=[{"name": "UPSTREAM", "value": "http://backend:8000"}]))
    assert "network_mode" not in services["proxy"] and services["proxy"]["ports"] == ["8080:8080"]


def render_pod(folder: Path, documents: list[Any], layout: str = "separate", **more: Any) -> dict[str, Any]:
    services: dict[str, Any] = read(rendered(folder, documents, layout, "compose", **more).text)["services"]
    return services


@pytest.mark.parametrize("layout", ["separate", "shared"])
def test_secrets_of_a_pod_are_left_to_who_starts_it(tmp_path: Path, layout: str) -> None:
    """Those from a Secret and those made of one; a literal dollar stays one."""
    found = rendered(tmp_path, manifest(), layout, "compose")
    environment = read(found.text)["services"]["backend"]["environment"]
    prefix = "BACKEND__" if layout == "shared" else ""
    assert "hunter2" not in found.text and environment[f"{prefix}PRICE"] == "$$5"
    for name in ("PW", "URL"):
        assert environment[prefix + name].startswith(f"${{BACKEND__{name}:?")
    asked = render_pod(tmp_path, manifest(), layout, with_secrets=True)["backend"]["environment"]
    assert asked[f"{prefix}URL"] == "x:hunter2@y"


ELSEWHERE = {"name": "DSN", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "k"}}}


@pytest.mark.parametrize("more", [{}, {"with_secrets": True}])
def test_what_only_a_cluster_knows_is_asked_for(tmp_path: Path, more: dict[str, bool]) -> None:
    """And what is made of it; nobody's literal $(DSN) ends up as a value."""
    made = {"name": "MADE", "value": "x$(DSN)"}
    documents = [pod({"env": [ELSEWHERE, made, {"name": "A", "value": "$(NONE)"}]}, {})]
    environment = render_pod(tmp_path, documents, **more)["backend"]["environment"]
    assert environment["DSN"].startswith("${BACKEND__DSN:?") and environment["MADE"].startswith("${BACKEND__MADE:?")
    assert environment["A"] == "$$(NONE)"


@pytest.mark.parametrize("source", [{"env": [ELSEWHERE]}, {"envFrom": [{"secretRef": {"name": "gone"}}]}])
@pytest.mark.parametrize("target", ["compose", "containerfile"])
def test_a_command_that_refers_to_it_is_refused(tmp_path: Path, source: dict[str, Any], target: str) -> None:
    """There is nothing to write for it."""
    with pytest.raises(Refusal, match=r"its command refers to DSN, which is not in the file; add the Secret"):
        rendered(tmp_path, [pod({**source, "args": ["--dsn=$(DSN)"]}, {})], "shared", target)


def test_a_secret_of_a_pod_in_a_command_is_refused(tmp_path: Path) -> None:
    """By its value or by its name."""
    documents = [pod({"env": [SECRET], "args": ["--password=$(PW)"]}, {}), DOCUMENT]
    with pytest.raises(Refusal, match=r"containers\[0\] \(backend\): its command holds the value of PW"):
        rendered(tmp_path, documents, "separate", "compose")


@pytest.mark.parametrize("layout", ["shared", "separate"])
def test_an_admin_listener_is_asked_by_a_health_check(tmp_path: Path, layout: str) -> None:
    """From inside, as Compose has nobody who asks from outside; the file's own check counts more."""
    check = ["CMD", "/opt/pillion/bin/pillion", "health", "ready"]
    admin = {"env": [{"name": "ADMIN_LISTEN", "value": "127.0.0.1:9090"}]}
    services = yaml.safe_load(rendered(tmp_path, [pod({}, admin)], layout, "compose").text)["services"]
    assert services["backend" if layout == "shared" else "proxy"]["healthcheck"]["test"] == check
    document: dict[str, Any] = {
        "services": {
            "backend": {"image": "shop:1", "command": ["serve"]},
            "proxy": {"image": "pillion/sidecar", "environment": {"ADMIN_LISTEN": ":9090"}},
        }
    }
    services = yaml.safe_load(rendered(tmp_path, [document], layout, "compose").text)["services"]
    assert services["backend" if layout == "shared" else "proxy"]["healthcheck"]["test"] == check
    document["services"]["proxy"]["healthcheck"] = {"test": ["CMD", "mine"]}
    services = yaml.safe_load(rendered(tmp_path, [document], layout, "compose").text)["services"]
    assert services["backend" if layout == "shared" else "proxy"]["healthcheck"]["test"] == ["CMD", "mine"]
