"""A pair as a Compose file (pure).

https://docs.docker.com/reference/compose-file/
"""

from __future__ import annotations

import copy
from typing import Any

from pillion.compare.render.admin import admin_healthcheck
from pillion.compare.render.compose_environment import environment, escaped, raw_environment
from pillion.compare.render.compose_fields import healthcheck, plain_fields, published
from pillion.compare.render.compose_shared import share_services, shared_service
from pillion.compare.render.request import Rendered, Request, check_layout, heading
from pillion.compare.render.secrets import refuse_secret_words, secrets_of
from pillion.compare.render.yaml_text import to_yaml
from pillion.image.environ.conflicts import inner_port
from pillion.image.environ.secrets import looks_secret
from pillion.image.pair import Container
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.pairfile.written import COMPOSE, Part
from pillion.image.ports import host_of, is_loopback
from pillion.image.sidecar import read_sidecar

Values = dict[str, Any]


def to_compose(request: Request) -> Rendered:
    """The file. Of a Compose file, everything that is not about the pair stays. Raises Refusal."""
    check_layout(request)
    notices: list[str] = []
    request = request._replace(written=copy.deepcopy(request.written))
    if request.written.form == COMPOSE:
        document = request.written.documents[0]
        if request.layout == "shared":
            share_services(request, document, notices)
        else:
            _depend(request)
    else:
        notices += request.pair.notices
        for _, container, part in request.programs():
            hidden = secrets_of(container, part, request.written.form)
            refuse_secret_words(request.what, container, part, hidden, request.written.form)
        services = _services(request, notices)
        document = {"name": _project(request.pair.name), "services": services}
    return Rendered(heading(request) + to_yaml([document]), tuple(notices), _holds_secret(document))


def _holds_secret(document: Values) -> bool:
    variables = [each for service in document["services"].values() for each in raw_environment(service or {}).items()]
    return any(looks_secret(name, value) and not value.startswith("${") for name, value in variables)


def _project(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name.lower()).lstrip("-_") or "pair"


def _depend(request: Request) -> None:
    """The proxy starts after the backend, if nothing was said; until that answers, it says 503."""
    proxy, backend = request.written.proxy.values, request.pair.backend.name
    if not proxy.get("depends_on") and proxy.get("network_mode") is None:
        proxy["depends_on"] = [backend]
    if is_pillion_proxy(request.pair.proxy) and "healthcheck" not in proxy:
        proxy |= _checked(request)


def _checked(request: Request) -> Values:
    check = admin_healthcheck(request.pair.proxy)
    return {"healthcheck": check} if check else {}


def _services(request: Request, notices: list[str]) -> Values:
    """From a manifest."""
    pair, (backend, proxy) = request.pair, request.programs()
    if request.layout == "shared":
        return {pair.backend.name: shared_service(request, notices)}
    services = {
        container.name: _service(request, program, container, part, notices)
        for program, container, part in (backend, proxy)
    }
    own = services[pair.proxy.name]
    if is_pillion_proxy(pair.proxy) and "healthcheck" not in own:
        own |= _checked(request)
    own["depends_on"] = [pair.backend.name]
    upstream = read_sidecar(pair.proxy).environ.get("UPSTREAM", "") if is_pillion_proxy(pair.proxy) else ""
    if not upstream or is_loopback(host_of(upstream)):
        # The two share loopback, as in a pod; so the ports are those of the service whose network it is.
        own["network_mode"] = f"service:{pair.backend.name}"
        services[pair.backend.name]["ports"] = published(request)
        if not upstream and is_pillion_proxy(pair.proxy):
            own.setdefault("environment", {})["UPSTREAM"] = f"http://127.0.0.1:{inner_port(pair)}"
    else:
        own["ports"] = published(request)
    return services


def _service(request: Request, program: str, container: Container, part: Part, notices: list[str]) -> Values:
    service: Values = {"image": container.image or f"{request.pair.name}-{container.name}"}
    service |= plain_fields(request, container)
    if container.stop_signal:
        service["stop_signal"] = container.stop_signal
    if variables := environment(request, program, container, part, notices, shared=False):
        service["environment"] = variables
    if container.command:
        service["entrypoint"] = [escaped(word) for word in container.command]
    if container.args:
        service["command"] = [escaped(word) for word in container.args]
    if check := healthcheck(container, notices):
        service["healthcheck"] = check
    return service
