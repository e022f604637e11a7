"""The concerns inside a WSGI backend: what the proxy does before it, done in it (layout `embedded`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pillion.proxy.answers import explanation
from pillion.proxy.concerns.chain import Chain, chain_of
from pillion.proxy.concerns.edits import Edits, canonical
from pillion.proxy.concerns.passage import Asked, Passage
from pillion.proxy.concerns.settings import read_embedded
from pillion.proxy.errors import Declined
from pillion.proxy.head import Field, Fields
from pillion.proxy.values import Peers

SWITCH = "PILLION_EMBED"

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
# Fields that PEP 3333 has under names of their own.
_OWN_NAMES = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


def embed(application: Application, environ: Mapping[str, str]) -> Application:
    """The application with the concerns that the `PROXY__X` in `environ` (the process's, not a request's) ask for, if
    PILLION_EMBED is 1 there; else the application as it is. Raises SettingError."""
    if environ.get(SWITCH) != "1":
        return application
    settings = read_embedded(environ)
    chain = chain_of(settings)
    return application if chain is None else Embedded(application, chain, settings.forwarded_allow_ips)


class Embedded:
    """A WSGI application behind the concerns."""

    def __init__(self, application: Application, chain: Chain, trusted: Peers) -> None:
        self._application = application
        self._chain = chain
        self._trusted = trusted

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        passage = Passage(_asked(environ, self._trusted))
        try:
            self._chain.request(passage)
        except Declined as declined:
            return self._decline(declined, passage, environ, start_response)
        _apply(passage.edits, environ)

        def start(status: str, fields: list[tuple[str, str]], *more: Any) -> Any:
            edits = self._chain.response(passage, int(status[:3]))
            changed = edits.apply((_bytes(name), _bytes(value)) for name, value in fields)
            return start_response(status, _texts(changed), *more)

        return self._application(environ, start)

    def _decline(
        self, declined: Declined, passage: Passage, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        status, fields, body = explanation(declined, 0)
        edits = self._chain.response(passage, status)
        start_response(f"{status:d} {status.phrase}", _texts(edits.apply(fields)))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _asked(environ: Environ, trusted: Peers) -> Asked:
    """A field that came several times is here once, with commas, and every name has hyphens."""
    fields: Fields = []
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = _bytes(key[5:].replace("_", "-")).title()
            fields.append((name, name.lower(), _bytes(value)))
    address = str(environ.get("REMOTE_ADDR", ""))
    return Asked(
        _bytes(environ["REQUEST_METHOD"]),
        _bytes(environ.get("RAW_URI") or environ.get("PATH_INFO", "")),
        fields,
        _bytes(address or "unknown"),
        address in trusted if address else True,  # a unix socket, whose peers are of this machine
    )


def _apply(edits: Edits, environ: Environ) -> None:
    for name in edits.drop:
        environ.pop(_key(name), None)
    for name, value in edits.add:
        key, text = _key(canonical(name)), value.decode("latin-1")
        environ[key] = f"{environ[key]}, {text}" if key in environ else text


def _key(name: bytes) -> str:
    """Where the environ of a request has the field of this canonical name."""
    return _OWN_NAMES.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _texts(fields: Iterable[Field]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
