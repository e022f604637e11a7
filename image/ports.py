"""Which port the proxy listens on and which one the backend does, from what is declared (pure)."""

from __future__ import annotations

from collections.abc import Mapping

LISTEN_PORT = 8080
UPSTREAM_PORT = 8000
LOOPBACK = "127.0.0.1"


def port_of(authority: str) -> int | None:
    """The port in `HOST:PORT`, `[V6]:PORT`, `:PORT` or a URL's authority; None if there is none or it is no port."""
    rest = authority.partition("://")[2] or authority
    digits = rest.partition("/")[0].rpartition(":")[2]
    return int(digits) if digits.isascii() and digits.isdigit() and 0 < int(digits) < 65536 else None


def host_of(authority: str) -> str:
    """The host in `HOST:PORT` or a URL, lower case and without brackets; "" if there is none."""
    rest = (authority.partition("://")[2] or authority).partition("/")[0]
    host, colon, digits = rest.rpartition(":")
    if not colon or not digits.isdigit():
        host = rest
    return host.strip("[]").lower()


def is_loopback(host: str) -> bool:
    """Whether a host name or address means the pod itself."""
    return host in ("localhost", "::1") or host.startswith("127.")


def listen_port(environ: Mapping[str, str]) -> int:
    """Where the proxy listens: LISTEN > PORT > 8080."""
    return port_of(environ.get("LISTEN", "")) or port_of(f":{environ.get('PORT', '')}") or LISTEN_PORT


def backend_port(upstream: str, environ: Mapping[str, str], declared: int) -> int:
    """Where the backend listens: the proxy's UPSTREAM > the backend's own PORT > the one declared port > 8000."""
    return port_of(upstream) or port_of(f":{environ.get('PORT', '')}") or declared or UPSTREAM_PORT
