"""One Kubernetes container out of the two of a pair (pure)."""

from __future__ import annotations

from typing import Any

from pillion.compare.render.probes import merged_probes
from pillion.compare.render.references import Scope, addressed
from pillion.compare.render.request import ENTER, Request
from pillion.compare.render.resources import summed
from pillion.compare.render.settings import settled_settings
from pillion.image.environ.conflicts import front_port, inner_port
from pillion.image.pair import Container
from pillion.image.pairfile.written import Part
from pillion.image.refusal import Refusal
from pillion.image.sidecar import read_sidecar
from pillion.image.supervision import DEADLINE_VARIABLE, STOP_SIGNAL_VARIABLE, deadline_for

Values = dict[str, Any]
_LISTS = (("volumeMounts", "mountPath"), ("volumeDevices", "devicePath"))
# What the proxy's container may have that one container for both takes from the backend's, or has no use for.
_SETTLED = (
    "name", "image", "command", "args", "env", "envFrom", "ports", "resources", "securityContext", "lifecycle",
    "livenessProbe", "readinessProbe", "startupProbe", "volumeMounts", "volumeDevices", "restartPolicy",
    "imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy",
)  # fmt: skip


def shared_container(request: Request, backend: Part, proxy: Part, notices: list[str]) -> Values:
    """The container, under the backend's name. Raises Refusal where the two cannot be in one."""
    pair, one, other = request.pair, backend.values, proxy.values
    front, inner = front_port(pair), inner_port(pair)
    scopes = _scope("backend", backend), _scope("proxy", proxy)
    container: Values = {"name": one["name"], "image": request.combined}
    _copy(container, one, "imagePullPolicy")
    if one.get("command"):
        container["command"] = [*ENTER, *(scopes[0].renamed(word) for word in one["command"])]
    if one.get("args"):
        container["args"] = [scopes[0].renamed(word) for word in one["args"]]
    _copy(container, one, "workingDir")
    container["ports"] = _ports(one, other, front, notices)
    notices += [
        f"{each.field}.envFrom: names what the file does not hold; $(NAME) of an unknown name is taken to be from there"
        for each, part in ((pair.backend, backend), (pair.proxy, proxy))
        if part.elsewhere
    ]
    sources = _sources(backend, "backend") + _sources(proxy, "proxy")
    if sources:
        container["envFrom"] = sources
    container["env"] = [*_env(backend, "backend"), *_proxy_env(request, proxy, scopes[1])]
    container["env"] += _stop_settings(request)
    if resources := summed(request.what, one.get("resources") or {}, other.get("resources") or {}, notices):
        container["resources"] = resources
    for field, key in _LISTS:
        if mounts := _mounts(request, one, other, field, key):
            container[field] = mounts
    container |= merged_probes(one, other, pair.backend, (front, inner), scopes, notices)
    if hooks := _lifecycle(one, other, notices):
        container["lifecycle"] = hooks
    if context := _security(one, other, notices):
        container["securityContext"] = context
    _tell_identities(pair.backend, pair.proxy, notices)
    # Whatever else is said of the backend's container is true of this one.
    container |= {
        name: value
        for name, value in one.items()
        if name not in _SETTLED and name not in container and value is not None
    }
    notices += [
        f"{pair.proxy.field}.{name}: the backend's container decides, and this is dropped"
        for name, value in other.items()
        if name not in _SETTLED and value is not None and value != one.get(name)
    ]
    _tell_resource_fields(container, notices)
    return container


def _copy(to: Values, values: Values, name: str) -> None:
    if values.get(name) is not None:
        to[name] = values[name]


def _scope(program: str, part: Part) -> Scope:
    """What a command line and a probe may refer to: every name."""
    names = {entry["name"] for entry in part.values.get("env") or []}
    return Scope(program, names | part.inherited, part.elsewhere)


def _sources(part: Part, program: str) -> list[Values]:
    return [
        {"prefix": addressed(source.get("prefix") or "", program), **_without(source, "prefix")}
        for source in part.values.get("envFrom") or []
    ]


def _without(values: Values, *names: str) -> Values:
    return {name: value for name, value in values.items() if name not in names}


def _env(part: Part, program: str) -> list[Values]:
    """The entries under their addressed names; a value refers only to what stands before it."""
    names = set(part.inherited)
    found = []
    spelled: dict[str, str] = {}
    for entry in part.values.get("env") or []:
        changed = {**entry, "name": addressed(entry["name"], program)}
        if spelled.setdefault(changed["name"], entry["name"]) != entry["name"]:
            continue  # a setting of the sidecar with and without its prefix, which are equal
        if isinstance(entry.get("value"), str):
            changed["value"] = Scope(program, names, part.elsewhere).renamed(entry["value"])
        names.add(entry["name"])
        found.append(changed)
    return found


