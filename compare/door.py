"""Where clients of a layout come in, by what the pair's proxy listens on (pure)."""

from __future__ import annotations

from typing import NamedTuple

from pillion.image.environ.conflicts import front_port, inner_port
from pillion.image.pair import Pair
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.ports import LOOPBACK, port_of
from pillion.image.refusal import Refusal
from pillion.image.sidecar import read_sidecar

_TLS, _UNIX = "https://", "unix:"


class Door(NamedTuple):
    """A port of loopback, with TLS if there is a `certificate` (the file that the proxy shows), or a unix socket."""

    port: int
    path: str = ""
    certificate: str = ""

    @property
    def url(self) -> str:
        """As a person writes it."""
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"{_TLS if self.certificate else 'http://'}{LOOPBACK}:{self.port}"


def door_of(pair: Pair, layout: str) -> Door:
    """Plain where the proxy listens plainly at all, else with TLS, else its unix socket."""
    if layout in ("direct", "embedded"):
        return Door(inner_port(pair))
    environ = read_sidecar(pair.proxy).environ if is_pillion_proxy(pair.proxy) else {}
    listed = environ.get("LISTEN", "").split(",")
    doors = [_door(address.strip(), environ.get("LISTEN_CERT", "")) for address in listed]
    reachable = [door for door in doors if door.port or door.path]
    plain = [door for door in reachable if not (door.path or door.certificate)]
    by_port = [door for door in reachable if door.port]
    return (plain or by_port or reachable or [Door(front_port(pair))])[0]


def check_plain(pair: Pair, layout: str, what: str) -> None:
    """Raises Refusal where clients would have to come in by a file that only the container has."""
    door = door_of(pair, layout)
    if not door.path and not door.certificate:
        return
    field = read_sidecar(pair.proxy).fields.get("LISTEN", pair.proxy.field)
    file = f"the socket {door.path}" if door.path else f"the certificate {door.certificate}"
    why = f"{field}: the proxy listens only on {door.url}, and {file} is in the container"
    raise Refusal(what, why, "add a plain HOST:PORT to LISTEN, or choose --engine process")


def _door(address: str, certificate: str) -> Door:
    if address.startswith(_UNIX):
        return Door(0, path=address.removeprefix(_UNIX))
    return Door(port_of(address) or 0, certificate=certificate if address.startswith(_TLS) else "")
