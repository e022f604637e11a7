"""Everything about the proxy that a user can set: one table, and how it is read.

Every duration is in seconds (`0.5`; `500ms`, `5s`, `2m` also work), every size in bytes (`32KiB`, `1MiB` also work).
Standard library only, and light: the command line reads the table before it decides to start a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pillion.proxy import values
from pillion.proxy.values import Address, Peers, Upstream

NAMESPACE = "PROXY__"


class SettingError(Exception):
    """A setting cannot be used. Reads "cannot read NAME: why; mend". Exit code 2."""

    exit_code = 2

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        super().__init__(f"cannot read {name}: {why}")


class Setting(NamedTuple):
    """One row of the table."""

    name: str
    meaning: str
    unit: str
    default: str
    parse: Callable[[str], Any]


SETTINGS: tuple[Setting, ...] = (
    Setting("LISTEN", "where to listen, several with commas; wins over PORT", "host:port", "", values.addresses),
    Setting("PORT", "the port to listen on, on all IPv4 addresses; what platforms set", "port", "8080", values.port),
    Setting("UPSTREAM", "the backend: http://HOST:PORT or unix:/PATH", "URL", "http://127.0.0.1:8000", values.upstream),
    Setting(
        "READY_PATH",
        "ready once this path answers 200 to 399; empty: once it accepts a connection",
        "path",
        "",
        values.path,
    ),
    Setting(
        "READY_HOLD",
        "how long a request waits for a backend that is not ready, before 503",
        "s",
        "0",
        values.seconds(0),
    ),
    Setting("RETRY_AFTER", "the Retry-After of our own 503", "s", "1", values.count(0, 3600)),
    Setting(
        "FORWARDED_ALLOW_IPS",
        "peers whose X-Forwarded-* and Forwarded are believed; * is everyone",
        "addresses",
        "127.0.0.1,::1",
        values.peers,
    ),
    Setting("WEB_CONCURRENCY", "worker processes", "count", "1", values.count(1, 256)),
    Setting(
        "MAX_CONNECTIONS",
        "client connections a worker holds; further ones wait to be accepted",
        "count",
        "1000",
        values.count(1, 10**6),
    ),
    Setting("MAX_HEAD_BYTES", "the longest request or response head", "bytes", "32768", values.size(1024, 1024**2)),
    Setting("HEAD_TIMEOUT", "for a request's head to arrive whole", "s", "10", values.seconds(0.001)),
    Setting("KEEPALIVE_TIMEOUT", "how long an idle client connection is kept", "s", "60", values.seconds(0.001)),
    Setting(
        "BODY_IDLE_TIMEOUT", "longest pause of a client that sends or takes a body", "s", "60", values.seconds(0.001)
    ),
    Setting("CONNECT_TIMEOUT", "to connect to the backend", "s", "5", values.seconds(0.001)),
    Setting(
        "RESPONSE_TIMEOUT", "for each response head, from the end of the request", "s", "60", values.seconds(0.001)
    ),
    Setting(
        "RESPONSE_IDLE_TIMEOUT", "longest pause of a backend inside a response body", "s", "3600", values.seconds(0.001)
    ),
    Setting(
        "POOL_SIZE", "connections a worker has to the backend, busy and idle", "count", "1000", values.count(1, 10**5)
    ),
    Setting("POOL_IDLE_TIMEOUT", "how long an idle connection to the backend is kept", "s", "4", values.seconds(0)),
    Setting(
        "POOL_WAIT", "how long a request waits for a connection of a full pool, before 503", "s", "5", values.seconds(0)
    ),
    Setting("DRAIN_DELAY", "after SIGTERM, how long new connections are still accepted", "s", "0", values.seconds(0)),
    Setting("DRAIN_TIMEOUT", "after that, how long requests in flight may take", "s", "5", values.seconds(0)),
    Setting(
        "LOG_LEVEL",
        "critical, error, warning, info or debug",
        "",
        "info",
        values.one_of("critical", "error", "warning", "info", "debug"),
    ),
    Setting(
        "ACCESS_LOG", "off, or json: one line a request on standard output", "", "off", values.one_of("off", "json")
    ),
)


@dataclass(frozen=True)
class Settings:
    """The table's values, read and checked: a field a row, but for PORT, which only fills in LISTEN.

    Durations in seconds, sizes in bytes. `notices` are sentences for the log.
    """

    listen: tuple[Address, ...]
    upstream: Upstream
    ready_path: str
    ready_hold: float
    retry_after: int
    forwarded_allow_ips: Peers
    web_concurrency: int
    max_connections: int
    max_head_bytes: int
    head_timeout: float
    keepalive_timeout: float
    body_idle_timeout: float
    connect_timeout: float
    response_timeout: float
    response_idle_timeout: float
    pool_size: int
    pool_idle_timeout: float
    pool_wait: float
    drain_delay: float
    drain_timeout: float
    log_level: str
    access_log: str
    notices: tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` holds under their bare names or with `PROXY__` before them.

    Raises SettingError for a value that cannot be used, and for two spellings that differ.
    """
    read: dict[str, Any] = {}
    for setting in SETTINGS:
        text = _lookup(setting.name, environ)
        if text is None:
            text = setting.default
        elif not text.strip() and setting.default:
            raise SettingError(setting.name, "it is empty; give it a value or take it out of the environment")
        try:
            read[setting.name.lower()] = setting.parse(text.strip())
        except ValueError as error:
            raise SettingError(setting.name, str(error)) from None
    port = read.pop("port")
    read["listen"] = read["listen"] or (Address("0.0.0.0", port),)
    return Settings(**read, notices=_near_misses(environ))


def settings_table(rows: Iterable[Setting] = SETTINGS) -> str:
    """The table in Markdown."""
    lines = ["| name | meaning | unit | default |", "|---|---|---|---|"]
    for row in rows:
        default = f"`{row.default}`" if row.default else "(none)"
        lines.append(f"| `{row.name}` | {row.meaning} | {row.unit} | {default} |")
    return "\n".join(lines) + "\n"


def _lookup(name: str, environ: Mapping[str, str]) -> str | None:
    bare, prefixed = environ.get(name), environ.get(NAMESPACE + name)
    if bare is not None and prefixed is not None and bare != prefixed:
        raise SettingError(name, f"{name} and {NAMESPACE}{name} are both set and differ; keep one")
    return bare if prefixed is None else prefixed


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
