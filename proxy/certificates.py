"""Certificates of both sides, from files to contexts of OpenSSL. What cannot be used is a SettingError."""

from __future__ import annotations

import ssl
from pathlib import Path

from pillion.proxy.settings import SettingError

_PROTOCOLS = ["http/1.1"]


def client_context(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """Verifies the backend by `ca` (a file or a directory) or else by the system's authorities, and shows it our
    `certificate` if there is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain and the name
    _settle(context)
    try:
        if not ca:
            context.load_default_certs()
        elif Path(ca).is_dir():
            context.load_verify_locations(capath=ca)
        else:
            context.load_verify_locations(ca)
    except OSError as error:
        raise SettingError("UPSTREAM_CA", f"{ca}: {_why(error)}; give a PEM file or a hashed directory") from None
    if certificate:
        _load(context, "UPSTREAM", certificate, key)
    return context


def server_context(certificate: str, key: str) -> ssl.SSLContext:
    """Shows clients our `certificate`. Made before the workers are, which share its session tickets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _settle(context)
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load(context, "LISTEN", certificate, key)
    return context


def _settle(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.set_alpn_protocols(_PROTOCOLS)


def _load(context: ssl.SSLContext, side: str, certificate: str, key: str) -> None:
    try:
        context.load_cert_chain(certificate, key or None, password=_no_password)
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{side}_CERT",
            f"{certificate}{f' with {key}' if key else ''}: {_why(error)}; "
            f"give PEM files that belong together, and {side}_KEY if the key is apart",
        ) from None


def _why(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error).lower().replace("_", " ")


def _no_password() -> str:
    """Without this, OpenSSL would ask the terminal."""
    raise ValueError("the key is encrypted")
