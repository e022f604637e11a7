"""From a pair and a layout to the processes that make it up, for the engine without containers (pure).

What the engines with containers settle in the same way is here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pillion.compare.door import door_of
from pillion.compare.embedding import embedding, not_embeddable
from pillion.image.environ.conflicts import declared_port, front_port, inner_port
from pillion.image.pair import RECORD_VARIABLE, Container, Pair, PairRecord, Probe, ProgramRecord
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.ports import LOOPBACK, host_of, port_of
from pillion.image.refusal import Refusal
from pillion.image.sidecar import Sidecar, read_sidecar
from pillion.image.supervision import deadline_for

# Those that can be told apart by figures; `remote` is the sidecar alone, before a backend that somebody else runs.
COMPARED = ("direct", "embedded", "shared", "separate")
LAYOUTS = (*COMPARED, "remote")


_WITH_TLS = (
    "clients speak TLS with the proxy, and none with the backend alone: the differences hold the cost of TLS, and the"
    " first request of each connection its handshake"
)


class Place(NamedTuple):
    """What the engine knows of where it runs: the `pillion` executable, the PATH that stands in for an image's, and
    the account's home."""

    entry: Path
    path: str
    home: str


class Process(NamedTuple):
    """One process that the engine starts: exactly this argv, environment and working directory.

    `stop_signal` is its name; `shared` stops both programs by itself.
    """

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path
    stop_signal: str = "SIGTERM"


class Plan(NamedTuple):
    """A layout ready to start. Clients come in at `port` on loopback; `ports` maps all that will be bound to where in
    the pair file they stand. It is ready when `ready` succeeds there, or, if that is None, when the backend answers
    anything. `notices` are reported."""

    layout: str
    processes: tuple[Process, ...]
    port: int
    ports: Mapping[int, str]
    ready: Probe | None
    notices: tuple[str, ...] = ()


def plan(pair: Pair, layout: str, place: Place) -> Plan:
    """The processes of one layout. Raises Refusal if the pair cannot be laid out so on this engine."""
    what = f"run {pair.source} in layout {layout}"
    if layout not in LAYOUTS:
        raise Refusal(what, f"there is no such layout: {layout}", f"one of {', '.join(LAYOUTS)}")
    check_proxy(pair, layout, what)
    ready, notices = readiness(pair)
    notices += _identities(pair)
    door = door_of(pair, layout)
    front = {door.port: f"{pair.proxy.field} ({pair.proxy.name})"} if door.port else {}
    inner = {inner_port(pair): f"{pair.backend.field} ({pair.backend.name})"}
    if layout in ("direct", "embedded"):
        alone = pair.backend if layout == "direct" else embedding(pair, ready, what)
        return Plan(layout, (_container(what, pair, alone, place),), inner_port(pair), inner, ready, notices)
    if not is_pillion_proxy(pair.proxy):
        both = tuple(_container(what, pair, container, place) for container in (pair.backend, pair.proxy))
        return Plan(layout, both, door.port, inner | front, ready, notices)
    sidecar, changed = settle(pair, read_sidecar(pair.proxy), ready, f"{LOOPBACK}:{front_port(pair)}")
    notices += changed
    if door.certificate:
        notices += (_WITH_TLS,)
    if layout == "remote":
        return Plan(layout, (_sidecar(pair, place, sidecar),), door.port, front, ready, notices)
    backend = _container(what, pair, pair.backend, place)
    if layout == "shared":
        processes: tuple[Process, ...] = (_shared(pair, place, backend, sidecar, ready),)
    else:
        processes = (backend, _sidecar(pair, place, sidecar))
    return Plan(layout, processes, door.port, inner | front, ready, notices)


def comparable(pair: Pair) -> tuple[list[str], tuple[str, ...]]:
    """The layouts that a pair is compared in if nobody says which, and why one is left out."""
    if why := not_embeddable(pair):
        return [layout for layout in COMPARED if layout != "embedded"], (f"without layout embedded: {why}",)
    return list(COMPARED), ()


def check_proxy(pair: Pair, layout: str, what: str) -> None:
    """Raises Refusal where the layout needs Pillion's own proxy and the pair has another."""
    if layout in ("shared", "remote") and not is_pillion_proxy(pair.proxy):
        why = f"{pair.proxy.field} ({pair.proxy.name}) is not Pillion's proxy"
        raise Refusal(what, why, "take --layout direct or separate, or use the image pillion/sidecar")


