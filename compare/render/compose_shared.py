"""One Compose service out of the two of a pair (pure)."""

from __future__ import annotations

from typing import Any

from pillion.compare.render.admin import admin_healthcheck
from pillion.compare.render.compose_environment import environment, escaped
from pillion.compare.render.compose_fields import healthcheck, plain_fields, published
from pillion.compare.render.references import addressed
from pillion.compare.render.request import ENTER, Request
from pillion.compare.render.settings import settled_settings
from pillion.image.refusal import Refusal
from pillion.image.sidecar import read_sidecar
from pillion.image.supervision import DEADLINE_VARIABLE, STOP_SIGNAL_VARIABLE, deadline_for

Values = dict[str, Any]
# Lists of which one service can have both.
_JOINED = (
    "ports", "expose", "volumes", "secrets", "configs", "extra_hosts", "devices", "tmpfs", "cap_add", "security_opt",
    "external_links", "group_add",
)  # fmt: skip
# What is made anew, or has no meaning for the one service.
_SETTLED = (
    "build", "image", "command", "entrypoint", "environment", "env_file", "stop_signal", "stop_grace_period",
    "depends_on", "networks", "network_mode", "healthcheck", "container_name", "hostname",
)  # fmt: skip


def shared_service(request: Request, notices: list[str]) -> Values:
    """The service, from the pair alone."""
    pair = request.pair
    service: Values = {"image": request.combined, **plain_fields(request, pair.backend)}
    service["environment"] = _environment(request, notices)
    if pair.backend.command:
        service["entrypoint"] = [*ENTER, *(escaped(word) for word in pair.backend.command)]
    if pair.backend.args:
        service["command"] = [escaped(word) for word in pair.backend.args]
    service["ports"] = published(request)
    if check := healthcheck(pair.backend, notices) or admin_healthcheck(pair.proxy):
        service["healthcheck"] = check
    return service


def share_services(request: Request, document: Values, notices: list[str]) -> None:
    """Put the service where the backend's was. It answers to the proxy's name too. Raises Refusal."""
    pair = request.pair
    one, other = request.written.backend.values, request.written.proxy.values
    service: Values = {"image": request.combined, "environment": _environment(request, notices)}
    if pair.backend.command:
        service["entrypoint"] = [*ENTER, *(escaped(word) for word in pair.backend.command)]
    if pair.backend.args:
        service["command"] = [escaped(word) for word in pair.backend.args]
    service["stop_grace_period"] = f"{pair.grace_s:g}s"
    for field in _JOINED:
        if joined := _joined(other.get(field), one.get(field)):
            service[field] = joined
    _check_targets(request, service.get("volumes") or [])
    if waits := _depends(one.get("depends_on"), other.get("depends_on"), {pair.backend.name, pair.proxy.name}):
        service["depends_on"] = waits
    if check := one.get("healthcheck") or other.get("healthcheck") or admin_healthcheck(pair.proxy):
        service["healthcheck"] = check
        if one.get("healthcheck") and other.get("healthcheck"):
            notices.append(f"{pair.proxy.field}.healthcheck: one container has one, the backend's")
    service |= _networks(one, other, pair.proxy.name)
    kept = {name: value for name, value in one.items() if name not in _SETTLED and name not in service}
    service |= kept
    for name, value in other.items():
        if name not in (*_SETTLED, *_JOINED) and value != one.get(name):
            notices.append(f"{pair.proxy.field}.{name}: the backend's service decides, and this is dropped")
    services = document["services"]
    renamed = {pair.backend.name: service}
    document["services"] = {
        name: renamed.get(name) or _renamed(each, pair.proxy.name, pair.backend.name)
        for name, each in services.items()
        if name != pair.proxy.name
    }


def _environment(request: Request, notices: list[str]) -> dict[str, str]:
    pair = request.pair
    read = read_sidecar(pair.proxy)
    if read.arguments:
        why = f"{pair.proxy.field}: {' '.join(read.arguments)} is no argument of pillion proxy"
        raise Refusal(request.what, why, "set it by a variable")
    found: dict[str, str] = {}
    for program, container, part in request.programs():
        found |= environment(request, program, container, part, notices, shared=True)
    options = read_sidecar(pair.proxy._replace(env={})).environ
    settled = {**options, **settled_settings(request, request.written.proxy)}
    # Compose takes a container off its network's names at once: nobody is sent here meanwhile.
    settled.pop("DRAIN_DELAY", None)
    if "UPSTREAM" in settled and read.environ.get("UPSTREAM", settled["UPSTREAM"]) != settled["UPSTREAM"]:
        notices.append(f"UPSTREAM names the service {pair.backend.name}; in one container it is {settled['UPSTREAM']}")
    found |= {addressed(name, "proxy"): escaped(value) for name, value in settled.items()}
    found[DEADLINE_VARIABLE] = f"{deadline_for(pair.grace_s):g}"
    if pair.backend.stop_signal:
        found[STOP_SIGNAL_VARIABLE] = pair.backend.stop_signal
    return found


def _joined(one: Any, other: Any) -> list[Any]:
    both = [*_listed(one), *_listed(other)]
    return [each for at, each in enumerate(both) if each not in both[:at]]


def _listed(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [f"{name}:{target}" for name, target in value.items()]
    return value if isinstance(value, list) else [] if value is None else [value]


def _check_targets(request: Request, volumes: list[Any]) -> None:
    seen: dict[str, Any] = {}
    for volume in volumes:
        target = _target(volume)
        if target in seen:
            why = f"{request.pair.backend.field}.volumes and {request.pair.proxy.field}.volumes both mount {target}"
            raise Refusal(request.what, why, "mount one of them elsewhere")
        seen[target] = volume


def _target(volume: Any) -> str:
    if isinstance(volume, dict):
        return str(volume.get("target")).rstrip("/")
    parts = str(volume).split(":")
    return parts[min(1, len(parts) - 1)].rstrip("/")


def _depends(one: Any, other: Any, own: set[str]) -> Any:
    both = [each or [] for each in (one, other)]
    if all(isinstance(each, list) for each in both):
        return [name for name in dict.fromkeys([*both[0], *both[1]]) if name not in own]
    mappings = [
        each if isinstance(each, dict) else {n: {"condition": "service_started"} for n in each} for each in both
    ]
    return {name: value for name, value in {**mappings[1], **mappings[0]}.items() if name not in own}


def _networks(one: Values, other: Values, alias: str) -> Values:
    if mode := one.get("network_mode"):
        return {"network_mode": mode}
    found: Values = {}
    for networks in (one.get("networks"), other.get("networks")):
        given = networks if isinstance(networks, dict) else dict.fromkeys(networks or ["default"])
        for name, settings in given.items():
            merged = {**(found.get(name) or {}), **(settings or {})}
            merged["aliases"] = list(dict.fromkeys([*(merged.get("aliases") or []), alias]))
            found[name] = merged
    return {"networks": found}


def _renamed(service: Any, old: str, new: str) -> Any:
    """Another service, which may wait for the proxy or share its network."""
    if not isinstance(service, dict):
        return service
    waits = service.get("depends_on")
    if isinstance(waits, list):
        service["depends_on"] = list(dict.fromkeys(new if name == old else name for name in waits))
    elif isinstance(waits, dict) and old in waits:
        service["depends_on"] = {new: waits[old], **{n: each for n, each in waits.items() if n != old}}
    if service.get("network_mode") == f"service:{old}":
        service["network_mode"] = f"service:{new}"
    return service
