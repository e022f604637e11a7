"""Ports that no file names: what public images listen on by default, and what may move it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pillion.image.environ.lint.defaults import default_of
from tests.image.lint_files import at, lint
from tests.image.test_lint_judge import env, pod


@pytest.mark.parametrize(
    ("image", "port"),
    [
        ("nginx", 80),
        ("docker.io/library/nginx:1.27@sha256:00", 80),
        ("library/redis:7", 6379),
        ("nextcloud:fpm-alpine", 9000),
        ("php:8-fpm", 9000),
        ("ghcr.io/kiwigrid/k8s-sidecar:1", 8080),
        ("registry.k8s.io/kube-state-metrics/kube-state-metrics:v2", 8080),
        ("mycompany/nginx", 0),
        ("localhost:5000/nginx:1", 0),
        ("registry.k8s.io/redis:v1", 0),
        ("php:8-cli", 0),
        ("", 0),
        ("$IMAGE", 0),
    ],
)
def test_whose_default_is_known(image: str, port: int) -> None:
    """Official images by their name, others by their owner's, whatever the registry; one's own of such a name is not
    meant."""
    found = default_of(image)
    assert (found.ports[0] if found else 0) == port


def test_two_defaults_clash_in_a_pod_and_would_in_a_merge(tmp_path: Path) -> None:
    """A pod shares its network today; services of a project do not, and a port by default is easily moved."""
    found = lint(tmp_path, {"p.yaml": pod("name: a, image: nginx", "name: b, image: httpd")})["80/tcp"]
    assert found.severity == "S1" and at(tmp_path, found) == "p.yaml:7:14" and found.programs == ("a", "b")
    assert "a by its image's default and b by its image's default" in found.happens
    declared = pod("name: a, ports: [{containerPort: 80}]", "name: b, image: nginx")
    assert lint(tmp_path, {"p.yaml": declared})["80/tcp"].severity == "S1"
    compose = "services: {a: {image: nginx}, b: {image: httpd}}\n"
    assert lint(tmp_path, {"compose.yaml": compose})["80/tcp"].severity == "S2"


@pytest.mark.parametrize(
    "second",
    [
        "image: nginx, ports: [{containerPort: 8080}]",
        "image: nginx, args: ['--port=8080']",
        "image: nginx, command: [nginx, -p, /srv]",
        "image: nginx, " + env(NGINX_LISTEN="8080"),
        "image: example/nginx",
        "image: kiwigrid/k8s-sidecar, " + env(HEALTH_PORT="8088"),
        "image: kiwigrid/k8s-sidecar, " + env(HEALTH_PORT="x"),
    ],
)
def test_what_may_move_a_port_is_believed(tmp_path: Path, second: str) -> None:
    """Ports, options and variables: then nothing is known of it."""
    first = "name: a, ports: [{containerPort: 80}, {containerPort: 8080}]"
    found = lint(tmp_path, {"p.yaml": pod(first, f"name: b, {second}")})
    assert "80/tcp" not in found
    assert ("8080/tcp" in found) == ("8080}" in second)


def test_a_variable_of_the_image_moves_its_port_there(tmp_path: Path) -> None:
    """At the variable's place."""
    two = pod(
        "name: a, ports: [{containerPort: 8088}]", "name: b, image: kiwigrid/k8s-sidecar, " + env(HEALTH_PORT="8088")
    )
    found = lint(tmp_path, {"p.yaml": two})["8088/tcp"]
    assert found.severity == "S1" and found.place.line == 7


def test_where_files_are_mounted_a_default_is_a_guess(tmp_path: Path) -> None:
    """They may hold another port; a variable is not moved by them."""
    mounts = "volumeMounts: [{name: c, mountPath: /etc/nginx}]"
    first = "name: a, ports: [{containerPort: 80}, {containerPort: 8080}]"
    two = pod(first, f"name: b, image: nginx, {mounts}", f"name: c, image: kiwigrid/k8s-sidecar, {mounts}")
    found = lint(tmp_path, {"p.yaml": two})
    assert found["80/tcp"].severity == "S2" and found["8080/tcp"].severity == "S1"


def test_the_containerfile_beside_a_manifest_may_be_the_image(tmp_path: Path) -> None:
    """Of whoever says nothing else: its EXPOSE, or what its base listens on; as a guess, and said to be one."""
    two = pod("name: a, image: example/a, ports: [{containerPort: 81}]", "name: b, image: example/b")
    found = lint(tmp_path, {"p.yaml": two, "Dockerfile": "FROM x\nEXPOSE 81\n"})["81/tcp"]
    assert found.severity == "S2" and "b by its image's default if it is built from" in found.happens
    base = {"p.yaml": two.replace("81", "80"), "Dockerfile": "FROM nginx\n"}
    assert lint(tmp_path, base)["80/tcp"].severity == "S2"
    assert "81/tcp" not in lint(tmp_path, {"p.yaml": two, "Dockerfile": "FROM x\n"})


def test_what_a_service_is_built_from_says_its_ports(tmp_path: Path) -> None:
    """Its EXPOSE, if the file names none."""
    compose = "services: {a: {build: ., environment: {}}, b: {image: nginx}, c: {build: ., ports: ['1:81']}}\n"
    found = lint(tmp_path, {"compose.yaml": compose, "Dockerfile": "FROM x\nEXPOSE 80\n"})
    assert found["80/tcp"].programs == ("a", "b") and "81/tcp" not in found


def test_thruster_overwrites_port(tmp_path: Path) -> None:
    """Given before the command, or by the image; without it, nothing."""
    started = {"run.sh": "#!/bin/sh\nPORT=1 MODE=$X exec ./bin/thrust ./bin/rails server\n"}
    found = lint(tmp_path, started)["PORT"]
    assert found.severity == "S2" and at(tmp_path, found) == "run.sh:2:1" and "reaches nobody" in found.happens
    assert "PORT" not in lint(tmp_path, {"run.sh": "#!/bin/sh\nexec ./bin/thrust ./bin/rails server\n"})
