"""Rendered files at work: manifests under `podman kube play`, an image from a Containerfile.

podman 4.3 makes no Secret of a document, expands no $(NAME) and ignores the prefix of an envFrom, so these stay out of
what is played; and it restarts a native sidecar for ever, so that rendering is checked by its schema alone.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.conftest import ENTRY, eventually, free_port
from tests.containers.bases import build, combined, debian_backend, podman, sidecar
from tests.containers.conftest import Container, Run

NAME = f"pillion-render-{os.getpid()}"
# A repository of Pillion's name is how the file's reader knows the proxy.
SIDECAR = f"localhost/{NAME}/pillion-sidecar:1"
ODD = {
    "QUOTES": "a'b\"c",
    "LINES": "a\nb",
    "DOLLARS": "$HOME ${X}",
    "WORD": "yes",
    "MARKS": "a\\b`c%d",
    "NUMBER": "1e3",
    "EMPTY": "",
}
SECRETS = {"backend": "signs", "proxy": "checks"}


def entries(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def secret(key: str) -> dict[str, Any]:
    return {"name": "SECRET_KEY", "valueFrom": {"secretKeyRef": {"name": NAME, "key": key}}}


def pair(front: int) -> list[dict[str, Any]]:
    """A Pod, its ConfigMap and its Secret."""
    backend = {
        "name": "backend",
        "image": debian_backend(),
        "imagePullPolicy": "Never",
        "command": ["/answer"],
        "args": ["8000"],
        "env": [
            *entries({**ODD, "LOG_LEVEL": "loud"}),
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": NAME, "key": "colour"}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            secret("backend"),
        ],
        "ports": [{"containerPort": 8000}],
    }
    proxy = {
        "name": "proxy",
        "image": SIDECAR,
        "imagePullPolicy": "Never",
        "env": [*entries({"LOG_LEVEL": "warning"}), secret("proxy")],
        "ports": [{"containerPort": 8080, "hostPort": front, "hostIP": "127.0.0.1"}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME},
        "spec": {"containers": [backend, proxy], "terminationGracePeriodSeconds": 20},
    }
    data = {key: base64.b64encode(value.encode()).decode() for key, value in SECRETS.items()}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"colour": "red"}},
        pod,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}, "data": data},
    ]


def render(folder: Path, documents: list[dict[str, Any]], *options: str) -> str:
    """What the command prints."""
    path = folder / "pair.yaml"
    path.write_text("\n---\n".join(map(json.dumps, documents)))  # which is YAML, with every text quoted
    done = subprocess.run(
        [ENTRY, "render", path, *options], check=False, capture_output=True, text=True, timeout=30, env={"PATH": "/bin"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def named_sidecar(engine: None) -> Iterator[str]:
    """The sidecar image under a name that tells whose it is."""
    podman("tag", sidecar(), SIDECAR)
    yield SIDECAR
    podman("untag", SIDECAR, SIDECAR)


@pytest.fixture
def play(named_sidecar: str, network: str, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Plays a manifest, its Secrets made beforehand; after the test nothing of it is left."""
    played = tmp_path / "played.yaml"
    secrets: list[str] = []

    def start(text: str) -> None:
        for document in yaml.safe_load_all(text):
            if document["kind"] == "Secret":
                plain = {key: value.encode() for key, value in document.get("stringData", {}).items()}
                data = {key: base64.b64encode(value).decode() for key, value in plain.items()}
                content = tmp_path / "secret.json"
                content.write_text(json.dumps({**document.get("data", {}), **data}))
                secrets.append(document["metadata"]["name"])
                podman("secret", "create", secrets[-1], content)
        # All but the Secret as it was printed.
        rest = "---\n".join(part for part in text.split("---\n") if "kind: Secret" not in part)
        played.write_text(re.sub(r"(?m)^( *)- containerPort: 8000$", apart, rest))
        podman("kube", "play", f"--network={network}", played)

    yield start
    if played.exists():
        podman("kube", "down", played, check=False)  # says no if nothing was played
    for name in secrets:
        podman("secret", "rm", name)
    assert NAME not in podman("pod", "ps", "--format={{.Name}}").stdout
    assert NAME not in podman("ps", "--all", "--format={{.Names}}").stdout


