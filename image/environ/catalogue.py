"""The variables that two programs in one container are known to fight over: who reads them and what goes wrong.

Severities: S0 wrong trust or leaked secret, S1 does not start, S2 runs wrongly, S3 noise. They rate what happens when
both programs see the variable, as in a naive merge of two containers. The references are public incidents; "derived"
means reasoned from the readers' sources.
"""

from __future__ import annotations

import fnmatch
import re
from typing import NamedTuple


class Entry(NamedTuple):
    """One row: `patterns` are shell globs over the name; `proxy_reads` says that Pillion's own proxy, its gunicorn, its
    gevent or its Python would read it, so that the backend alone declaring it is enough for a conflict."""

    patterns: tuple[str, ...]
    severity: str
    happens: str
    seen_in: str
    proxy_reads: bool = False


CATALOGUE: tuple[Entry, ...] = (
    Entry(("PORT",), "S1", "both bind it", "appsmith#18154, rails#53462", proxy_reads=True),
    Entry(
        ("FORWARDED_ALLOW_IPS",),
        "S0",
        "trust meant for one hop applies to both",
        "gunicorn#1205, uvicorn#589",
        proxy_reads=True,
    ),
    Entry(
        ("*_TOKEN", "*_KEY", "*PASSWORD*", "*_SECRET", "DATABASE_URL", "*_DSN"),
        "S0",
        "the other program can read the secret",
        "kube-agents#1270, bubblewrap#800",
    ),
    Entry(("AWS_*",), "S0", "the wrong identity", "amazon-ecs-agent#2412"),
    Entry(
        ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        "S0",
        "one program's trust store becomes the other's",
        "requests#6071, requests#6074",
        proxy_reads=True,
    ),
    Entry(("WEB_CONCURRENCY",), "S1", "worker explosion", "heroku-buildpack-nodejs#389, uvicorn#940", proxy_reads=True),
    Entry(("GUNICORN_CMD_ARGS",), "S1", "every gunicorn not pinned by flags takes it", "derived", proxy_reads=True),
    Entry(
        ("SCRIPT_NAME",), "S1", "gunicorn refuses paths that do not start with it", "gunicorn#2718", proxy_reads=True
    ),
    Entry(
        ("LD_*", "GLIBC_TUNABLES"),
        "S1",
        "the other program's loader breaks",
        "fd#2121, docker-plex#89",
        proxy_reads=True,
    ),
    Entry(
        ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PATH"),
        "S1",
        "supervisord or the proxy imports the application's Python",
        "Supervisor#787",
        proxy_reads=True,
    ),
    Entry(("NODE_OPTIONS",), "S1", "inherited by every node process", "akash-network/console#3755"),
    Entry(
        ("JAVA_TOOL_OPTIONS", "JAVA_OPTS", "JMX_PORT"),
        "S1",
        "the second JVM binds the same port",
        "jenkinsci/docker#822, kafka-docker#390",
    ),
    Entry(
        ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        "S1",
        "the loopback hop goes to the egress proxy",
        "appsmith#21900",
    ),
    Entry(("HOST", "HOSTNAME", "BIND"), "S1", "a server binds to the wrong address", "next.js#77612, rails#25688"),
    Entry(("HOME", "USER", "LOGNAME"), "S1", "wrong after a change of uid", "Supervisor#161, Supervisor#307"),
    Entry(
        ("LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"),
        "S1",
        "the wrong program takes over the sockets",
        "derived",
        proxy_reads=True,
    ),
    Entry(
        ("OTEL_*", "DD_SERVICE", "ELASTIC_APM_SERVICE_NAME"),
        "S2",
        "traces of two programs under one name",
        "apm-integration-testing#211",
    ),
    Entry(("PROMETHEUS_MULTIPROC_DIR",), "S2", "two programs write one directory", "derived"),
    Entry(
        ("DEBUG", "LOG_LEVEL", "LOG_FORMAT", "VERBOSE"),
        "S2",
        "a value of one is no value of the other",
        "mkosi#3648, cineast#378",
        proxy_reads=True,
    ),
    Entry(
        ("NODE_ENV", "RAILS_ENV", "FLASK_ENV", "DJANGO_SETTINGS_MODULE"),
        "S2",
        "the mode of one applied to the other",
        "pnpm#8116",
    ),
    Entry(("WORKERS", "THREADS", "TIMEOUT", "CONCURRENCY"), "S2", "sizing of one applied to the other", "derived"),
    Entry(
        ("GOMAXPROCS", "GOMEMLIMIT", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX"),
        "S2",
        "each takes the whole container for its own",
        "derived",
    ),
    Entry(("GEVENT_*", "PYTHON*"), "S2", "changes how the proxy runs", "derived", proxy_reads=True),
    Entry(("SUPERVISOR_*",), "S3", "names the controller to a program that branches on it", "quay#3371"),
    Entry(("LANG", "LC_*", "TZ"), "S3", "usually safe to share", "s2i-python-container#156"),
)
GENERIC = Entry(("*",), "S2", "one value replaces the other", "stellar/quickstart#540")

_COMPILED = tuple(
    (re.compile("|".join(fnmatch.translate(pattern) for pattern in entry.patterns)), entry) for entry in CATALOGUE
)


def look_up(name: str) -> Entry:
    """The first row that matches the name, else the generic one."""
    for pattern, entry in _COMPILED:
        if pattern.match(name):
            return entry
    return GENERIC


def variable_class(name: str) -> str:
    """The class of an un-prefixed name in the policy table: where it goes when nothing else is said.

    Service links are told by their values and so are not found here (see `service_links`).
    """
    if name.startswith("PILLION_"):
        return "ours"
    if name in ("TZ", "LANG", "LANGUAGE") or name.startswith("LC_"):
        return "base"
    if name in ("HOME", "USER", "LOGNAME", "PATH"):
        return "derived"
    if name == "PORT":
        return "port"
    if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY"):
        return "egress"
    if name.startswith(("LD_", "PYTHON", "JAVA_")) or name in ("NODE_OPTIONS", "GLIBC_TUNABLES"):
        return "loader"
    return "other"


_LINK = re.compile(r"(?P<service>[A-Z][A-Z0-9_]*?)_PORT\Z")
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://[^/]+:\d+\Z")
_LINK_REST = r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)\Z"


def service_links(environ: dict[str, str]) -> frozenset[str]:
    """The names that the platform set because some Service is older than the pod (Kubernetes "service links", and
    docker's container links before it): every family with a `X_PORT=tcp://HOST:PORT`.

    The API server's own family stays: clients inside the cluster find it by these names, whatever else is in the pod.
    """
    services = {
        match["service"]
        for name, value in environ.items()
        if (match := _LINK.match(name)) and _LINK_VALUE.match(value) and match["service"] != "KUBERNETES"
    }
    if not services:
        return frozenset()
    family = re.compile("(" + "|".join(map(re.escape, sorted(services))) + ")" + _LINK_REST)
    return frozenset(name for name in environ if family.match(name))
