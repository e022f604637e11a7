"""A program that writes long lines on both of its streams at once, and so does its other: FOLDER ME OTHER [end].

Every second line is a JSON object. Names are letters: the small one fills the lines of stdout, the capital those of
stderr. Nobody begins before both are there; with `end` it ends when both have written all, else it waits.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

LINES, LONG = 40, 100_000


def write(descriptor: int, name: str) -> None:
    """All of one stream."""
    for number in range(LINES):
        line = json.dumps({"own": name * LONG}) if number % 2 else name * LONG
        data = line.encode() + b"\n"
        while data:
            data = data[os.write(descriptor, data) :]


def wait_for(path: Path) -> None:
    """Until the other has made it."""
    while not path.exists():
        time.sleep(0.001)


def main(folder: Path, me: str, other: str, *, end: bool) -> None:
    (folder / f"up-{me}").touch()
    wait_for(folder / f"up-{other}")
    threads = [threading.Thread(target=write, args=pair) for pair in ((1, me.lower()), (2, me.upper()))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (folder / f"done-{me}").touch()
    if not end:
        signal.pause()
    wait_for(folder / f"done-{other}")


main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], end=sys.argv[4:] == ["end"])
