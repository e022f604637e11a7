"""A WSGI proxy on requests, as many are written; for gunicorn's gevent worker. PEER_UPSTREAM is the backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import requests
from requests.adapters import HTTPAdapter

HOP = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
SESSION = requests.Session()
SESSION.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1000))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    headers["X-Forwarded-For"] = environ["REMOTE_ADDR"]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    answer = SESSION.request(
        environ["REQUEST_METHOD"],
        os.environ["PEER_UPSTREAM"] + environ["RAW_URI"],
        headers=headers,
        data=environ["wsgi.input"].read(length) if length else None,
        stream=True,
        allow_redirects=False,
    )
    kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP]
    start_response(f"{answer.status_code} {answer.reason}", kept)
    return answer.raw.stream(65536, decode_content=False)
