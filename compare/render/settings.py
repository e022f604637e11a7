"""The settings of the proxy that a rendered file says where the pair's own file leaves them open (pure)."""

from __future__ import annotations

from pillion.compare.render.probes import asks_backend
from pillion.compare.render.request import Request
from pillion.image.environ.conflicts import front_port, inner_port
from pillion.image.pairfile.written import Part
from pillion.image.ports import LISTEN_PORT, LOOPBACK, host_of, port_of
from pillion.image.sidecar import PREFIX, read_sidecar

# Kubernetes takes a pod out of its Services while it stops it, not before: some seconds of requests still come.
DRAIN_DELAY_S = 5.0


def settled_settings(request: Request, proxy: Part) -> dict[str, str]:
    """Where the backend is, where to listen, what is ready, and how long a platform goes on sending requests.

    What the file takes from elsewhere may say so itself, and is not said again.
    """
    pair = request.pair
    known = read_sidecar(pair.proxy).environ
    declared = {entry["name"].removeprefix(PREFIX) for entry in proxy.values.get("env") or []}
    front, inner = front_port(pair), inner_port(pair)

    def is_open(name: str) -> bool:
        return name not in known and name not in declared and not proxy.elsewhere

    settled: dict[str, str] = {}
    if is_open("LISTEN") and is_open("PORT") and front != LISTEN_PORT:
        settled["LISTEN"] = f":{front}"
    upstream = known.get("UPSTREAM", "")
    if host_of(upstream) == pair.backend.name.lower() or is_open("UPSTREAM"):
        settled["UPSTREAM"] = f"http://{LOOPBACK}:{port_of(upstream) or inner}"
    ready = pair.backend.readiness or pair.backend.startup
    if is_open("READY_PATH") and ready is not None and asks_backend(ready, inner):
        settled["READY_PATH"] = ready.path
    if is_open("DRAIN_DELAY"):
        settled["DRAIN_DELAY"] = drain_delay(pair.grace_s)
    return settled


def drain_delay(grace_s: float) -> str:
    """`DRAIN_DELAY` in seconds: 5, or a quarter of a grace period that is too short for that."""
    return f"{min(DRAIN_DELAY_S, grace_s / 4):g}"