def _proxy_env(request: Request, proxy: Part, scope: Scope) -> list[Values]:
    """The proxy's entries, its two options as what they set, and what would be different in one container."""
    pair = request.pair
    read = read_sidecar(pair.proxy)
    if read.arguments:
        why = f"{pair.proxy.field}: {' '.join(read.arguments)} is no argument of pillion proxy"
        raise Refusal(request.what, why, "set it by a variable")
    words = pair.proxy._replace(
        command=tuple(proxy.values.get("command") or ()), args=tuple(proxy.values.get("args") or ()), env={}
    )
    options = {name: scope.renamed(value) for name, value in read_sidecar(words).environ.items()}
    settled = {**options, **settled_settings(request, proxy)}
    changed = {addressed(name, "proxy"): value for name, value in settled.items()}
    entries = [entry for entry in _env(proxy, "proxy") if entry["name"] not in changed]
    return entries + [{"name": name, "value": value} for name, value in changed.items()]


def _stop_settings(request: Request) -> list[Values]:
    entries = [{"name": DEADLINE_VARIABLE, "value": f"{deadline_for(request.pair.grace_s):g}"}]
    if request.pair.backend.stop_signal:
        entries.append({"name": STOP_SIGNAL_VARIABLE, "value": request.pair.backend.stop_signal})
    return entries


def _ports(one: Values, other: Values, front: int, notices: list[str]) -> list[Values]:
    """The proxy's first: they are those that clients know."""
    found: list[Values] = []
    numbers: set[tuple[Any, Any]] = set()
    names: set[str] = set()
    for port in [*(other.get("ports") or []), *(one.get("ports") or [])]:
        key = (port.get("containerPort"), port.get("protocol") or "TCP")
        if key in numbers:
            continue
        numbers.add(key)
        if port.get("name") in names:
            notices.append(f"ports: \"{port['name']}\" is the proxy's; the backend's {key[0]} loses that name")
            port = _without(port, "name")
        elif port.get("name"):
            names.add(port["name"])
        found.append(port)
    if (front, "TCP") not in numbers:
        found.insert(0, {"containerPort": front})
    return found


def _mounts(request: Request, one: Values, other: Values, field: str, key: str) -> list[Values]:
    found: dict[str, Values] = {}
    for part, values in ((request.pair.backend, one), (request.pair.proxy, other)):
        for mount in values.get(field) or []:
            place = str(mount.get(key)).rstrip("/")
            if found.setdefault(place, mount) != mount:
                why = (
                    f"{request.pair.backend.field}.{field} and {part.field}.{field} put different volumes at"
                    f" {mount.get(key)}"
                )
                raise Refusal(request.what, why, "mount one of them elsewhere")
    return list(found.values())


def _lifecycle(one: Values, other: Values, notices: list[str]) -> Values:
    """Hooks of either; the stop signal is the container's own SIGTERM, and the backend's is told to `enter`."""
    hooks = [_without(each.get("lifecycle") or {}, "stopSignal") for each in (one, other)]
    for name in hooks[0].keys() & hooks[1].keys():
        if hooks[0][name] != hooks[1][name]:
            notices.append(f"lifecycle.{name}: one container runs one hook, the backend's; the proxy's is dropped")
    return {**hooks[1], **hooks[0]}


def _security(one: Values, other: Values, notices: list[str]) -> Values:
    """What is equal, and where they differ, what the backend's container says: the backend's program may need it."""
    contexts = [each.get("securityContext") or {} for each in (one, other)]
    for name in sorted(contexts[0].keys() | contexts[1].keys()):
        if contexts[0].get(name) != contexts[1].get(name) and name not in ("runAsUser", "runAsGroup"):
            notices.append(f"securityContext.{name}: differs between the two; the backend's counts for both")
    return dict(contexts[0])


def _tell_identities(backend: Container, proxy: Container, notices: list[str]) -> None:
    if proxy.run_as_user != backend.run_as_user or proxy.run_as_user is None:
        who = "the image's user" if backend.run_as_user is None else f"uid {backend.run_as_user}"
        notices.append(
            f"securityContext.runAsUser: the container starts as {who}; unless that is root, both programs run as it:"
            " the split of the environment is then hygiene, not a boundary"
        )


def _tell_resource_fields(container: Values, notices: list[str]) -> None:
    for entry in container["env"]:
        if (entry.get("valueFrom") or {}).get("resourceFieldRef"):
            entry["valueFrom"]["resourceFieldRef"].pop("containerName", None)
            notices.append(f"{entry['name']}: its resourceFieldRef now tells what both programs have together")
