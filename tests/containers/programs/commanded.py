"""A backend that does what it is told, by its arguments at its start and by paths later; a GET of any other path
answers with its pid.

`exit N` and `signal N` end it at once, `crash SECONDS N` after a while, `hog` takes memory without end, `deaf` ignores
SIGTERM, `tell` says when it was told, `orphans N` leaves so many processes behind, `flood` writes without end.
"""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

# While it is there nobody answers; a request that takes its time has begun; all orphans are made.
HOLD, SLOW, MADE = Path("/dev/shm/hold"), Path("/dev/shm/slow"), Path("/dev/shm/made")
SLEEPER = ("sleep", "300")
LINES, LONG = 20, 100_000


class Handler(http.server.BaseHTTPRequestHandler):
    """One request a connection."""

    def do_GET(self) -> None:
        name, _, rest = self.path.removeprefix("/").partition("?")
        command = getattr(self, f"do_{name}", None)
        body = json.dumps(command(rest) if command else os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_slow(self, _: str) -> None:
        """Be in flight for a while."""
        SLOW.touch()
        time.sleep(1.5)

    def do_leave(self, _: str) -> int:
        """Leave a process in a session of its own behind."""
        return subprocess.Popen(SLEEPER, start_new_session=True).pid

    def do_die(self, _: str) -> None:
        """Killed within a line; the next one does not answer before it is let."""
        HOLD.touch()
        os.write(1, b"last words")
        os.kill(os.getpid(), signal.SIGKILL)

    def do_find(self, text: str) -> list[str]:
        """Every file of a process in which this text can be read: environments, open files."""
        files = [*Path("/proc").glob("[0-9]*/environ"), *Path("/proc").glob("[0-9]*/fd/*")]
        own = f"/proc/{os.getpid()}/"
        return sorted(str(file) for file in files if not str(file).startswith(own) and text in readable(file))

    def do_write(self, path: str) -> bool:
        """A line into a file by its name; whether that could be."""
        try:
            with Path(path).open("w") as file:
                file.write(f"by {path}\n")
        except OSError:
            return False
        return True

    def do_print(self, text: str) -> None:
        """As programs do that have never heard of a buffer."""
        print(text)

    def do_lines(self, _: str) -> None:
        """Long lines on both streams at once, every second one a JSON object already."""
        both = [threading.Thread(target=lines, args=pair) for pair in ((1, "o"), (2, "e"))]
        for each in both:
            each.start()
        for each in both:
            each.join()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def readable(file: Path) -> str:
    """What can be read of a regular file, "" if nothing; a pipe's content is somebody else's."""
    try:
        return file.read_bytes().decode("utf-8", "replace") if file.is_file() else ""
    except OSError:
        return ""


def lines(descriptor: int, letter: str) -> None:
    """All of one stream."""
    for number in range(LINES):
        line = json.dumps({"own": letter * LONG}) if number % 2 else letter * LONG
        data = line.encode() + b"\n"
        while data:
            data = data[os.write(descriptor, data) :]


def told(*_: object) -> None:
    """Say when it was told to stop, by the clock that all processes of a machine share."""
    os.write(1, b"told at %d\n" % time.monotonic_ns())
    os._exit(0)


def sleepers() -> int:
    """How many of those that were left behind there are."""
    lines = [readable(file) for file in Path("/proc").glob("[0-9]*/cmdline")]
    return lines.count("\0".join((*SLEEPER, "")))


def orphans(count: int) -> None:
    """Each is left behind by a process that ends at once, and ends itself."""
    for _ in range(count // 100):
        if (parent := os.fork()) == 0:
            for _ in range(100):
                if os.fork() == 0:
                    os._exit(0)
            os._exit(0)
        os.waitpid(parent, 0)
    MADE.touch()


def main(arguments: list[str]) -> None:
    """Until it is stopped."""
    match arguments:
        case ["exit", code]:
            os._exit(int(code))
        case ["signal", number]:
            os.kill(os.getpid(), int(number))
        case ["crash", seconds, code]:
            time.sleep(float(seconds))
            os._exit(int(code))
        case ["hog"]:
            held = []
            while True:
                held.append(bytearray(8 << 20))
        case ["orphans", count]:
            threading.Thread(target=orphans, args=[int(count)], daemon=True).start()
        case ["flood"]:
            subprocess.Popen(["sh", "-c", "while :; do echo a line of a program that writes and writes; done"])
    os.write(1, b"%d left behind\n" % sleepers())
    while HOLD.exists():
        time.sleep(0.02)
    ends = {"deaf": signal.SIG_IGN, "tell": told}.get("".join(arguments[:1]), lambda *_: os._exit(0))
    signal.signal(signal.SIGTERM, ends)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler).serve_forever()


main(sys.argv[1:])
