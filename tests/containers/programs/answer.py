"""A backend in Python: `/` answers with its environment as it was given, a NUL after each variable; `/child` with that
of a process it starts; `/exit/N` ends it with N; any other path is a file's. It says what signal stopped it."""

import http.server
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType


class Handler(http.server.BaseHTTPRequestHandler):
    """One request a connection."""

    def do_GET(self) -> None:
        if self.path.startswith("/exit/"):
            os._exit(int(self.path.removeprefix("/exit/")))
        try:
            status, body = 200, read(self.path)
        except OSError:
            status, body = 404, b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def read(path: str) -> bytes:
    if path == "/child":
        return subprocess.run(["cat", "/proc/self/environ"], capture_output=True, check=True).stdout
    return Path("/proc/self/environ" if path == "/" else path).read_bytes()


def stop(number: int, frame: FrameType | None) -> None:
    os.write(1, b"stopped by %d\n" % number)
    os._exit(0)


for each in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
    signal.signal(each, stop)
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
