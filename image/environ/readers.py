"""The kinds of program that read variables, and how a program's kinds are told from its command and image (pure)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

ANY = "any"  # the dynamic loader, the C library, the shell: every program
PILLION = "pillion"  # the sidecar: its own settings, its gunicorn, its gevent and its Python


class Kind(NamedTuple):
    """`commands` are patterns over the last part of a word's path, `images` over that of an image without its tag.
    `also` are the kinds that a program of this kind is as well."""

    commands: str
    images: str = ""
    also: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "pillion": Kind(r"pillion", r"pillion.*", ("gunicorn", "python")),
    "gunicorn": Kind(r"gunicorn", r".*gunicorn.*", ("python",)),
    "uvicorn": Kind(r"uvicorn", r".*uvicorn.*", ("python",)),
    "supervisord": Kind(r"supervisord"),
    "python": Kind(
        r"python[\d.]*|.*\.py|celery|flask|daphne|hypercorn|fastapi|uwsgi|streamlit|airflow|poetry|pipenv|uv",
        r"python|pypy|django|.*-?fastapi|airflow|superset|mlflow|jupyter.*",
    ),
    "next": Kind(r"next", r".*next-?js.*", ("node",)),
    "node": Kind(
        r"node|nodejs|npm|npx|yarn|pnpm|bun|deno|pm2(-.*)?|ts-node|nodemon|nest|.*\.[cm]?js|.*\.tsx?",
        r"node|ghost|n8n|directus|strapi|node-red|verdaccio|.*-node",
    ),
    "thruster": Kind(r"thrust"),
    "puma": Kind(r"puma", "", ("ruby",)),
    "rails": Kind(r"rails", r".*rails.*", ("puma", "ruby")),
    "ruby": Kind(
        r"ruby|bundle|bundler|rackup|unicorn|sidekiq|rake|.*\.rb", r"ruby|redmine|gitlab-ce|mastodon|discourse"
    ),
    "jvm": Kind(
        r"java|.*\.jar|catalina\.sh|jenkins\.sh|gradlew?|mvnw?|kafka-server-start.*|zkServer\.sh|jenkins",
        r"openjdk|eclipse-temurin|amazoncorretto|jenkins|tomcat|jetty|kafka|cp-.*|zookeeper|elasticsearch|logstash|solr"
        r"|cassandra|keycloak|sonarqube|nexus3?|neo4j|wildfly|activemq.*|spring.*|gradle|maven|opensearch|hbase|flink|spark",
    ),
    "php": Kind(
        r"php|php-fpm[\d.]*|artisan|composer|.*\.php", r"php|wordpress|drupal|nextcloud|matomo|laravel.*|joomla"
    ),
    "go": Kind(
        "prometheus|grafana(-server)?|traefik|caddy|minio|vault|consul|etcd|cloudflared|oauth2-proxy|alertmanager|dockerd",
        "golang|prometheus|grafana|traefik|caddy|minio|vault|consul|etcd|cloudflared|oauth2-proxy|alertmanager|loki|registry"
        "|cloud-sql-proxy|gce-proxy|.*-exporter|telegraf|otel.*|opentelemetry-collector.*",
    ),
    "otel": Kind("otelcol.*", "otel.*|opentelemetry-collector.*|jaeger.*", ("go",)),
    "kibana": Kind(r"kibana", r"kibana.*", ("node",)),
    "curl": Kind(r"curl"),
    "aws": Kind(r"aws", r"aws-.*|amazon-.*"),
    "nginx": Kind(r"nginx", r"nginx.*|openresty|.*-nginx"),
    "apache": Kind(r"httpd|apache2.*", r"httpd|apache2?"),
    "haproxy": Kind(r"haproxy.*", r"haproxy.*"),
    "envoy": Kind(r"envoy|pilot-agent", r"envoy.*|istio-proxy|proxyv2"),
    "postgres": Kind(r"postgres|pg_ctl|postmaster", r"postgres|postgresql.*|postgis|timescaledb.*|pgvector"),
    "mysql": Kind(r"mysqld.*|mariadbd|mysqld_safe", r"mysql.*|mariadb.*|percona.*"),
    "redis": Kind(r"redis-server|valkey-server", r"redis.*|valkey.*|keydb.*|dragonfly"),
    "mongo": Kind(r"mongod", r"mongo|mongodb.*"),
    "rabbitmq": Kind(r"rabbitmq-server", r"rabbitmq.*"),
    "memcached": Kind(r"memcached", r"memcached.*"),
    "cron": Kind(r"cron|crond"),
    "sshd": Kind(r"sshd"),
    "busybox": Kind("", r"busybox"),
}
_COMMANDS = [(name, re.compile(kind.commands)) for name, kind in KINDS.items() if kind.commands]
_IMAGES = [(name, re.compile(kind.images)) for name, kind in KINDS.items() if kind.images]
_REFERENCE = re.compile(r"%\(ENV_(?P<ini>\w+)\)s|\$\((?P<kube>[A-Za-z_]\w*)\)|\$\{?(?P<shell>[A-Za-z_]\w*)", re.ASCII)
_MOST_WORDS = 200
_LONGEST_COMMAND = 8192


def kinds_of(words: Sequence[str], image: str) -> frozenset[str]:
    """What kinds of program a command line, or the image if that is all there is, tells; none if it tells nothing."""
    found: set[str] = set()
    for word in _flat(words):
        base = word.rpartition("/")[2]
        found.update(name for name, pattern in _COMMANDS if pattern.fullmatch(base))
    if not found and image:
        base = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
        found.update(name for name, pattern in _IMAGES if pattern.fullmatch(base))
    return frozenset(_closed(found))


def named_on(words: Iterable[str]) -> frozenset[str]:
    """The variables that a command line refers to, in the spellings of a shell, Kubernetes and supervisord."""
    return frozenset(
        next(filter(None, match.groups()))
        for word in words
        if "$" in word or "%(" in word
        for match in _REFERENCE.finditer(word)
    )


def _closed(kinds: set[str]) -> set[str]:
    more = {also for kind in kinds for also in KINDS[kind].also if also not in kinds}
    return _closed(kinds | more) if more else kinds


def command_words(text: str) -> tuple[str, ...]:
    """The words of a command line as a shell parts them; by white space alone if it is none, or is too long for one
    (the time that shlex takes grows with the square of a word's length)."""
    if len(text) <= _LONGEST_COMMAND:
        try:
            return tuple(shlex.split(text))
        except ValueError:
            return tuple(text.split())
    return tuple(text[:_LONGEST_COMMAND].split())


def _flat(words: Sequence[str]) -> Iterator[str]:
    """The words, and those within a word that is a shell's command line."""
    for word in words[:_MOST_WORDS]:
        if any(space in word for space in " \t\n"):
            yield from (part for part in command_words(word)[:_MOST_WORDS] if not part.startswith("-"))
        elif not word.startswith("-"):
            yield word
