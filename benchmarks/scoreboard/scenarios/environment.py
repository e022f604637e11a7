"""Each program's own variables, and where the container is run."""

from __future__ import annotations

import os
import socket
import sys
import time

from benchmarks.scoreboard.running import Missed, Running, environ_of, eventually
from benchmarks.scoreboard.stage import PROGRAMS, Scenario, Stage, free_port
from pillion.compare.proc import descendants

VALUES = {
    "PERCENT": "100%%s %d %(x)s",
    "QUOTES": "a\"b'c",
    "DOLLAR": "$HOME ${x} `id` $(id)",
    "BACKSLASH": "a\\b\\n",
    "SEMICOLON": "a;b #c,d",
    "NEWLINE": "a\nb\n",
    "UTF8": "grüße ☃",
    "EMPTY": "",
    "LONG": "x" * 100_000,
}
PATIENCE_S = 10
SECRETS = {"proxy": {"SECRET_P": "proxys-secret-1"}, "backend": {"SECRET_B": "backends-secret-2"}}
# As docker's: a root that cannot be written, no capability, a uid that nobody knows, /dev/shm without exec. Before
# that, the directories of ours that this uid could not reach (a Python under /root) are put where it can.
HARDENED = """
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs /dev/shm || exit 99
as="setpriv --reuid 12345 --regid 0 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs --"
hidden=
for place in $PLACES; do
  $as test -x "$place/." && continue
  mkdir -p "/dev/shm/kept$place" && mount --bind "$place" "/dev/shm/kept$place" || exit 99
  hidden="$hidden $place"
done
for place in $hidden; do
  top=/$(echo "$place" | cut -d/ -f2)
  mountpoint -q "$top" || mount -t tmpfs -o mode=755 tmpfs "$top" || exit 99
  mkdir -p "$place" && mount --bind "/dev/shm/kept$place" "$place" && umount "/dev/shm/kept$place" || exit 99
done
rm -rf /dev/shm/kept
for place in $(cut -d" " -f2 /proc/self/mounts); do
  case $place in
    /|/tmp|/tmp/*|/run|/run/*|/var/*|/work*|/home*|/root*) mount -o remount,bind,ro "$place" || exit 99;;
  esac
done
unset PLACES
exec $as "$@"
"""


def byte_for_byte(stage: Stage) -> str:
    """Each value is the container's `BACKEND__X`, and is to be the backend's X."""
    for values in (VALUES, *({name: value} for name, value in VALUES.items())):
        running = stage.start(settings={"backend": values})
        try:
            own = eventually(lambda running=running: environ_of(running.backend()), "the backend is there", 20)  # type: ignore[misc]
            wrong = [name for name, value in values.items() if own.get(name.encode()) != value.encode()]
        except Missed:
            wrong = ["it does not start"]
        running.end()
        if not wrong and values is VALUES:
            return ""
        if wrong and values is not VALUES:
            raise Missed(f"{', '.join(values)}: {'damaged' if wrong == list(values) else wrong[0]}")
    raise Missed("all of them together do not arrive")


def secrets(stage: Stage) -> str:
    running = stage.start(settings=SECRETS)
    running.ready()
    places = {
        "the first process": {running.first},
        "the proxy": descendants([running.proxy()]),
        "the backend": {running.backend()},
    }
    other = {"the proxy": ("backend",), "the backend": ("proxy",), "the first process": ("backend", "proxy")}
    found = [
        f"{place} holds the {owner}'s"
        for place, pids in places.items()
        for owner in other[place]
        if any(_holds(pid, next(iter(SECRETS[owner].values()))) for pid in pids)
    ]
    if found:
        raise Missed(", ".join(found))
    return ""


def _holds(pid: int, secret: str) -> bool:
    return any(secret.encode() in value for value in environ_of(pid).values())


def one_port(stage: Stage) -> str:
    """PORT is the platform's word for where the container listens, and the backend reads a PORT too. Then one that is
    taken."""
    front = free_port()
    running = stage.start(platform={"PORT": str(front)}, listen=False, ports=(front, free_port()))
    running.ready()
    running.end()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", front))
        taken.listen()
        began = time.monotonic()
        refused = stage.start(ports=(front, free_port()))
        code = refused.wait(PATIENCE_S)
        took = time.monotonic() - began
    if not code:
        raise Missed(f"a port that is taken: {f'still there after {PATIENCE_S} s' if code is None else 'exit code 0'}")
    if not any(str(front) in line.text for line in refused.log):
        raise Missed(f"a port that is taken: exit code {code}, without the reason")
    return f"a taken port: {code} after {took:.1f} s"


def hardened(stage: Stage) -> str:
    """Behind --read-only, --user 12345:0, --cap-drop=ALL, no-new-privileges, no tmpfs by the user."""
    places = " ".join(sorted({sys.base_prefix, str(PROGRAMS.parents[1])}))
    running = stage.start(through=("/bin/sh", "-c", HARDENED, "sh"), platform={"PLACES": places}, owner=12345)
    try:
        running.ready(10)
    except Missed as missed:
        said = running.log[-1].text[:160] if running.log else "nothing"
        raise Missed(f"{missed}; it said: {said}") from None
    if _uid(running) != 12345:
        raise AssertionError("the harness did not change the uid")
    running.signal()
    if code := running.wait(running.pair.grace_s):
        raise Missed(f"exit code {code}")
    return ""


def _uid(running: Running) -> int:
    return os.stat(f"/proc/{running.backend()}").st_uid  # noqa: PTH116


def behind_an_init(stage: Stage) -> str:
    """As `docker run --init`."""
    running = stage.start(through=("tini", "--"))
    running.ready()
    running.signal()
    code = running.wait(running.pair.grace_s)
    if code is None or code:
        raise Missed("it does not end" if code is None else f"exit code {code}")
    return ""


SCENARIOS = (
    Scenario("S10", "values of any bytes reach the program as they are", byte_for_byte),
    Scenario("S11", "no process holds the other program's secret", secrets),
    Scenario("S12", "the platform's PORT is no clash; a port that is taken ends it all", one_port, by_proxy=True),
    Scenario("S13", "read-only, any uid, no capabilities: works", hardened),
    Scenario("S14", "behind an init: a clean stop is exit code 0 too", behind_an_init),
)
