"""Fields of a Compose service that come from a container of another kind of file (pure)."""

from __future__ import annotations

from typing import Any

from pillion.compare.render.compose_environment import escaped
from pillion.compare.render.request import Request
from pillion.image.environ.conflicts import front_port
from pillion.image.pair import Container, Probe

Values = dict[str, Any]


def published(request: Request) -> list[str]:
    """The proxy's port, where its container has it on the host, else under its own number."""
    front = front_port(request.pair)
    for port in request.written.proxy.values.get("ports") or []:
        if port.get("containerPort") == front and port.get("hostPort"):
            host = f"{port['hostIP']}:" if port.get("hostIP") else ""
            return [f"{host}{port['hostPort']}:{front}"]
    return [f"{front}:{front}"]


def plain_fields(request: Request, container: Container) -> Values:
    """What means the same in both layouts."""
    fields: Values = {"stop_grace_period": f"{request.pair.grace_s:g}s"}
    if container.run_as_user is not None:
        group = "" if container.run_as_group is None else f":{container.run_as_group}"
        fields["user"] = f"{container.run_as_user}{group}"
    if container.working_dir:
        fields["working_dir"] = escaped(container.working_dir)
    return fields


def healthcheck(container: Container, notices: list[str]) -> Values:
    """A command in the container; the platform makes no HTTP request itself."""
    probe = container.readiness or container.startup
    if probe is None:
        return {}
    if probe.kind != "exec":
        what = "HTTP" if probe.kind == "http" else probe.kind
        notices.append(f"{container.field}: its {what} probe is no command, and so no health check of Compose")
        return {}
    return _check(probe)


def _check(probe: Probe) -> Values:
    return {
        "test": ["CMD", *(escaped(word) for word in probe.command)],
        "interval": f"{probe.period_s:g}s",
        "timeout": f"{probe.timeout_s:g}s",
        "retries": probe.failure_threshold,
        "start_period": f"{probe.initial_delay_s:g}s",
    }
