"""A container that is started and asked until it answers."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from benchmarks.engines import Engine
from benchmarks.measured import run
from benchmarks.small_backend import COMMAND

_ASK = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
_PAUSE_S = 0.002
_PATIENCE_S = 2
# Engines write nanoseconds, datetime reads microseconds.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?\d*\s*(Z|[+-]\d\d:?\d\d)?")


class Starting(NamedTuple):
    """A container's id, the port where it will answer, and the engine's client that starts it."""

    id: str
    port: int
    client: subprocess.Popen[bytes]


@contextmanager
def starting(engine: Engine, image: str, *, shared: bool) -> Iterator[Starting]:
    """A container of the small backend, which starts while the caller goes on. It is gone afterwards.

    It has the network of this machine. With one of its own, whoever asks before that is up waits a second or more for
    the kernel to try again to find the address.
    """
    port, inner = _free_ports()
    proxy = [f"--env=PROXY__LISTEN=127.0.0.1:{port}", f"--env=PROXY__UPSTREAM=http://127.0.0.1:{inner}"]
    options = ["--pull=never", "--network=host", *(proxy if shared else [])]
    command = [*COMMAND, str(inner if shared else port)]
    container = run(engine.program, "create", *options, image, *command).splitlines()[-1]
    client = subprocess.Popen([engine.program, "start", container], stdout=subprocess.DEVNULL)
    try:
        yield Starting(container, port, client)
    finally:
        client.wait(timeout=60)
        run(engine.program, "rm", "--force", *(["--time=0"] if engine.program == "podman" else []), container)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def first_answer(container: Starting, body: bytes, timeout_s: float = 30) -> float:
    """The time (seconds of the epoch) at which a 200 with this body is there. Raises TimeoutError, and RuntimeError if
    the engine cannot start it."""
    late = time.monotonic() + timeout_s
    while time.monotonic() < late:
        with contextlib.suppress(OSError):
            said = _ask(container.port)
            if said.startswith(b"HTTP/1.1 200") and said.endswith(body):
                return time.time()
        if container.client.poll():
            raise RuntimeError(f"container {container.id} cannot be started")
        time.sleep(_PAUSE_S)
    raise TimeoutError(f"no 200 on port {container.port} within {timeout_s:g} s")


def _ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as client:
        client.sendall(_ASK)
        return b"".join(iter(lambda: client.recv(65536), b""))


def started_at(engine: Engine, container: Starting) -> float:
    """When the engine says that the container's process was there, in seconds of the epoch."""
    said = run(engine.program, "container", "inspect", "--format", "{{.State.StartedAt}}", container.id)
    match = _TIME.match(said)
    if not match:
        raise ValueError(f"{engine.name} says that the container started at {said!r}")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in (None, "Z") else zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    return datetime.fromisoformat(f"{day}T{clock}{(fraction or '.0').ljust(7, '0')}{zone}").timestamp()
