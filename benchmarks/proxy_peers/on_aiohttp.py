"""A streaming proxy on aiohttp and uvloop: PORT UPSTREAM."""

from __future__ import annotations

import sys

import aiohttp
import uvloop
from aiohttp import web

HOP = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
SESSION = web.AppKey("session", aiohttp.ClientSession)


async def forward(request: web.Request) -> web.StreamResponse:
    headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP]
    headers.append(("X-Forwarded-For", request.remote or ""))
    body = request.content.iter_any() if request.can_read_body else None
    async with request.app[SESSION].request(
        request.method, sys.argv[2] + request.path_qs, headers=headers, data=body, allow_redirects=False
    ) as answer:
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP]
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        response.headers.extend(kept)
        await response.prepare(request)
        async for data in answer.content.iter_any():
            await response.write(data)
        await response.write_eof()
        return response


async def session(app: web.Application):  # type: ignore[no-untyped-def]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as made:
        app[SESSION] = made
        yield


app = web.Application(client_max_size=0)
app.router.add_route("*", "/{path:.*}", forward)
app.cleanup_ctx.append(session)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