def _container(what: str, pair: Pair, container: Container, place: Place) -> Process:
    """What a container of its own would run."""
    if not container.command:
        why = f"{container.field} ({container.name}) has no command, and engine process has no image to take one from"
        raise Refusal(what, why, f"add {container.field}.command")
    # A relative or absent workingDir is relative to the pair file: there is no image to have it in.
    folder = pair.directory / container.working_dir
    if not folder.is_dir():
        why = f"{container.field}.workingDir: there is no directory {folder} here"
        raise Refusal(what, why, "make it, or leave workingDir to the image")
    return Process(
        "proxy" if container is pair.proxy else "backend",
        (*container.command, *container.args),
        _environ(place, container.env),
        folder,
        container.stop_signal or "SIGTERM",
    )


def _sidecar(pair: Pair, place: Place, sidecar: Sidecar) -> Process:
    """Pillion's proxy in a container of its own."""
    argv = (str(place.entry), "proxy", *sidecar.arguments)
    return Process("proxy", argv, _environ(place, sidecar.environ), pair.directory)


def _shared(pair: Pair, place: Place, backend: Process, sidecar: Sidecar, ready: Probe | None) -> Process:
    """One container: both environments in one, told apart by namespaces, and `pillion enter` before the command."""
    start = PairRecord(
        backend=ProgramRecord(cwd=str(backend.cwd), stop_signal=backend.stop_signal),
        proxy=ProgramRecord(cwd=str(pair.directory)),
    )
    environ = {"HOME": place.home, "BACKEND__PATH": place.path, **together(pair, sidecar, ready, start)}
    return Process("shared", (str(place.entry), "enter", "--", *backend.argv), environ, pair.directory)


def together(pair: Pair, sidecar: Sidecar, ready: Probe | None, record: PairRecord) -> dict[str, str]:
    """The environment of one container for both: each program's variables in its namespace, and `record` with what the
    pair file knows better."""
    backend = record.backend._replace(
        port=declared_port(pair.backend) or record.backend.port, ready_path=ready.path if ready else ""
    )
    record = record._replace(
        name=pair.name,
        backend=backend,
        proxy=record.proxy._replace(args=sidecar.arguments),
        deadline_s=min(PairRecord().deadline_s, deadline_for(pair.grace_s)),
    )
    return {
        **{f"BACKEND__{name}": value for name, value in pair.backend.env.items()},
        **{f"PROXY__{name}": value for name, value in sidecar.environ.items()},
        RECORD_VARIABLE: record.to_json(),
    }


def _environ(place: Place, own: Mapping[str, str]) -> dict[str, str]:
    """What a runtime sets by itself, then what the file says; nothing of the caller's."""
    return {"PATH": place.path, "HOME": place.home, **own}


def settle(pair: Pair, sidecar: Sidecar, ready: Probe | None, listen: str) -> tuple[Sidecar, tuple[str, ...]]:
    """What the file leaves open, the same in all layouts: an upstream named by service becomes loopback, as in one
    pod or one container; it listens where the engine says; the gate asks what the platform would."""
    environ = dict(sidecar.environ)
    environ.setdefault("LISTEN", listen)
    if ready:
        environ.setdefault("READY_PATH", ready.path)
    upstream = environ.get("UPSTREAM", "")
    if not upstream or host_of(upstream) != pair.backend.name.lower():
        return sidecar._replace(environ=environ), ()
    environ["UPSTREAM"] = f"http://{LOOPBACK}:{port_of(upstream) or inner_port(pair)}"
    field = sidecar.fields["UPSTREAM"]
    notice = f"{field}: UPSTREAM names the service {pair.backend.name}; here it is {environ['UPSTREAM']}"
    return sidecar._replace(environ=environ), (notice,)


def readiness(pair: Pair) -> tuple[Probe | None, tuple[str, ...]]:
    """The backend's readiness (else startup) probe, if it can be asked through the proxy too."""
    probe = pair.backend.readiness or pair.backend.startup
    if probe is None or probe.kind == "tcp":
        return None, ()
    if probe.kind == "http" and probe.scheme.lower() == "http" and probe.port == inner_port(pair):
        return probe, ()
    what = f"HTTP on port {probe.port}" if probe.kind == "http" else probe.kind
    notice = f"{pair.backend.field}: its readiness probe ({what}) is not used; any answer of the backend means ready"
    return None, (notice,)


def _identities(pair: Pair) -> tuple[str, ...]:
    """Engine process has no second uid to give."""
    return tuple(
        f"{container.field}: runAsUser {container.run_as_user} is not used; engine process runs all as the caller"
        for container in (pair.backend, pair.proxy)
        if container.run_as_user is not None
    )
