"""A Kubernetes container's ports and probes.

https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

from collections.abc import Mapping

from pillion.image.pair import Probe
from pillion.image.pairfile.expansion import expand
from pillion.image.pairfile.field import Field

_MOST_SECONDS = 2**31 - 1
_CHECKS = ("httpGet", "tcpSocket", "exec", "grpc")


def read_ports(container: Field) -> tuple[tuple[int, ...], dict[str, int]]:
    """The container's TCP ports in order, and all its named ports by name."""
    ports: list[int] = []
    named: dict[str, int] = {}
    for entry in container["ports"].entries():
        number = entry["containerPort"].integer(1, 65535)
        if number is None:
            raise entry["containerPort"].refuse("is missing")
        if entry["name"].given:
            named[entry["name"].required()] = number
        if entry["protocol"].text("TCP") != "TCP":
            entry.notice("is no TCP port and not proxied")
        elif number not in ports:
            ports.append(number)
    return tuple(ports), named


def read_probe(probe: Field, named_ports: Mapping[str, int], env: Mapping[str, str]) -> Probe | None:
    """The probe at this field, if there is one that can be made here. `env` is what an exec probe may refer to."""
    if not probe.given:
        return None
    given = [name for name in _CHECKS if probe[name].given]
    if len(given) != 1:
        raise probe.refuse(f"must hold exactly one of {', '.join(_CHECKS)}", "keep one check a probe")
    check = probe[given[0]]
    if given[0] == "grpc":
        check.notice("is not probed here")
        return None
    timing = Probe(
        kind={"httpGet": "http", "tcpSocket": "tcp"}.get(given[0], given[0]),
        initial_delay_s=float(probe["initialDelaySeconds"].integer(0, _MOST_SECONDS) or 0),
        # Kubernetes takes an explicit 0 of these for the default.
        period_s=float(probe["periodSeconds"].integer(0, _MOST_SECONDS) or 10),
        timeout_s=float(probe["timeoutSeconds"].integer(0, _MOST_SECONDS) or 1),
        failure_threshold=probe["failureThreshold"].integer(0, _MOST_SECONDS) or 3,
    )
    if given[0] == "exec":
        if not check["command"].entries():
            raise check["command"].refuse("is missing", "give the program and its arguments as a list")
        return timing._replace(command=expanded(check["command"], env))
    if check["host"].text() not in ("", "127.0.0.1", "localhost"):
        check["host"].notice("is not used: the probe goes to 127.0.0.1")
    port = _port(check["port"], named_ports)
    if given[0] == "tcpSocket":
        return timing._replace(port=port)
    return timing._replace(
        port=port,
        path=_http_path(check["path"]),
        scheme=_scheme(check["scheme"]),
        headers=tuple((entry["name"].required(), entry["value"].text()) for entry in check["httpHeaders"].entries()),
    )


def expanded(texts: Field, env: Mapping[str, str]) -> tuple[str, ...]:
    """A list of texts with their `$(VAR)` references resolved from `env`."""
    found = []
    for entry in texts.entries():
        try:
            found.append(expand(entry.text(), env))
        except ValueError as error:
            raise entry.refuse(str(error), "refer to less") from None
    return tuple(found)


def _port(field: Field, named: Mapping[str, int]) -> int:
    if isinstance(field.value, str):
        if field.value in named:
            return named[field.value]
        mend = "write the number without quotes" if field.value.isdigit() else "name one in ports, or give its number"
        raise field.refuse(f'names the port "{field.value}", which the container does not declare', mend)
    number = field.integer(1, 65535)
    if number is None:
        raise field.refuse("is missing", "give the number or the name of a port")
    return number


def _http_path(field: Field) -> str:
    path = field.text() or "/"
    return path if path.startswith("/") else f"/{path}"


def _scheme(field: Field) -> str:
    scheme = field.text() or "HTTP"
    if scheme not in ("HTTP", "HTTPS"):
        raise field.refuse("is neither HTTP nor HTTPS", "write one of these")
    return scheme.lower()
