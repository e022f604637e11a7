"""Everything about the proxy that a user can set: one table, and how it is read.

Every duration is in seconds (`0.5`; `500ms`, `5s`, `2m` also work), every size in bytes (`32KiB`, `1MiB` also work).
Standard library only, and light: the command line reads the table before it decides to start a server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pillion.proxy import values
from pillion.proxy.concerns.settings import CONCERN_SETTINGS, ConcernSettings
from pillion.proxy.setting import NAMESPACE, Setting, SettingError, read_rows
from pillion.proxy.values import Address, Upstream

__all__ = ["NAMESPACE", "SETTINGS", "Setting", "SettingError", "Settings", "read_settings", "settings_table"]

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "LISTEN",
        "where to listen: HOST:PORT, https://HOST:PORT or unix:/PATH, several with commas; wins over PORT",
        "addresses",
        "",
        values.addresses,
    ),
    Setting("PORT", "the port to listen on, on all IPv4 addresses; what platforms set", "port", "8080", values.port),
    Setting(
        "LISTEN_CERT",
        "the certificate, with its chain, for clients of https://, a PEM file; read again on SIGHUP",
        "path",
        "",
        values.file,
    ),
    Setting("LISTEN_KEY", "its key, if that is in a file of its own", "path", "", values.file),
    Setting("LISTEN_MODE", "who may connect to a unix socket: its permissions", "octal", "0660", values.permissions),
    Setting(
        "ADMIN_LISTEN",
        "where /live, /ready and /status are answered: HOST:PORT or unix:/PATH, never for the public; empty: nowhere",
        "addresses",
        "",
        values.plain_addresses,
    ),
    Setting(
        "UPSTREAM",
        "the backend: http://HOST:PORT, https://HOST:PORT or unix:/PATH",
        "URL",
        "http://127.0.0.1:8000",
        values.upstream,
    ),
    Setting(
        "UPSTREAM_CA", "whom to trust behind https, a file or directory; empty: the system's", "path", "", values.file
    ),
    Setting("UPSTREAM_CERT", "the certificate to show a backend of https, a PEM file", "path", "", values.file),
    Setting("UPSTREAM_KEY", "its key, if that is in a file of its own", "path", "", values.file),
    Setting("UPSTREAM_NAME", "the name to ask for and to verify; empty: UPSTREAM's host", "host", "", values.host_name),
    Setting(
        "READY_HOLD",
        "how long a request waits for a backend that is not ready, before 503",
        "s",
        "0",
        values.seconds(0),
    ),
    Setting("RETRY_AFTER", "the Retry-After of our own 503", "s", "1", values.count(0, 3600)),
    Setting("WEB_CONCURRENCY", "worker processes", "count", "1", values.count(1, 256)),
    Setting(
        "MAX_REQUESTS",
        "after so many requests, and up to a tenth more, a worker is replaced; 0: never",
        "count",
        "0",
        values.count(0, 10**9 - 1),
    ),
    Setting(
        "MAX_CONNECTIONS",
        "client connections a worker holds; further ones wait to be accepted; fewer where `ulimit -Hn` is too low",
        "count",
        "1000",
        values.count(1, 10**6),
    ),
    Setting("MAX_HEAD_BYTES", "the longest request or response head", "bytes", "32768", values.size(1024, 1024**2)),
    Setting("MAX_FIELDS", "the most fields in a request head", "count", "200", values.count(1, 10000)),
    Setting("MAX_BODY_BYTES", "the longest request body, before 413; 0: any", "bytes", "0", values.size(0, 1024**5)),
    Setting("HANDSHAKE_TIMEOUT", "for a client of https:// to agree on TLS", "s", "10", values.seconds(0.001)),
    Setting("HEAD_TIMEOUT", "for a request's head to arrive whole", "s", "10", values.seconds(0.001)),
    Setting("KEEPALIVE_TIMEOUT", "how long an idle client connection is kept", "s", "60", values.seconds(0.001)),
    Setting(
        "BODY_IDLE_TIMEOUT", "longest pause of a client that sends or takes a body", "s", "60", values.seconds(0.001)
    ),
    Setting("BODY_TIMEOUT", "for a request's body to arrive whole", "s", "3600", values.seconds(0.001)),
    Setting(
        "HALF_CLOSED_TIMEOUT",
        "how long a client that sends no more, and may be gone, is answered while it takes nothing",
        "s",
        "1",
        values.seconds(0.001),
    ),
    Setting("CONNECT_TIMEOUT", "to connect to the backend", "s", "5", values.seconds(0.001)),
    Setting(
        "RESPONSE_TIMEOUT", "for each response head, from the end of the request", "s", "60", values.seconds(0.001)
    ),
    Setting(
        "RESPONSE_IDLE_TIMEOUT", "longest pause of a backend inside a response body", "s", "3600", values.seconds(0.001)
    ),
    Setting(
        "TUNNEL_IDLE_TIMEOUT",
        "longest silence of both sides of a WebSocket or another upgrade",
        "s",
        "3600",
        values.seconds(0.001),
    ),
    Setting(
        "POOL_SIZE",
        "connections a worker has to the backend, busy and idle; fewer where `ulimit -Hn` is too low",
        "count",
        "1000",
        values.count(1, 10**5),
    ),
    Setting("POOL_IDLE_TIMEOUT", "how long an idle connection to the backend is kept", "s", "4", values.seconds(0)),
    Setting(
        "POOL_WAIT", "how long a request waits for a connection of a full pool, before 503", "s", "5", values.seconds(0)
    ),
    Setting("DRAIN_DELAY", "after SIGTERM, how long new connections are still accepted", "s", "0", values.seconds(0)),
    Setting("DRAIN_TIMEOUT", "after that, how long requests in flight may take", "s", "5", values.seconds(0)),
    Setting(
        "RETIRE_TIMEOUT",
        "after SIGHUP or MAX_REQUESTS, how long a worker that was replaced may finish what it has begun",
        "s",
        "600",
        values.seconds(0),
    ),
    Setting(
        "LOG_LEVEL",
        "critical, error, warning, info or debug",
        "",
        "info",
        values.one_of("critical", "error", "warning", "info", "debug"),
    ),
    Setting(
        "ACCESS_LOG",
        "off, json or combined: one line a request on standard output; dropped, and counted, while nobody reads there",
        "",
        "off",
        values.one_of("off", "json", "combined"),
    ),
    *CONCERN_SETTINGS,
)


@dataclass(frozen=True)
class Settings(ConcernSettings):
    """The table's values, read and checked: a field a row, but for PORT, which only fills in LISTEN.

    Durations in seconds, sizes in bytes. `notices` are sentences for the log, `given` the names that were set.
    """

    listen: tuple[Address, ...]
    listen_cert: str
    listen_key: str
    listen_mode: int
    admin_listen: tuple[Address, ...]
    upstream: Upstream
    upstream_ca: str
    upstream_cert: str
    upstream_key: str
    upstream_name: str
    ready_hold: float
    retry_after: int
    web_concurrency: int
    max_requests: int
    max_connections: int
    max_head_bytes: int
    max_fields: int
    max_body_bytes: int
    handshake_timeout: float
    head_timeout: float
    keepalive_timeout: float
    body_idle_timeout: float
    body_timeout: float
    half_closed_timeout: float
    connect_timeout: float
    response_timeout: float
    response_idle_timeout: float
    tunnel_idle_timeout: float
    pool_size: int
    pool_idle_timeout: float
    pool_wait: float
    drain_delay: float
    drain_timeout: float
    retire_timeout: float
    log_level: str
    access_log: str
    notices: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` holds under their bare names or with `PROXY__` before them.

    Raises SettingError for a value that cannot be used, and for two spellings that differ.
    """
    read = read_rows(SETTINGS, environ)
    port = read.pop("port")
    read["listen"] = read["listen"] or (Address("0.0.0.0", port),)
    _check_certificates(read)
    given = frozenset(row.name for row in SETTINGS if row.name in environ or NAMESPACE + row.name in environ)
    return Settings(**read, notices=_near_misses(environ), given=given)


