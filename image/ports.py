"""Which port the proxy listens on and which one the backend does, from what is declared (pure)."""

from __future__ import annotations

from collections.abc import Mapping

LISTEN_PORT = 8080
UPSTREAM_PORT = 8000
LOOPBACK = "127.0.0.1"
_SCHEME_PORTS = {"http": 80, "https": 443}


def port_of(authority: str) -> int | None:
    """The port in `HOST:PORT`, `[V6]:PORT`, `:PORT` or a URL; None if there is none or it is no port.

    A URL without one has its scheme's (RFC 9110 section 4.2).
    """
    scheme, url, rest = authority.partition("://")
    host, colon, digits = (rest if url else authority).partition("/")[0].rpartition(":")
    if digits.isascii() and digits.isdigit() and 0 < int(digits) < 65536:
        return int(digits)
    bare_host = not colon or digits.endswith("]")
    return _SCHEME_PORTS.get(scheme.lower()) if url and bare_host and (host or digits) else None


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


def listen_ports(environ: Mapping[str, str]) -> tuple[int, ...]:
    """Where the proxy listens, at least one: LISTEN, which may name several with commas > PORT > 8080."""
    named = tuple(port for part in environ.get("LISTEN", "").split(",") if (port := port_of(part.strip())))
    return named or (port_of(f":{environ.get('PORT', '')}") or LISTEN_PORT,)


def backend_port(upstream: str, environ: Mapping[str, str], declared: int) -> int:
    """Where the backend listens: the proxy's UPSTREAM > the backend's own PORT > the one declared port > 8000."""
    return port_of(upstream) or port_of(f":{environ.get('PORT', '')}") or declared or UPSTREAM_PORT
