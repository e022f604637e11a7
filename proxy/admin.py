"""The admin listener: whether this worker lives and is ready, and a look inside. Not for the public."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any

from pillion.proxy.errors import ExchangeError
from pillion.proxy.head import parse_request_head, serialise
from pillion.proxy.sides import ClientStream

if TYPE_CHECKING:
    from gevent.pool import Pool

    from pillion.proxy.gateway import Gateway
    from pillion.proxy.stream import Socket

_PATIENCE = 5.0  # seconds
_MAX_HEAD = 8192  # bytes
_LINGER = 0.5  # seconds


class Admin:
    """Answers one request a connection. With several workers, each speaks for itself and says which one it is."""

    def __init__(self, gateway: Gateway, connections: Pool, workers: int) -> None:
        """`connections` holds the clients of the gateway."""
        self._gateway = gateway
        self._connections = connections
        self._workers = workers
        self._since = monotonic()

    def serve(self, sock: Socket, _address: object) -> None:
        """Serve a connection to its end, and close it."""
        client = ClientStream(sock, _PATIENCE, _PATIENCE)
        try:
            if data := client.read_head(_MAX_HEAD, _PATIENCE, _PATIENCE):
                head = parse_request_head(data)
                status, document = self._answer(head.method, head.target.partition(b"?")[0])
                client.send(_response(status, document, head.method))
                client.linger(_LINGER)
        except ExchangeError:
            pass
        finally:
            client.close()

    def _answer(self, method: bytes, path: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        if method not in (b"GET", b"HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, {"reason": "only GET and HEAD"}
        if path == b"/live":
            return HTTPStatus.OK, {"live": True}
        if path == b"/ready":
            reason = self._not_ready() or self._not_good()
            status = HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK
            return status, {"ready": not reason, **({"reason": reason} if reason else {})}
        if path == b"/status":
            return HTTPStatus.OK, self._status()
        return HTTPStatus.NOT_FOUND, {"reason": "there are /live, /ready and /status"}

    def _not_ready(self) -> str:
        if self._gateway.draining:
            return "it is being stopped"
        return "" if self._gateway.gate.is_open else "the backend is not ready"

    def _not_good(self) -> str:
        """What READY_PATH says now: a backend that has been ready may think otherwise later."""
        gateway = self._gateway
        if not gateway.settings.ready_path:
            return ""
        why = gateway.gate.ask()
        return f"the backend is not ready: {why}" if why else ""

    def _status(self) -> dict[str, Any]:
        gateway = self._gateway
        pool = gateway.pool
        connections = len(self._connections)
        return {
            "version": _version(),
            "pid": os.getpid(),
            "workers": self._workers,
            "uptime_s": round(monotonic() - self._since, 3),
            "ready": not self._not_ready(),
            "draining": gateway.draining,
            "connections": connections,
            "in_flight": max(connections - gateway.idle, 0),
            "requests": gateway.requests,
            "upstreams": [
                {
                    "upstream": str(gateway.settings.upstream),
                    "idle": pool.idle,
                    "in_use": pool.in_use,
                    "waiting": pool.waiting,
                    "size": pool.size,
                }
            ],
        }


@lru_cache(maxsize=1)
def _version() -> str:
    from importlib.metadata import version  # costs some memory that who never asks need not pay

    return version("pillion")


def _response(status: HTTPStatus, document: dict[str, Any], method: bytes) -> bytes:
    body = json.dumps(document).encode("ascii") + b"\n"
    fields = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
        (b"Connection", b"close"),
    ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        fields.append((b"Allow", b"GET, HEAD"))
    head = serialise(b"HTTP/1.1 %d %b" % (status, status.phrase.encode("ascii")), fields)
    return head if method == b"HEAD" else head + body
