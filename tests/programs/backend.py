"""A backend for tests: answers every GET on PORT (default 8000), 404 for /missing, and says how it was stopped.

`exit CODE` ends at once with that code, `crash SECONDS CODE` after a while, `kill` by SIGKILL; `orphan` leaves a
process in a session of its own behind; `flood` writes without end; `deaf` ignores SIGTERM; `late SECONDS` begins to
listen only then.
"""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    """200 for everything but /missing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"pid {os.getpid()}\n".encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def stop(number: int, frame: object) -> None:
    """Say whether the proxy on WATCH still accepts, then end."""
    with socket.socket() as probe:
        there = probe.connect_ex(("127.0.0.1", int(os.environ.get("WATCH", "1")))) == 0
    os.write(1, b"stopped by %d, proxy %s" % (number, b"there" if there else b"gone"))
    os._exit(0)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["exit", code]:
            sys.exit(int(code))
        case ["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["orphan"]:
            orphan = subprocess.Popen(["sleep", "300"], start_new_session=True)
            print(f"orphan {orphan.pid}", flush=True)
        case ["flood"]:
            subprocess.Popen(["sh", "-c", "while :; do echo a line of a program that writes and writes; done"])
        case ["crash", seconds, code]:
            time.sleep(float(seconds))
            sys.exit(int(code))
        case ["late", seconds]:
            time.sleep(float(seconds))
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN if arguments == ["deaf"] else stop)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler)
    server.serve_forever()


main(sys.argv[1:])