def apart(port: re.Match[str]) -> str:
    """On a port of its own: podman 4.3 publishes one that names no hostPort on the host's of the same number, where
    another test may listen."""
    return f"{port[1]}- hostPort: {free_port()}\n{port[1]}  containerPort: 8000"


def answered(front: int) -> dict[bytes, bytes]:
    """The environment that the backend answers with, through the proxy."""

    def ask() -> requests.Response | None:
        answer = requests.get(f"http://127.0.0.1:{front}/", timeout=5)
        return answer if answer.status_code == 200 else None

    answer = eventually(ask)
    assert answer is not None
    return dict(variable.split(b"=", 1) for variable in answer.content.split(b"\0") if variable)


def check(backend: dict[bytes, bytes], proxy: dict[bytes, bytes]) -> None:
    """Each has its own and nothing of the other's."""
    expected = {**ODD, "LOG_LEVEL": "loud", "COLOUR": "red", "POD": NAME, "SECRET_KEY": "signs"}
    assert {name.encode(): value.encode() for name, value in expected.items()}.items() <= backend.items()
    assert proxy[b"LOG_LEVEL"] == b"warning" and proxy[b"SECRET_KEY"] == b"checks"
    assert proxy[b"DRAIN_DELAY"] == b"5"
    only = {name.encode() for name in expected} - {b"LOG_LEVEL", b"SECRET_KEY"}
    assert proxy.keys().isdisjoint(only) and b"DRAIN_DELAY" not in backend
    for environ in (backend, proxy):
        assert not [name for name in environ if name.startswith((b"PROXY__", b"BACKEND__"))]


def test_two_plain_containers_serve(play: Callable[[str], None], tmp_path: Path) -> None:
    """The manifest in layout separate: the proxy of one container in front of the backend of the other."""
    front = free_port()
    play(render(tmp_path, pair(front), "--to", "kubernetes", "--layout", "separate"))
    backend = answered(front)
    check(backend, container_of("proxy").environ("start.pyc proxy"))
    assert backend == container_of("backend").environ("/answer 8000")


def test_one_container_for_both_serves(play: Callable[[str], None], tmp_path: Path) -> None:
    """The manifest in layout shared, with the combined image: each program sees what it saw in its own container."""
    front = free_port()
    image = combined(debian_backend())
    play(render(tmp_path, pair(front), "--to", "kubernetes", "--image", image))
    backend = answered(front)
    container = container_of("backend")
    proxy = container.environ("start.pyc proxy")
    check(backend, proxy)
    # Its share of a deadline that follows the grace period, less the delay: 0.9 * 0.6 * 18.5 - 5.
    assert proxy[b"DRAIN_TIMEOUT"] == b"4.99"
    assert sum("/answer 8000" in line for line in container.processes()) == 1
    supervisor = container.environ("start.pyc supervise")
    assert not [name for name in supervisor if b"SECRET_KEY" in name]


