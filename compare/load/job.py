"""What is to be sent: requests of one kind or a mix, at a rate or as fast as they are answered, to loopback."""

from __future__ import annotations

import base64
import ipaddress
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

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
MAX_TARGETS = 256


class Target(NamedTuple):
    """One kind of request in a mix; out of all, it is chosen by its weight."""

    weight: float
    method: str
    path: str
    body: bytes = b""


@dataclass(frozen=True)
class LoadJob:
    """One run of the generator; Refusal names the field that cannot be.

    `targets` are a mix of requests in the place of `method`, `path` and `body`; `headers` go with each. Without
    `keep_alive` every request has a connection of its own, and says so. With `closed_loop` each of `connections` sends
    its next request when it has the last one's answer, and `rate` and `arrivals` mean nothing: for saturation only,
    because a server that stalls is then asked less, and its latencies look better than its users find them.

    `rate` is requests per second, kept up for `warmup_s` and then `duration_s` seconds; what is due during the warm-up
    is sent and not counted. `connections` is the most that are open at once: they are opened as needed and the one used
    last is used next. `timeout_s` (at most 60) runs from the intended send time. `arrivals` is a name of
    `schedule.ARRIVALS`; `seed` makes its randomness repeatable. A status other than `expect_status` (None: of 400 and
    above) is a failure. `cpus` are the processors the generator is pinned to (empty: as its parent). `socket` is the
    path of a unix socket in the place of `host` and `port`; `certificate` is the file of the one that the server must
    show, and then TLS is spoken.
    With `keep_each` the result tells of every single request, the warm-up's included.
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
    targets: tuple[Target, ...] = ()
    keep_alive: bool = True
    closed_loop: bool = False
    socket: str = ""
    certificate: str = ""
    keep_each: bool = False

    def __post_init__(self) -> None:
        _check("host", _is_loopback(self.host), "it is not a loopback address", "give 127.0.0.1 or ::1")
        _check("port", self.socket or 1 <= self.port <= 65535, "it is not a port", "give 1 to 65535")
        for name, least in (("rate", 0.0), ("duration_s", 0.0), ("timeout_s", 0.0)):
            _check(name, least < getattr(self, name) < math.inf, "it is not above 0", "give a positive number")
        _check("warmup_s", 0 <= self.warmup_s < math.inf, "it is below 0", "give 0 or more seconds")
        _check("timeout_s", self.timeout_s <= MAX_TIMEOUT_S, "it is above 60 seconds", "give less")
        planned = self.rate * (self.warmup_s + self.duration_s)
        _check("rate", planned <= MAX_REQUESTS, f"it makes over {MAX_REQUESTS} requests", "lower it or the duration")
        _check("connections", self.connections >= 1, "it is below 1", "give 1 or more")
        _check("targets", len(self.targets) <= MAX_TARGETS, f"they are more than {MAX_TARGETS}", "give fewer")
        for place, target in enumerate(self.mix):
            where = f"targets[{place}]: " if self.targets else ""
            method, path = f"{where}method", f"{where}path"
            _check(method, _TOKEN.fullmatch(target.method), "it is not a method", "give a name such as GET")
            _check(method, target.method != "CONNECT", "CONNECT opens a tunnel", "give a method that has an answer")
            _check(path, _TARGET.fullmatch(target.path), "it is not a path", "begin with / and percent-encode the rest")
            _check(f"{where}weight", 0 < target.weight < math.inf, "it is not above 0", "give a positive number")
        for name, value in self.headers:
            field = f"headers: {name!r}"
            _check(field, _TOKEN.fullmatch(name), "it is not a field name", "use letters, digits and -")
            _check(field, _VALUE.fullmatch(value), "its value has a line break or a NUL", "take it out")
            _check(field, value.isascii(), "its value is not ASCII", "encode it")
            _check(field, name.lower() not in _FRAMING, "the generator frames the body itself", "take it out")
            _check(field, self.keep_alive or name.lower() != "connection", "keep_alive says it too", "take it out")
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
        """One line of JSON; bodies are base64."""
        targets = [(*target[:3], _to_base64(target.body)) for target in self.targets]
        return json.dumps({**asdict(self), "body": _to_base64(self.body), "targets": targets})

    @property
    def mix(self) -> tuple[Target, ...]:
        """What is sent, one kind or more."""
        return self.targets or (Target(1.0, self.method, self.path, self.body),)

    def requests(self) -> list[bytes]:
        """Each kind of request as it is sent, head and body (RFC 9112); Host and Content-Length are added where they
        miss."""
        return [self._request(target) for target in self.mix]

    def _request(self, target: Target) -> bytes:
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"{target.method} {target.path} HTTP/1.1"]
        if not any(name.lower() == "host" for name, _ in self.headers):
            lines.append("Host: localhost" if self.socket else f"Host: {host}:{self.port}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        if not self.keep_alive:
            lines.append("Connection: close")
        if target.body or target.method in _WITH_CONTENT:
            lines.append(f"Content-Length: {len(target.body)}")
        return "\r\n".join([*lines, "", ""]).encode("ascii") + target.body


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


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _base64(value: Any) -> bytes:
    return base64.b64decode(_string(value), validate=True)


def _integers(value: list[Any]) -> tuple[int, ...]:
    return tuple(_integer(item) for item in value)


def _pairs(value: list[list[Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((_string(name), _string(text)) for name, text in value)


def _targets(value: list[list[Any]]) -> tuple[Target, ...]:
    return tuple(
        Target(_number(weight), _string(method), _string(path), _base64(body)) for weight, method, path, body in value
    )


# What each field is in JSON: in words, and how to read it (TypeError and ValueError: it is not).
_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("host", "method", "path", "arrivals", "socket", "certificate"), ("a string", _string)),
    **dict.fromkeys(("port", "connections"), ("an integer", _integer)),
    **dict.fromkeys(("rate", "duration_s", "warmup_s", "timeout_s"), ("a number", _number)),
    **dict.fromkeys(("seed", "expect_status"), ("an integer or null", _integer_or_null)),
    "headers": ("a list of [name, value]", _pairs),
    "body": ("base64", _base64),
    "cpus": ("a list of integers", _integers),
    "targets": ("a list of [weight, method, path, base64]", _targets),
    **dict.fromkeys(("keep_alive", "closed_loop", "keep_each"), ("true or false", _boolean)),
}


def _read(name: str, value: Any) -> Any:
    words, read = _FIELDS[name]
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError):
        raise Refusal("run the load", f"{name}: it is not {words}", f"give {words}") from None
