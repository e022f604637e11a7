"""What the suites of both layouts look at with testinfra, and what of a container without a shell is seen from here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import testinfra
from testinfra.host import Host

from tests.containers.conftest import Container, Identity, identity

# Given to both layouts; each program must see what is meant for it and nothing of the other.
GIVEN = {
    "PROXY__LOG_LEVEL": "debug",
    "PROXY__RETRY_AFTER": "7",
    "BACKEND__LOG_LEVEL": "loud",
    "BACKEND__SECRET_KEY": "not-a-secret",
    "GREETING": "hello  world",
}
# Asks a server on a unix socket by XML-RPC, with the backend's own Python.
STATUS = """
import http.client, json, socket, sys, xmlrpc.client
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
class Transport(xmlrpc.client.Transport):
    def make_connection(self, host):
        return Unix(host)
server = xmlrpc.client.ServerProxy("http://socket/RPC2", transport=Transport())
print(json.dumps([[each["name"], each["statename"], each["pid"]] for each in server.supervisor.getAllProcessInfo()]))
"""
ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).status)"


# What an engine itself writes or mounts when it starts a container.
ENGINES_OWN = ("/dev", "/etc", "/proc", "/run", "/sys", "/tmp")


class Process(NamedTuple):
    """As `ps` in the container has it."""

    pid: int
    ppid: int
    command: str


def inside(container: Container, user: str = "") -> Host:
    """testinfra in a container that has a shell."""
    who = f"{user}@" if user else ""
    return testinfra.get_host(f"{container.engine.name}://{who}{container.id}")


def processes(host: Host) -> list[Process]:
    """Of the container; not those that look, which come from outside it and so have no parent there."""
    lines = [line.split(maxsplit=2) for line in host.check_output("ps -eww -o pid=,ppid=,args=").splitlines()]
    found = [Process(int(pid), int(ppid), command) for pid, ppid, command in lines]
    looking = {each.pid for each in found if each.ppid == 0 and each.pid != 1}
    return [each for each in found if not {each.pid, each.ppid} & looking]


def environ(host: Host, pid: int) -> dict[str, str]:
    """Of a process in the container."""
    block = host.file(f"/proc/{pid}/environ").content
    return dict(entry.split("=", 1) for entry in block.decode().split("\0") if entry)


def status(host: Host, socket: str) -> list[list[Any]]:
    """Name, state and pid of each program, as supervisord says."""
    found: list[list[Any]] = json.loads(host.check_output("python3 -c %s %s", STATUS, socket))
    return found


def answers(host: Host, url: str) -> int:
    """The status of a probe from within the container."""
    return int(host.check_output("python3 -c %s %s", ASK, url))


def changed(container: Container) -> list[str]:
    """Paths that are not as in the container's image: those made, changed and removed since it was created."""
    return [line.split(maxsplit=1)[1] for line in container.engine("diff", container.id).stdout.splitlines()]


def from_outside(container: Container) -> dict[str, tuple[int, Identity]]:
    """Command line to pid and identity, for a container without a shell."""
    return {line: (pid, identity(pid)) for line, pid in container.processes().items()}


def root_of(container: Container) -> Path:
    """Its files, as its first process sees them."""
    return Path(f"/proc/{container.pid()}/root")
