"""The classes of un-prefixed names: where each goes when nothing else is said (what stands before every start)."""

from __future__ import annotations

import re


def variable_class(name: str) -> str:
    """The class of an un-prefixed name in the policy table: where it goes when nothing else is said.

    Service links are told by their values and so are not found here (see `service_links`).
    """
    if name.startswith("PILLION_"):
        return "ours"
    if name in ("TZ", "LANG", "LANGUAGE") or name.startswith("LC_"):
        return "base"
    if name in ("HOME", "USER", "LOGNAME", "PATH"):
        return "derived"
    if name == "PORT":
        return "port"
    if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY"):
        return "egress"
    if name.startswith(("LD_", "PYTHON", "JAVA_")) or name in ("NODE_OPTIONS", "GLIBC_TUNABLES"):
        return "loader"
    return "other"


_LINK = re.compile(r"(?P<service>[A-Z][A-Z0-9_]*?)_PORT\Z")
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://[^/]+:\d+\Z")
_LINK_REST = r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)\Z"


def service_links(environ: dict[str, str]) -> frozenset[str]:
    """The names that the platform set because some Service is older than the pod (Kubernetes "service links", and
    docker's container links before it): every family with a `X_PORT=tcp://HOST:PORT`.

    The API server's own family stays: clients inside the cluster find it by these names, whatever else is in the pod.
    """
    services = {
        match["service"]
        for name, value in environ.items()
        if (match := _LINK.match(name)) and _LINK_VALUE.match(value) and match["service"] != "KUBERNETES"
    }
    if not services:
        return frozenset()
    family = re.compile("(" + "|".join(map(re.escape, sorted(services))) + ")" + _LINK_REST)
    return frozenset(name for name in environ if family.match(name))
