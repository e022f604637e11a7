"""The concerns' part of the settings table: a backend that embeds them reads no more than this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pillion.proxy import values
from pillion.proxy.concerns.edits import Edits
from pillion.proxy.concerns.headers import field_name, header_rules
from pillion.proxy.setting import NAMESPACE, Setting, read_rows
from pillion.proxy.values import Peers

CONCERN_SETTINGS: tuple[Setting, ...] = (
    Setting(
        "READY_PATH",
        "ready once this path answers 200 to 399; empty: once it accepts a connection",
        "path",
        "",
        values.path,
    ),
    Setting(
        "FORWARDED_ALLOW_IPS",
        "peers whose X-Forwarded-* and Forwarded are believed; * is everyone",
        "addresses",
        "127.0.0.1,::1",
        values.peers,
    ),
    Setting(
        "REQUEST_ID",
        "on: each request has an id, the client's or a new one, for the backend, the client and the access log",
        "on, off",
        "off",
        values.switch,
    ),
    Setting("REQUEST_ID_FIELD", "the field that it travels in", "name", "X-Request-ID", field_name),
    Setting("TRACEPARENT", "on: a request without a W3C traceparent gets one", "on, off", "off", values.switch),
    Setting(
        "RATE_LIMIT",
        "requests that each worker process lets pass, READY_PATH aside; 100 or 100/s, 60/m, 1000/h; empty: any number",
        "1/s",
        "",
        values.rate,
    ),
    Setting(
        "RATE_LIMIT_BURST", "so many may come at once before the rate counts", "count", "20", values.count(1, 10**6)
    ),
    Setting(
        "RATE_LIMIT_BY", "client: for each client's address; all: for all together", "", "client",
        values.one_of("client", "all"),
    ),
    Setting(
        "RATE_LIMIT_CLIENTS",
        "addresses whose requests are counted; beyond, those not seen for longest are forgotten",
        "count",
        "10000",
        values.count(1, 10**6),
    ),
    Setting(
        "REQUEST_HEADERS",
        "changes to each request: set NAME: VALUE, add NAME: VALUE, remove NAME, one a line or with a bar between",
        "rules",
        "",
        header_rules,
    ),
    Setting("RESPONSE_HEADERS", "the same for each response", "rules", "", header_rules),
)  # fmt: skip


@dataclass(frozen=True)
class ConcernSettings:
    """Their values. `rate_limit` is in requests a second, 0 for none."""

    ready_path: str
    forwarded_allow_ips: Peers
    request_id: bool
    request_id_field: bytes
    traceparent: bool
    rate_limit: float
    rate_limit_burst: int
    rate_limit_by: str
    rate_limit_clients: int
    request_headers: Edits
    response_headers: Edits


def read_embedded(environ: Mapping[str, str]) -> ConcernSettings:
    """The settings as a backend has them that embeds the concerns: with `PROXY__` before their names, since a bare one
    is its own. Raises SettingError."""
    prefixed = {name: value for name, value in environ.items() if name.startswith(NAMESPACE)}
    return ConcernSettings(**read_rows(CONCERN_SETTINGS, prefixed))
