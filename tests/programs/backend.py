"""A backend for tests: answers every GET on PORT (default 8000), 404 for /missing, and says how it was stopped.

`exit CODE` ends at once with that code, `crash SECONDS CODE` after a while, `kill` by SIGKILL; `orphan` leaves a
process in a session of its own behind; `flood` writes without end; `deaf` only says that it was told to stop; `gated
PATH` begins to listen when the path is there, `late SECONDS` only then.
"""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path


class Handler(http.server.BaseHTTPRequestHandler):
    """200 for everything but /missing; /slow takes its time."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/slow":
            os.write(1, b"slow begins\n")
            time.sleep(1.5)
            os.write(1, b"slow ends\n")
        body = f"pid {os.getpid()}\n".encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def stop(number: int, frame: object) -> None:
    """Say whether the proxy on WATCH still accepts, then end, after a while if that was asked for."""
    if sys.argv[1:2] == ["slow"]:
        time.sleep(float(sys.argv[2]))
    with socket.socket() as probe:
        there = probe.connect_ex(("127.0.0.1", int(os.environ.get("WATCH", "1")))) == 0
    os.write(1, b"stopped by %d, proxy %s" % (number, b"there" if there else b"gone"))
    os._exit(0)


def deaf(number: int, frame: object) -> None:
    """Say that it was heard, and go on."""
    os.write(1, b"deaf to %d\n" % number)


def orphans(count: int) -> None:
    """Leave so many processes behind: each is the child of one that has ended."""
    for _ in range(count // 100):
        if (parent := os.fork()) == 0:
            for _ in range(100):
                if os.fork() == 0:
                    os._exit(0)
            os._exit(0)
        os.waitpid(parent, 0)
    os.write(1, b"%d orphans made\n" % count)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["exit", code]:
            sys.exit(int(code))
        case ["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["orphan"]:
            orphan = subprocess.Popen(["sleep", "300"], start_new_session=True)
            print(f"orphan {orphan.pid}", flush=True)
        case ["orphans", count]:
            # Each is left behind by a process that ends at once, and ends itself.
            print("orphans are made", flush=True)
            threading.Thread(target=orphans, args=[int(count)], daemon=True).start()
        case ["flood"]:
            subprocess.Popen(["sh", "-c", "while :; do echo a line of a program that writes and writes; done"])
        case ["crash", seconds, code]:
            time.sleep(float(seconds))
            sys.exit(int(code))
        case ["late", seconds]:
            time.sleep(float(seconds))
        case ["gated", path]:
            while not Path(path).exists():
                time.sleep(0.02)
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, deaf if arguments == ["deaf"] else stop)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler)
    if arguments == ["polite"]:
        # Requests that have begun are finished first.
        server.daemon_threads = False
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    server.server_close()


main(sys.argv[1:])
