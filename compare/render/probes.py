"""The probes of two containers as those of one: they go through the proxy where they can (pure)."""

from __future__ import annotations

from typing import Any

from pillion.compare.render.references import Scope
from pillion.image.pair import Container, Probe

KINDS = ("startupProbe", "livenessProbe", "readinessProbe")
_CHECKS = ("httpGet", "tcpSocket", "exec", "grpc")


def asks_backend(probe: Probe | None, inner: int) -> bool:
    """Whether it is a GET that the proxy can forward to where the backend listens."""
    return probe is not None and probe.kind == "http" and probe.scheme.lower() == "http" and probe.port == inner


def merged_probes(
    backend: dict[str, Any],
    proxy: dict[str, Any],
    read: Container,
    ports: tuple[int, int],
    scopes: tuple[Scope, Scope],
    notices: list[str],
) -> dict[str, Any]:
    """`backend` and `proxy` as the file writes them, `read` the backend as it was read, `ports` where the proxy and the
    backend listen."""
    front, inner = ports
    known = {"startupProbe": read.startup, "livenessProbe": read.liveness, "readinessProbe": read.readiness}
    found: dict[str, Any] = {}
    for kind in KINDS:
        own, theirs = backend.get(kind), proxy.get(kind)
        if own is not None and asks_backend(known[kind], inner):
            own = _through(own, front)
        elif own is not None and kind == "readinessProbe" and (theirs is not None or own.get("exec") is None):
            # It says nothing of whether the proxy serves.
            notices.append(f"{read.field}.{kind}: cannot be asked through the proxy, and is dropped")
            own = None
        if own is not None and theirs is not None and kind != "readinessProbe":
            notices.append(f"{kind} of the proxy: the backend's takes its place, as one container has one")
        from_proxy = theirs is not None and (own is None or kind == "readinessProbe")
        chosen = theirs if from_proxy else own
        if chosen is not None:
            chosen = _with_numbers(chosen, proxy if from_proxy else backend)
            found[kind] = _renamed(chosen, scopes[from_proxy], kind, notices)
        elif kind == "readinessProbe":
            found[kind] = {"tcpSocket": {"port": front}}
    return found


def waits_for_backend(probe: dict[str, Any]) -> bool:
    """Whether a probe of the proxy may succeed only once the backend answers."""
    return probe.get("httpGet") is not None or probe.get("exec") is not None or probe.get("grpc") is not None


def _through(probe: dict[str, Any], front: int) -> dict[str, Any]:
    check = {name: value for name, value in probe["httpGet"].items() if name not in ("port", "scheme", "host")}
    return {**probe, "httpGet": {**check, "port": front}}


def _with_numbers(probe: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    """Named ports as numbers: in one container a name may be the other program's."""
    named = {port["name"]: port["containerPort"] for port in container.get("ports") or [] if port.get("name")}
    changed = dict(probe)
    for check in _CHECKS:
        target = probe.get(check)
        if isinstance(target, dict) and target.get("port") in named:
            changed[check] = {**target, "port": named[target["port"]]}
    return changed


def _renamed(probe: dict[str, Any], scope: Scope, kind: str, notices: list[str]) -> dict[str, Any]:
    command = (probe.get("exec") or {}).get("command")
    if not command:
        return probe
    notices.append(f"{kind} of the {scope.program}: its command sees the container's names, with their prefixes")
    return {**probe, "exec": {"command": [scope.renamed(word) for word in command]}}
