"""What a naive merge of the two containers would make collide, and how the policy settles each (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pillion.image.environ.catalogue import look_up
from pillion.image.pair import Container, Pair
from pillion.image.ports import backend_port, listen_port


class Conflict(NamedTuple):
    """`programs` are those that declare the name; `happens` is what the merge would do; `resolution` what we do."""

    name: str
    severity: str
    programs: tuple[str, ...]
    happens: str
    resolution: str


def conflicts(pair: Pair) -> list[Conflict]:
    """Every conflict of the pair, worst first, then by name."""
    proxy, backend = _bare(pair.proxy.env, "PROXY__"), _bare(pair.backend.env, "BACKEND__")
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


def _bare(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    """What the program will see: a sidecar alone accepts its names with and without the prefix."""
    return {name.removeprefix(prefix): value for name, value in environ.items()}


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
    environ = _bare(pair.proxy.env, "PROXY__")
    if environ.get("LISTEN") or environ.get("PORT"):
        return listen_port(environ)
    return declared_port(pair.proxy) or listen_port({})


def inner_port(pair: Pair) -> int:
    """Where the backend of the pair listens."""
    upstream = _bare(pair.proxy.env, "PROXY__").get("UPSTREAM", "")
    return backend_port(upstream, pair.backend.env, declared_port(pair.backend))


def declared_port(container: Container) -> int:
    """The one port that a container declares; 0 if it declares none or several."""
    return container.ports[0] if len(container.ports) == 1 else 0


def clashing_port(pair: Pair) -> int:
    """The port that both would bind, or 0."""
    port = front_port(pair)
    return port if port == inner_port(pair) else 0
