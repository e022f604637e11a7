"""Where a program listens if nothing says so: the ports that public images are known to listen on by default (pure).

From the images' own build files (EXPOSE) and documents; only what a container does that is given nothing. An image of
one's own that merely has such a name is not meant: official ones go by their bare name, others with their owner's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pillion.image.environ.lint.program import Declaration, Program


class Default(NamedTuple):
    """`ports` that it listens on, and the `variable` that moves the first of them, "" if there is none."""

    ports: tuple[int, ...]
    variable: str = ""


_IMAGES: Mapping[str, Default] = {
    "adminer": Default((8080,)),
    "caddy": Default((80, 443, 2019)),
    "couchdb": Default((5984,)),
    "elasticsearch": Default((9200, 9300)),
    "ghost": Default((2368,)),
    "httpd": Default((80,)),
    "influxdb": Default((8086,)),
    "kibana": Default((5601,), "SERVER_PORT"),
    "mariadb": Default((3306,)),
    "memcached": Default((11211,)),
    "mongo": Default((27017,)),
    "mysql": Default((3306,)),
    "nats": Default((4222,)),
    "neo4j": Default((7474, 7687)),
    "nextcloud": Default((80,)),
    "nginx": Default((80,)),
    "phpmyadmin": Default((80,), "APACHE_PORT"),
    "postgres": Default((5432,), "PGPORT"),
    "rabbitmq": Default((5672,), "RABBITMQ_NODE_PORT"),
    "redis": Default((6379,)),
    "registry": Default((5000,)),
    "sonarqube": Default((9000,)),
    "tomcat": Default((8080,)),
    "traefik": Default((80,)),
    "wordpress": Default((80,)),
    "zookeeper": Default((2181,)),
    "dpage/pgadmin4": Default((80,), "PGADMIN_LISTEN_PORT"),
    "gitea/gitea": Default((3000,), "HTTP_PORT"),
    "grafana/grafana": Default((3000,), "GF_SERVER_HTTP_PORT"),
    "hashicorp/http-echo": Default((5678,)),
    "hashicorp/vault": Default((8200,)),
    "jenkins/jenkins": Default((8080, 50000)),
    "keycloak/keycloak": Default((8080,), "KC_HTTP_PORT"),
    "kiwigrid/k8s-sidecar": Default((8080,), "HEALTH_PORT"),
    "kube-state-metrics/kube-state-metrics": Default((8080, 8081)),
    "minio/minio": Default((9000,)),
    "nginxinc/nginx-unprivileged": Default((8080,)),
    "oauth2-proxy/oauth2-proxy": Default((4180,)),
    "prom/alertmanager": Default((9093,)),
    "prom/node-exporter": Default((9100,)),
    "prom/prometheus": Default((9090,)),
    "prom/pushgateway": Default((9091,)),
    "tiangolo/uvicorn-gunicorn": Default((80,), "PORT"),
    "tiangolo/uvicorn-gunicorn-fastapi": Default((80,), "PORT"),
    "tiangolo/uvicorn-gunicorn-starlette": Default((80,), "PORT"),
    "traefik/whoami": Default((80,)),
}
# Of these, the tags with `fpm` in them listen for FastCGI.
_FPM = {"php": 9000, "wordpress": 9000, "nextcloud": 9000}
_DOCKER_HUB = ("docker.io/library/", "docker.io/", "library/", "index.docker.io/")
# What can move a program's port and is not looked into.
_MOVES = re.compile(r"PORT|LISTEN|BIND|ADDR|ENDPOINT|(?<!\w)--?p\b", re.IGNORECASE)


def default_of(image: str) -> Default | None:
    """What is known of an image by its name; None if nothing."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    path = image.partition("@")[0].rpartition("/")[0]
    if "fpm" in tag and name in _FPM and path in ("", "library", "docker.io/library"):
        return Default((_FPM[name],))
    full = f"{path}/{name}" if path else name
    for prefix in _DOCKER_HUB:
        full = full.removeprefix(prefix)
    if "/" not in full:
        return _IMAGES.get(full)
    # Whatever registry it is taken from: the owner tells.
    return _IMAGES.get("/".join(full.split("/")[-2:]))


def is_by_file(program: Program) -> bool:
    """Whether a file that is mounted may move the ports of an image that no variable moves."""
    default = default_of(program.image)
    return program.mounts and default is not None and not default.variable


def assumed_ports(program: Program, built: Program | None = None) -> dict[int, Declaration | None]:
    """The ports that a program listens on by default, if its file names none and nothing that could move them; with the
    variable that moved one. `built` is what the image may be built from, if that is not said."""
    if program.ports:
        return {}
    default = default_of(program.image)
    if default is None and built is not None and not program.words:
        default = default_of(built.image)
        if built.ports:
            default = Default(tuple(port.number for port in built.ports), default.variable if default else "")
    if default is None:
        return {}
    found: dict[int, Declaration | None] = dict.fromkeys(default.ports)
    if (moved := program.declared.get(default.variable)) is not None:
        del found[default.ports[0]]
        if (number := moved.value or "").isascii() and number.isdigit() and 0 < int(number[:6]) < 65536:
            found[int(number)] = moved
    others = [name for name in program.declared if name != default.variable]
    return {} if any(_MOVES.search(word) for word in (*program.words, *others)) else found
