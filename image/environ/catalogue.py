"""The variables that two programs in one container are known to fight over: who reads them and what goes wrong.

Severities: S0 wrong trust or leaked secret, S1 does not start, S2 runs wrongly, S3 noise. They rate what happens when
both programs see the variable, as in a naive merge of two containers. The references are public incidents; "derived"
means reasoned from the readers' sources.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from pillion.image.environ.readers import ANY, PILLION


class Entry(NamedTuple):
    """One row: `patterns` are shell globs over the name. `readers` are the kinds of program (`readers.py`) that read
    it of themselves, `may_read` those whose applications do by convention."""

    patterns: tuple[str, ...]
    severity: str
    happens: str
    seen_in: str
    readers: tuple[str, ...] = ()
    may_read: tuple[str, ...] = ()

    @property
    def proxy_reads(self) -> bool:
        """Whether Pillion's own proxy, its gunicorn, its gevent or its Python would read it, so that the backend alone
        declaring it is enough for a conflict."""
        return PILLION in self.readers

    def read_by(self, kinds: frozenset[str]) -> bool:
        """Whether a program of these kinds reads it of itself."""
        return ANY in self.readers or not kinds.isdisjoint(self.readers)

    def perhaps_read_by(self, kinds: frozenset[str]) -> bool:
        """Whether it, or an application of these kinds by convention, reads it."""
        return self.read_by(kinds) or ANY in self.may_read or not kinds.isdisjoint(self.may_read)


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        ("PORT",),
        "S1",
        "both bind it",
        "appsmith#18154, safeplaces-ct-backend#182, rails#53462",
        readers=("gunicorn", "puma", "next", "pillion"),
        may_read=("python", "node", "ruby", "jvm", "php", "go"),
    ),
    Entry(
        ("SERVER_PORT",),
        "S1",
        "the port of one becomes the other's",
        "cloud-on-k8s#1987",
        readers=("kibana",),
        may_read=("jvm",),
    ),
    Entry(
        ("FORWARDED_ALLOW_IPS",),
        "S0",
        "trust meant for one hop applies to both",
        "gunicorn#1205, uvicorn#589, romm#4635",
        readers=("gunicorn", "uvicorn", "pillion"),
    ),
    Entry(
        ("AWS_*",),
        "S0",
        "the wrong identity",
        "amazon-ecs-agent#2412",
        readers=("aws",),
        may_read=("python", "node", "ruby", "jvm", "php", "go"),
    ),
    Entry(
        ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        "S0",
        "one program's trust store becomes the other's",
        "requests#6071, requests#6074",
        readers=("python", "ruby", "php", "go", "curl", "pillion"),
        may_read=("node",),
    ),
    Entry(
        ("*_TOKEN", "*_KEY", "*PASSWORD*", "*_SECRET", "DATABASE_URL", "*_DSN"),
        "S0",
        "the other program can read the secret",
        "kube-agents#1270, bubblewrap#800",
        readers=(),
    ),
    Entry(
        ("WEB_CONCURRENCY",),
        "S1",
        "worker explosion, out of memory",
        "heroku-buildpack-nodejs#389, uvicorn#940",
        readers=("gunicorn", "uvicorn", "puma", "pillion"),
        may_read=("node",),
    ),
    Entry(
        ("GUNICORN_CMD_ARGS",),
        "S1",
        "every gunicorn not pinned by flags takes it",
        "derived",
        readers=("gunicorn", "pillion"),
    ),
    Entry(
        ("SCRIPT_NAME",),
        "S1",
        "gunicorn refuses paths that do not start with it",
        "gunicorn#2718",
        readers=("gunicorn", "pillion"),
    ),
    Entry(
        ("LD_*", "GLIBC_TUNABLES"),
        "S1",
        "the other program's loader breaks",
        "fd#2121, docker-plex#89, pyinstaller#2237",
        readers=("any", "pillion"),
    ),
    Entry(
        ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
        "S1",
        "supervisord or the proxy imports the application's Python",
        "dokku-supervisord#1, Supervisor#787",
        readers=("python", "supervisord", "pillion"),
    ),
    Entry(
        ("PATH",),
        "S1",
        "supervisord or the proxy finds the application's programs",
        "dokku-supervisord#1",
        readers=("any", "pillion"),
    ),
    Entry(
        ("NODE_OPTIONS",),
        "S1",
        "inherited by every node process",
        "akash-network/console#3755",
        readers=("node", "next"),
    ),
    Entry(
        ("JAVA_TOOL_OPTIONS", "JAVA_OPTS", "JMX_PORT", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "KAFKA_JMX_OPTS"),
        "S1",
        "the second JVM binds the same port",
        "jenkinsci/docker#822, kafka-docker#390",
        readers=("jvm",),
    ),
    Entry(
        ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        "S1",
        "the loopback hop goes to the egress proxy",
        "appsmith#21900, lens-sandbox#367",
        readers=("curl", "python", "ruby", "go", "php"),
        may_read=("node",),
    ),
    Entry(
        ("HOST", "HOSTNAME", "BIND"),
        "S1",
        "a server binds to the container's id, or to all addresses",
        "next.js#77612, rails#25688",
        readers=("next", "rails", "puma"),
        may_read=("node", "python", "ruby"),
    ),
    Entry(
        ("HOME", "USER", "LOGNAME"),
        "S1",
        "wrong after a change of uid",
        "Supervisor#161, Supervisor#307",
        readers=("any",),
    ),
    Entry(
        ("LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"),
        "S1",
        "the wrong program takes over the sockets",
        "derived",
        readers=("gunicorn", "pillion"),
    ),
    Entry(
        ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "DD_SERVICE", "ELASTIC_APM_SERVICE_NAME"),
        "S2",
        "traces of two programs under one name",
        "apm-integration-testing#211",
        readers=("otel",),
        may_read=("python", "node", "ruby", "jvm", "php", "go", "envoy"),
    ),
    Entry(
        ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"),
        "S2",
        "two programs write one directory",
        "derived",
        readers=(),
        may_read=("python",),
    ),
    Entry(
        ("DEBUG", "LOG_LEVEL", "LOG_FORMAT", "VERBOSE"),
        "S2",
        "a value of one is no value of the other",
        "mkosi#3648, cineast#378",
        readers=("pillion",),
        may_read=("python", "node", "ruby", "jvm", "php", "go"),
    ),
    Entry(
        ("NODE_ENV", "RAILS_ENV", "RACK_ENV", "FLASK_ENV", "DJANGO_SETTINGS_MODULE"),
        "S2",
        "the mode of one applied to the other",
        "pnpm#8116",
        readers=(),
        may_read=("node", "next", "ruby", "rails", "python"),
    ),
    Entry(
        ("WORKERS", "THREADS", "TIMEOUT", "CONCURRENCY"),
        "S2",
        "sizing of one applied to the other",
        "derived",
        readers=(),
        may_read=("python", "node", "ruby", "jvm", "php", "go"),
    ),
    Entry(
        ("GOMAXPROCS", "GOMEMLIMIT", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX"),
        "S2",
        "each takes the whole container for its own",
        "derived",
        readers=("go",),
        may_read=("python", "any"),
    ),
    Entry(
        ("GEVENT_*", "PYTHON*"),
        "S2",
        "changes how the proxy runs",
        "gevent's and CPython's sources",
        readers=("python", "supervisord", "pillion"),
    ),
    Entry(
        ("SUPERVISOR_*",),
        "S3",
        "names the controller to a program that branches on it",
        "quay#3371",
        readers=(),
    ),
    Entry(
        ("LANG", "LANGUAGE", "LC_*", "TZ"),
        "S3",
        "usually safe to share",
        "s2i-python-container#156",
        readers=("any",),
    ),
)
GENERIC = Entry(("*",), "S2", "one value replaces the other", "stellar/quickstart#540")


class Catalogue:
    """The rows in their order; the user's own come before ours. `learned` are the names that rows say of programs by
    name (`@backend`) that they read, as `pillion env learn` writes."""

    def __init__(self, rows: Sequence[Entry] = CATALOGUE) -> None:
        self._rows = tuple(
            (re.compile("|".join(fnmatch.translate(pattern) for pattern in entry.patterns)), entry) for entry in rows
        )
        self._known: dict[str, Entry] = {}
        self.learned: dict[str, Entry] = {
            name: entry
            for entry in rows
            if any(reader.startswith("@") for reader in (*entry.readers, *entry.may_read))
            for name in entry.patterns
            if not set("*?[") & set(name)
        }

    def look_up(self, name: str) -> Entry:
        """The first row that matches the name, else the generic one."""
        found = self._known.get(name)
        if found is None:
            found = next((entry for pattern, entry in self._rows if pattern.match(name)), GENERIC)
            self._known[name] = found
        return found


@functools.cache
def own_catalogue() -> Catalogue:
    """Not when imported: `enter` never looks anything up, and this takes longer than the rest of its start."""
    return Catalogue()


def look_up(name: str) -> Entry:
    """The row of our own catalogue for the name, else the generic one."""
    return own_catalogue().look_up(name)
