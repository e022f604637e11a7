"""The admin listener of the pair's proxy, where its file sets one: probes ask there, at a port with a name (pure)."""

from __future__ import annotations

from typing import Any

from pillion.compare.render.probes import asks_backend
from pillion.compare.render.request import ENTRY
from pillion.image.pair import Container
from pillion.image.ports import host_of, is_loopback, port_of
from pillion.image.sidecar import read_sidecar

Values = dict[str, Any]
SETTING, PORT_NAME = "ADMIN_LISTEN", "admin"
_EXEC_TIMEOUT_S = 3  # more than `pillion health` takes at most


def has_admin(proxy: Container) -> bool:
    """Whether the file says where Pillion's proxy answers /live and /ready."""
    return bool(read_sidecar(proxy).environ.get(SETTING))


def admin_port(proxy: Container) -> int:
    """Where the platform can ask; 0 for loopback and unix sockets, which only the container itself reaches."""
    first = read_sidecar(proxy).environ.get(SETTING, "").partition(",")[0].strip()
    if first.startswith("unix:") or is_loopback(host_of(first)):
        return 0
    return port_of(first) or 0


def health_command(what: str) -> list[str]:
    """What asks from inside: ADMIN_LISTEN in a sidecar alone, the whole pair in a shared container."""
    return [ENTRY, "health", what]


def admin_check(proxy: Container, values: Values, what: str) -> Values:
    """The check of a probe, for `live` or `ready`; `values` is the container with `name_port` done."""
    number = admin_port(proxy)
    if not number:
        return {"exec": {"command": health_command(what)}, "timeoutSeconds": _EXEC_TIMEOUT_S}
    named = {port.get("containerPort"): port.get("name") for port in values.get("ports") or []}
    return {"httpGet": {"path": f"/{what}", "port": named.get(number) or number}}


def name_port(proxy: Container, values: Values) -> None:
    """Declare the port under a name, unless that is somebody's already."""
    number = admin_port(proxy)
    ports = values.get("ports") or []
    if not number or any(port.get("containerPort") == number and port.get("name") for port in ports):
        return
    name = {} if any(port.get("name") == PORT_NAME for port in ports) else {"name": PORT_NAME}
    values["ports"] = [
        *(port for port in ports if port.get("containerPort") != number),
        {"containerPort": number, **name},
    ]


def ask_admin(proxy: Container, values: Values, backend: Container | None = None, inner: int = 0) -> None:
    """Probes of the proxy's container that its file leaves open. In one container with the `backend`, which listens on
    `inner`, those of the backend count that ask more than the proxy's would: /ready asks the path of a plain GET."""
    name_port(proxy, values)
    if not values.get("livenessProbe") and (backend is None or backend.liveness is None):
        values["livenessProbe"] = admin_check(proxy, values, "live")
    if values.get("readinessProbe"):
        return
    theirs = backend.readiness if backend is not None else None
    if theirs is None:
        values["readinessProbe"] = admin_check(proxy, values, "ready")
    elif asks_backend(theirs, inner) and not theirs.headers:
        timing = {
            "initialDelaySeconds": round(theirs.initial_delay_s),
            "periodSeconds": max(round(theirs.period_s), 1),
            "timeoutSeconds": max(round(theirs.timeout_s), 1),
            "failureThreshold": theirs.failure_threshold,
        }
        values["readinessProbe"] = {**timing, **admin_check(proxy, values, "ready")}


def admin_healthcheck(proxy: Container) -> Values:
    """The same as a health check of Compose; empty without an admin listener."""
    if not has_admin(proxy):
        return {}
    test = ["CMD", *health_command("ready")]
    return {"test": test, "interval": "5s", "timeout": f"{_EXEC_TIMEOUT_S}s", "retries": 3}
