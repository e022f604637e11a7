"""A Compose pair as a Kubernetes Deployment of two containers, to be rendered like any other (pure)."""

from __future__ import annotations

import re
from typing import Any

from pillion.compare.render.references import literal
from pillion.compare.render.request import Request
from pillion.compare.render.secrets import refuse_secret_words, secrets_of, unknown_names
from pillion.image.pair import Container, Probe
from pillion.image.pairfile.written import KUBERNETES, Part, Written

Values = dict[str, Any]
_CARRIED = (
    "build", "command", "depends_on", "entrypoint", "env_file", "environment", "expose", "healthcheck", "image",
    "ports", "restart", "stop_grace_period", "stop_signal", "user", "working_dir",
)  # fmt: skip


def as_manifest(request: Request, notices: list[str], comments: list[str]) -> Request:
    """The same request with a manifest as what is written. Secrets become references to a Secret, which the manifest
    holds only if they are asked for. Raises Refusal."""
    pair = request.pair
    name = _label(pair.name)
    secret = f"{name}-secrets"
    data: dict[str, str] = {}
    parts = []
    for program, container, part in request.programs():
        hidden = secrets_of(container, part, request.written.form)
        refuse_secret_words(request.what, container, part, hidden, request.written.form)
        keys = {each: f"{program}.{re.sub(r'[^A-Za-z0-9._-]', '_', each)}" for each in container.env if each in hidden}
        data |= {keys[each]: container.env[each] for each in keys}
        parts.append(Part(_container(container, keys, secret, notices)))
        if unset := unknown_names(container, part, request.written.form):
            notices.append(f"{container.field}: left out, as they are not set here: {', '.join(unset)}")
        for field in part.values:
            if field not in _CARRIED and not field.startswith("x-"):
                notices.append(f"{container.field}.{field}: is not carried over to Kubernetes")
    labels = {"app": name}
    pod: Values = {
        "metadata": {"labels": dict(labels), **({"annotations": dict(pair.annotations)} if pair.annotations else {})},
        "spec": {
            "terminationGracePeriodSeconds": round(pair.grace_s),
            "containers": [part.values for part in parts],
        },
    }
    workload: Values = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"replicas": 1, "selector": {"matchLabels": dict(labels)}, "template": pod},
    }
    documents = [workload]
    if data and request.with_secrets:
        documents.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": data})
    elif data:
        notices.append(f"left out, as they look secret: the values of {', '.join(data)}, for a Secret {secret}")
        comments.append(f"The Secret {secret} is not in this file (--with-secrets puts it there). It needs the keys:")
        comments += [f"  {key}" for key in data]
    return request._replace(written=Written(KUBERNETES, documents, workload, pod, *parts))


def _label(name: str) -> str:
    """A name as Kubernetes takes it (RFC 1123)."""
    return re.sub(r"[^a-z0-9-]", "-", name.lower()).strip("-")[:63].strip("-") or "pair"


def _container(container: Container, keys: dict[str, str], secret: str, notices: list[str]) -> Values:
    values: Values = {"name": _label(container.name)}
    if container.image:
        values["image"] = container.image
    if container.command:
        values["command"] = [literal(word) for word in container.command]
    if container.args:
        values["args"] = [literal(word) for word in container.args]
    if container.working_dir:
        values["workingDir"] = container.working_dir
    if container.ports:
        values["ports"] = [{"containerPort": port} for port in container.ports]
    if container.env:
        values["env"] = [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": keys[name]}}}
            if name in keys
            else {"name": name, "value": literal(value)}
            for name, value in container.env.items()
        ]
    if container.readiness is not None:
        values["readinessProbe"] = _probe(container.readiness)
    user = {"runAsUser": container.run_as_user, "runAsGroup": container.run_as_group}
    if known := {name: value for name, value in user.items() if value is not None}:
        values["securityContext"] = known
    return values


def _probe(probe: Probe) -> Values:
    """A health check; Kubernetes knows no start period, but a delay."""
    return {
        "exec": {"command": [literal(word) for word in probe.command]},
        "initialDelaySeconds": round(probe.initial_delay_s),
        "periodSeconds": max(round(probe.period_s), 1),
        "timeoutSeconds": max(round(probe.timeout_s), 1),
        "failureThreshold": probe.failure_threshold,
    }
