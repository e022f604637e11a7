"""A small Python backend: an image whose application is one small last layer, and how to combine it by hand."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.engines import ENTRY

PORT = 8000
COMMAND = ("python3", "-u", "/srv/app/app.py")
_CMD = json.dumps([*COMMAND, str(PORT)])
BACKEND = """FROM {python}
WORKDIR /srv/app
COPY app.py /srv/app/
USER 10001:10001
EXPOSE {port}
CMD {command}
"""
# What a user writes who does it by hand: an ENTRYPOINT drops the Cmd below it.
COMBINED = """FROM {backend}
COPY --from={sidecar} /opt/pillion /opt/pillion
ENTRYPOINT ["{entry}", "enter", "--"]
CMD {command}
"""
APPLICATION = """import http.server
import sys

ANSWER = b"{answer}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def write_context(folder: Path, python: str, answer: str) -> Path:
    """The context of the backend's image, its application answering with `answer`; gives the Containerfile."""
    folder.mkdir(exist_ok=True)
    edit(folder, answer)
    containerfile = folder.with_name(f"{folder.name}.Containerfile")
    containerfile.write_text(BACKEND.format(python=python, port=PORT, command=_CMD))
    return containerfile


def edit(folder: Path, answer: str) -> None:
    """The one-line change."""
    (folder / "app.py").write_text(APPLICATION.format(answer=answer))


def write_combining(file: Path, backend: str, sidecar: str) -> Path:
    """The Containerfile that puts the sidecar on the backend's image."""
    file.write_text(COMBINED.format(backend=backend, sidecar=sidecar, entry=ENTRY, command=_CMD))
    return file
