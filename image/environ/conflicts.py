"""What a naive merge of the two containers would make collide, and how the policy settles each (pure)."""

from __future__ import annotations

from typing import NamedTuple

from pillion.image.environ.catalogue import look_up
from pillion.image.pair import Container, Pair
from pillion.image.ports import LISTEN_PORT, backend_port, listen_ports
from pillion.image.sidecar import read_sidecar


class Conflict(NamedTuple):
    """`programs` are those that declare the name; `happens` is what the merge would do; `resolution` what we do."""

    name: str
    severity: str
    programs: tuple[str, ...]
    happens: str
    resolution: str


def conflicts(pair: Pair) -> list[Conflict]:
    """Every conflict of the pair, worst first, then by name."""
    proxy, backend = read_sidecar(pair.proxy).environ, pair.backend.env
    found = [
        conflict
        for name in sorted(proxy.keys() | backend.keys())
        if (conflict := _judge(name, proxy.get(name), backend.get(name)))
    ]
    if port := clashing_port(pair):
        found.append(
            Conflict(f"port {port}", "S1", ("proxy", "backend"), "both bind it", "none: one of the two must change")
        )
    return sorted(found, key=lambda conflict: (conflict.severity, conflict.name))


def _judge(name: str, proxy: str | None, backend: str | None) -> Conflict | None:
    entry = look_up(name)
    if proxy is not None and backend is not None:
        if proxy == backend:
            return None
        return Conflict(name, entry.severity, ("proxy", "backend"), entry.happens, "each sees its own value")
    if proxy is None and (entry.proxy_reads or entry.severity == "S0"):
        return Conflict(name, entry.severity, ("backend",), entry.happens, "only the backend sees it")
    if backend is None and entry.severity == "S0":
        return Conflict(name, entry.severity, ("proxy",), entry.happens, "only the proxy sees it")
    return None


def front_port(pair: Pair) -> int:
    """Where the proxy of the pair listens."""
    environ = read_sidecar(pair.proxy).environ
    if environ.get("LISTEN") or environ.get("PORT"):
        return listen_ports(environ)[0]
    return declared_port(pair.proxy) or LISTEN_PORT


def inner_port(pair: Pair) -> int:
    """Where the backend of the pair listens."""
    upstream = read_sidecar(pair.proxy).environ.get("UPSTREAM", "")
    return backend_port(upstream, pair.backend.env, declared_port(pair.backend))


def declared_port(container: Container) -> int:
    """The one port that a container declares; 0 if it declares none or several."""
    return container.ports[0] if len(container.ports) == 1 else 0


def clashing_port(pair: Pair) -> int:
    """The port that both would bind, or 0."""
    inner = inner_port(pair)
    return inner if inner in (front_port(pair), *listen_ports(read_sidecar(pair.proxy).environ)) else 0