@pytest.mark.parametrize("layout", ["separate", "shared"])
def test_what_is_made_of_a_compose_file_serves(play: Callable[[str], None], tmp_path: Path, layout: str) -> None:
    """A Deployment with its Secret, where that is asked for; the service's name has become loopback."""
    front = free_port()
    environment = {name: value.replace("$", "$$") for name, value in ODD.items()}
    backend = {
        "image": debian_backend(),
        "entrypoint": ["/answer"],
        "command": ["8000"],
        "expose": ["8000"],
        "environment": {**environment, "SECRET_KEY": "signs"},
    }
    proxy = {"image": SIDECAR, "environment": {"UPSTREAM": "http://backend:8000", "SECRET_KEY": "checks"}}
    services = {"backend": backend, "proxy": {**proxy, "ports": ["8080:8080"]}}
    options = ["--to", "kubernetes", "--layout", layout, "--with-secrets", "--image", combined(debian_backend())]
    text = render(tmp_path, [{"name": NAME, "services": services}], *options)
    # What a cluster's Service would do: a port to come in by.
    play(text.replace("- containerPort: 8080", f"- hostPort: {front}\n{port_indent(text)}containerPort: 8080"))
    expected = {**ODD, "SECRET_KEY": "signs"}
    assert {name.encode(): value.encode() for name, value in expected.items()}.items() <= answered(front).items()
    proxy_of = container_of("backend" if layout == "shared" else "proxy").environ("start.pyc proxy")
    assert proxy_of[b"SECRET_KEY"] == b"checks" and b"LINES" not in proxy_of


def container_of(name: str) -> Container:
    """The container of this name, whatever podman calls the pod of a workload."""
    names = podman("ps", "--format={{.Names}}").stdout.split()
    return Container(next(each for each in names if each.startswith(NAME) and each.endswith(f"-{name}")))


def port_indent(text: str) -> str:
    """What stands before a further field of the port."""
    line = next(line for line in text.splitlines() if "- containerPort: 8080" in line)
    return " " * (line.index("-") + 2)


def test_a_rendered_containerfile_builds_the_combined_image(run: Run, named_sidecar: str, tmp_path: Path) -> None:
    """podman builds it; it serves once it is given its secrets, and none is in the image."""
    text = render(tmp_path, pair(free_port()), "--to", "containerfile")
    image = f"localhost/{NAME}/combined:1"
    context = tmp_path / "context"
    context.mkdir()
    build(context, text, image)
    try:
        inspected = podman("image", "inspect", image).stdout
        assert "signs" not in inspected and "checks" not in inspected
        options = ["--publish=127.0.0.1::8080", "--env=BACKEND__SECRET_KEY=signs", "--env=PROXY__SECRET_KEY=checks"]
        container = run(image, options=[*options, f"--env=BACKEND__LINES={ODD['LINES']}"])
        container.get()
        backend, proxy = container.environ("/answer 8000"), container.environ("start.pyc proxy")
        expected = {**ODD, "LOG_LEVEL": "loud", "COLOUR": "red", "POD": NAME, "SECRET_KEY": "signs"}
        assert {name.encode(): value.encode() for name, value in expected.items()}.items() <= backend.items()
        assert proxy[b"SECRET_KEY"] == b"checks" and b"COLOUR" not in proxy
        container.kill()
        assert container.wait() == 0
    finally:
        # With the container that still stands on it.
        podman("rmi", "--force", image)


def test_the_two_targets_of_a_separate_containerfile(run: Run, named_sidecar: str, tmp_path: Path) -> None:
    """Each is its image with what the pair adds to it, and the two serve as one pair."""
    front = free_port()
    text = render(tmp_path, pair(front), "--to", "containerfile", "--layout", "separate")
    context = tmp_path / "context"
    context.mkdir()
    images = {target: f"localhost/{NAME}/{target}:1" for target in ("backend", "proxy")}
    try:
        for target, image in images.items():
            build(context, text, image, f"--target={target}")
        backend = run(images["backend"], options=[f"--publish=127.0.0.1:{front}:8080"])
        proxy = run(images["proxy"], options=[f"--network=container:{backend.id}"])
        seen = answered(front)
        assert seen[b"COLOUR"] == b"red" and b"SECRET_KEY" not in seen
        assert proxy.environ("start.pyc proxy")[b"LOG_LEVEL"] == b"warning"
    finally:
        # With the containers on them, and the one that uses the other's network first.
        podman("rmi", "--force", images["proxy"], images["backend"])
