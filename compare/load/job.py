"""What is to be sent: one request, again and again, at a rate, to a loopback address."""

from __future__ import annotations

import base64
import ipaddress
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pillion.compare.load.schedule import ARRIVALS
from pillion.image.refusal import Refusal

MAX_REQUESTS = 5_000_000  # three arrays of 8 bytes a request
MAX_TIMEOUT_S = 60.0  # the histogram ends there

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_TARGET = re.compile(r"/[\x21-\x7e]*")
_VALUE = re.compile(r"[^\x00\r\n]*")
_FRAMING = {"content-length", "transfer-encoding"}
# RFC 9110 section 8.6: these say how long their content is even when there is none.
_WITH_CONTENT = {"POST", "PUT", "PATCH"}


@dataclass(frozen=True)
class LoadJob:
    """One run of the generator; Refusal names the field that cannot be.

    `rate` is requests per second, kept up for `warmup_s` and then `duration_s` seconds; what is due during the warm-up
    is sent and not counted. `connections` is the most that are open at once: they are opened as needed and the one used
    last is used next. `timeout_s` (at most 60) runs from the intended send time. `arrivals` is a name of
    `schedule.ARRIVALS`; `seed` makes its randomness repeatable. A status other than `expect_status` (None: of 400 and
    above) is a failure. `cpus` are the processors the generator is pinned to (empty: as its parent).
    """

    port: int
    rate: float
    duration_s: float
    host: str = "127.0.0.1"
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    warmup_s: float = 0.0
    connections: int = 64
    timeout_s: float = 10.0
    arrivals: str = "constant"
    seed: int | None = None
    expect_status: int | None = None
    cpus: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check("host", _is_loopback(self.host), "it is not a loopback address", "give 127.0.0.1 or ::1")
        _check("port", 1 <= self.port <= 65535, "it is not a port", "give 1 to 65535")
        for name, least in (("rate", 0.0), ("duration_s", 0.0), ("timeout_s", 0.0)):
            _check(name, least < getattr(self, name) < math.inf, "it is not above 0", "give a positive number")
        _check("warmup_s", 0 <= self.warmup_s < math.inf, "it is below 0", "give 0 or more seconds")
        _check("timeout_s", self.timeout_s <= MAX_TIMEOUT_S, "it is above 60 seconds", "give less")
        planned = self.rate * (self.warmup_s + self.duration_s)
        _check("rate", planned <= MAX_REQUESTS, f"it makes over {MAX_REQUESTS} requests", "lower it or the duration")
        _check("connections", self.connections >= 1, "it is below 1", "give 1 or more")
        _check("method", _TOKEN.fullmatch(self.method), "it is not a method", "give a name such as GET")
        _check("method", self.method != "CONNECT", "CONNECT opens a tunnel", "give a method that has an answer")
        _check("path", _TARGET.fullmatch(self.path), "it is not a path", "begin with / and percent-encode the rest")
        for name, value in self.headers:
            field = f"headers: {name!r}"
            _check(field, _TOKEN.fullmatch(name), "it is not a field name", "use letters, digits and -")
            _check(field, _VALUE.fullmatch(value), "its value has a line break or a NUL", "take it out")
            _check(field, value.isascii(), "its value is not ASCII", "encode it")
            _check(field, name.lower() not in _FRAMING, "the generator frames the body itself", "take it out")
        _check("arrivals", self.arrivals in ARRIVALS, "it is not known", "give one of " + ", ".join(ARRIVALS))
        expected = self.expect_status
        _check("expect_status", expected is None or 200 <= expected <= 599, "it is not final", "give 200 to 599")

    @classmethod
    def from_json(cls, text: str) -> LoadJob:
        """The job that `to_json` wrote; Refusal for anything else."""
        try:
            values = json.loads(text)
        except ValueError as error:
            raise Refusal("read the load job", f"it is not JSON: {error}", "give one JSON object") from None
        if not isinstance(values, dict):
            raise Refusal("read the load job", "it is not a JSON object", "give one JSON object")
        for name in values:
            _check(name, name in _FIELDS, "no such field", "the fields are " + ", ".join(_FIELDS))
        for name in ("port", "rate", "duration_s"):
            _check(name, name in values, "it is missing", "every job names port, rate and duration_s")
        return cls(**{name: _read(name, value) for name, value in values.items()})

    def to_json(self) -> str:
        """One line of JSON; the body is base64."""
        return json.dumps({**asdict(self), "body": base64.b64encode(self.body).decode("ascii")})

    def request(self) -> bytes:
        """The request as it is sent, head and body (RFC 9112); Host and Content-Length are added where they miss."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        if not any(name.lower() == "host" for name, _ in self.headers):
            lines.append(f"Host: {host}:{self.port}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in _WITH_CONTENT:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("ascii") + self.body


def _check(field: str, good: object, why: str, mend: str) -> None:
    if not good:
        raise Refusal("run the load", f"{field}: {why}", mend)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _number(value: Any) -> float:
    return value if isinstance(value, float) else float(_integer(value))


def _integer_or_null(value: Any) -> int | None:
    return None if value is None else _integer(value)


def _base64(value: Any) -> bytes:
    return base64.b64decode(_string(value), validate=True)


def _integers(value: list[Any]) -> tuple[int, ...]:
    return tuple(_integer(item) for item in value)


def _pairs(value: list[list[Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((_string(name), _string(text)) for name, text in value)


# What each field is in JSON: in words, and how to read it (TypeError and ValueError: it is not).
_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("host", "method", "path", "arrivals"), ("a string", _string)),
    **dict.fromkeys(("port", "connections"), ("an integer", _integer)),
    **dict.fromkeys(("rate", "duration_s", "warmup_s", "timeout_s"), ("a number", _number)),
    **dict.fromkeys(("seed", "expect_status"), ("an integer or null", _integer_or_null)),
    "headers": ("a list of [name, value]", _pairs),
    "body": ("base64", _base64),
    "cpus": ("a list of integers", _integers),
}


def _read(name: str, value: Any) -> Any:
    words, read = _FIELDS[name]
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError):
        raise Refusal("run the load", f"{name}: it is not {words}", f"give {words}") from None
