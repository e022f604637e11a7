"""Which of the containers is the backend and which the proxy."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pillion.image.pair import Container
from pillion.image.refusal import Refusal

# The images, containers and commands of proxies that people put beside a backend.
_PROXIES = ("envoy", "nginx", "haproxy", "istio-proxy", "proxyv2", "traefik", "linkerd-proxy", "oauth2-proxy")
_PILLION_COMMAND = re.compile(r"(?:^|[\s/])pillion\s(?:.*\s)?proxy(?:\s|$)", re.DOTALL)
_MEND = "name them: --backend NAME --proxy NAME"


def is_pillion_proxy(container: Container) -> bool:
    """Whether the container runs Pillion's proxy: its argv is `pillion ... proxy`, or its image is the sidecar's.

    Only a proxy of Pillion's can share a container with the backend.
    """
    if _PILLION_COMMAND.search(" ".join((*container.command, *container.args))):
        return True
    path = _repository(container.image)
    return not container.command and (path[-1].startswith("pillion") or path[-2:] == ["pillion", "sidecar"])


def choose(what: str, containers: Sequence[Container], backend: str, proxy: str) -> tuple[Container, Container]:
    """The backend and the proxy among `containers`.

    Those named by the caller, else by the names `backend` and `proxy`, else the only two, told apart by their images
    and commands. Raises Refusal if that leaves it open.
    """
    by_name = {container.name: container for container in containers}
    listed = ", ".join(by_name) or "none"
    for role, name in (("backend", backend), ("proxy", proxy)):
        if name and name not in by_name:
            raise Refusal(what, f'--{role}: there is no container "{name}", only: {listed}', "name one of these")
    if len(containers) < 2:
        why = f"a pair is two containers, a backend and its proxy, and this has {len(containers)}: {listed}"
        raise Refusal(what, why, "add the missing one, or run a backend without a file: pillion run -- CMD")
    if backend and backend == proxy:
        raise Refusal(what, f'"{backend}" cannot be backend and proxy at once', _MEND)
    # A default name never takes a container that the caller gave the other role.
    backend = backend or ("backend" if "backend" in by_name and proxy != "backend" else "")
    proxy = proxy or ("proxy" if "proxy" in by_name and backend != "proxy" else "")
    if backend and proxy:
        return by_name[backend], by_name[proxy]
    if len(containers) > 2:
        raise Refusal(what, f"it is open which are the backend and the proxy among: {listed}", _MEND)
    one, other = containers
    if backend or proxy:
        first_is_backend = one.name == backend or other.name == proxy
        return (one, other) if first_is_backend else (other, one)
    for tell in (is_pillion_proxy, _is_known_proxy):
        if tell(one) != tell(other):
            return (other, one) if tell(one) else (one, other)
    raise Refusal(what, f"it is open which is the backend and which the proxy: {listed}", _MEND)


def _is_known_proxy(container: Container) -> bool:
    command = (container.command or container.args or ("",))[0].rpartition("/")[2]
    path = _repository(container.image)
    if path[-2:] == ["linkerd", "proxy"]:
        return True
    return container.name in _PROXIES or command in _PROXIES or path[-1].startswith(_PROXIES)


def _repository(image: str) -> list[str]:
    """The image's path components without tag and digest."""
    path = image.partition("@")[0].split("/")
    return [*path[:-1], path[-1].partition(":")[0]]
