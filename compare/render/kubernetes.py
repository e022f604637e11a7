"""A pair as a Kubernetes manifest: all of its file that is not about the two containers stays (pure)."""

from __future__ import annotations

import copy
import re
from typing import Any

from pillion.compare.render.admin import admin_check, ask_admin, has_admin
from pillion.compare.render.probes import waits_for_backend
from pillion.compare.render.request import Rendered, Request, check_layout, heading
from pillion.compare.render.settings import settled_settings
from pillion.compare.render.shared_container import shared_container
from pillion.compare.render.workload import as_manifest
from pillion.compare.render.yaml_text import to_yaml
from pillion.image.environ.conflicts import front_port, inner_port
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.pairfile.written import KUBERNETES
from pillion.image.ports import UPSTREAM_PORT, port_of
from pillion.image.sidecar import PREFIX, read_sidecar

Values = dict[str, Any]
_LAYOUT_ANNOTATION, _SOURCE_ANNOTATION = "pillion.dev/layout", "pillion.dev/pair"
_LONGEST = 63  # podman 4.3 takes no longer annotation; so no path
# Annotations whose value, or whose key's end, names a container.
_NAMES_CONTAINER = re.compile(r"kubectl\.kubernetes\.io/default-(logs-)?container")


def to_kubernetes(request: Request) -> Rendered:
    """The manifest. Raises Refusal if the pair cannot be laid out so."""
    check_layout(request)
    notices: list[str] = []
    comments: list[str] = []
    request = request._replace(written=copy.deepcopy(request.written))
    if request.written.form != KUBERNETES:
        notices += request.pair.notices
        request = as_manifest(request, notices, comments)
    written = request.written
    if is_pillion_proxy(request.pair.proxy) and has_admin(request.pair.proxy):
        pair = request.pair
        beside = (pair.backend, inner_port(pair)) if request.layout == "shared" else ()
        ask_admin(pair.proxy, written.proxy.values, *beside)
    if request.layout == "shared":
        _share(request, notices)
    else:
        if is_pillion_proxy(request.pair.proxy):
            _settle(request, notices)
        if request.native_sidecar:
            _make_native(request, notices)
    secret = any(each.get("kind") == "Secret" for each in written.documents)
    return Rendered(heading(request, *comments) + to_yaml(written.documents), tuple(notices), secret)


def _share(request: Request, notices: list[str]) -> None:
    written = request.written
    container = shared_container(request, written.backend, written.proxy, notices)
    spec = written.pod["spec"]
    listed = spec.get("containers") or []
    at = next((i for i, each in enumerate(listed) if each is written.backend.values), 0)
    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec[field] = [
                each for each in spec[field] if each is not written.backend.values and each is not written.proxy.values
            ]
    spec["containers"].insert(at, container)
    if not spec.get("initContainers"):
        spec.pop("initContainers", None)
    _annotate(request, notices)


def _annotate(request: Request, notices: list[str]) -> None:
    metadata = request.written.pod.setdefault("metadata", {})
    names = dict.fromkeys((request.pair.proxy.name,), request.written.backend.values["name"])
    annotations: Values = {}
    for key, value in (metadata.get("annotations") or {}).items():
        if _NAMES_CONTAINER.fullmatch(key):
            value = names.get(value, value)
        elif key.rpartition("/")[2] in names:
            notices.append(f"metadata.annotations: {key} names a container that is no more, and is dropped")
            continue
        annotations[key] = value
    annotations |= {_LAYOUT_ANNOTATION: "shared", _SOURCE_ANNOTATION: request.pair.name[:_LONGEST]}
    metadata["annotations"] = annotations


def _settle(request: Request, notices: list[str]) -> None:
    """What the sidecar must be told in a pod: an upstream by service name is loopback there; how to drain."""
    container = request.written.proxy.values
    given = read_sidecar(request.pair.proxy).environ
    declared = {entry["name"].removeprefix(PREFIX) for entry in container.get("env") or []}
    inherited = {name.removeprefix(PREFIX) for name in request.written.proxy.inherited}
    for name, value in settled_settings(request, request.written.proxy).items():
        if name == "READY_PATH":
            continue  # each container has its own probe
        if name == "UPSTREAM" and not given.get(name) and port_of(value) == UPSTREAM_PORT:
            continue  # the sidecar's own default
        if name == "UPSTREAM" and given.get(name):
            notices.append(f"UPSTREAM names the service {request.pair.backend.name}; in a pod it is {value}")
            _replace_words(container, given[name], value)
        if name in declared or name in inherited or name not in given:
            kept = [each for each in container.get("env") or [] if each["name"].removeprefix(PREFIX) != name]
            container["env"] = [*kept, {"name": name, "value": value}]


def _replace_words(container: Values, old: str, new: str) -> None:
    for field in ("command", "args"):
        if container.get(field):
            container[field] = [
                word[: -len(old)] + new if word == old or word.endswith(f"={old}") else word
                for word in container[field]
            ]


def _make_native(request: Request, notices: list[str]) -> None:
    """The proxy among the init containers: it starts before the backend and stops after it (Kubernetes 1.29)."""
    written = request.written
    spec, container = written.pod["spec"], written.proxy.values
    native = {"name": container["name"], "restartPolicy": "Always", **container}
    started = container.get("startupProbe")
    if started is None or waits_for_backend(started):
        # The backend starts only after this probe: one that goes through to the backend would wait for ever.
        if started is not None:
            notices.append("startupProbe of the proxy: asks only whether it listens; the backend starts after it")
        timing = {name: value for name, value in (started or {}).items() if name.endswith(("Seconds", "Threshold"))}
        check = {"tcpSocket": {"port": front_port(request.pair)}}
        if has_admin(request.pair.proxy):
            check = admin_check(request.pair.proxy, container, "live")
        native["startupProbe"] = {**check, **(timing or {"periodSeconds": 1})}
    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec[field] = [each for each in spec[field] if each is not container]
    spec["initContainers"] = [*(spec.get("initContainers") or []), native]