def _check_certificates(read: Mapping[str, Any]) -> None:
    """What goes with what; the files are looked into before listening."""
    for side in ("LISTEN", "UPSTREAM"):
        if read[f"{side}_KEY".lower()] and not read[f"{side}_CERT".lower()]:
            raise SettingError(f"{side}_KEY", f"it is a key without a certificate; set {side}_CERT too")
    secure = any(address.tls for address in read["listen"])
    if secure and not read["listen_cert"]:
        raise SettingError("LISTEN_CERT", "LISTEN has an https:// address; give it a certificate, a PEM file")
    if read["listen_cert"] and not secure:
        raise SettingError("LISTEN_CERT", "nothing listens with TLS; set LISTEN to https://0.0.0.0:8443 or the like")


def settings_table(rows: Iterable[Setting] = SETTINGS) -> str:
    """The table in Markdown."""
    lines = ["| name | meaning | unit | default |", "|---|---|---|---|"]
    for row in rows:
        default = f"`{row.default}`" if row.default else "(none)"
        lines.append(f"| `{row.name}` | {row.meaning} | {row.unit} | {default} |")
    return "\n".join(lines) + "\n"


def _near_misses(environ: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each `PROXY__` name that looks like a misspelt setting (others may be meant for libraries)."""
    known = [setting.name for setting in SETTINGS]
    strange = [name for name in environ if name.startswith(NAMESPACE) and name.removeprefix(NAMESPACE) not in known]
    if not strange:
        return ()
    from difflib import get_close_matches  # costs an import that most starts do not need

    notices = []
    for name in sorted(strange):
        for match in get_close_matches(name.removeprefix(NAMESPACE), known, n=1, cutoff=0.8):
            notices.append(f"{name} is no setting; did you mean {NAMESPACE}{match}?")
    return tuple(notices)
