"""From a pair and a layout to the processes that make it up, for the engine without containers (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pillion.image.environ.conflicts import declared_port, front_port, inner_port
from pillion.image.environ.split import DEFAULT_PATH
from pillion.image.pair import RECORD_VARIABLE, Container, Pair, PairRecord, Probe, ProgramRecord
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.ports import LOOPBACK, host_of, is_loopback, port_of
from pillion.image.refusal import Refusal

LAYOUTS = ("direct", "shared", "separate")
# The reserve by which our own deadline ends before the platform's.
DEADLINE_S, RESERVE_S = 8.5, 1.5


class Place(NamedTuple):
    """What the engine knows of where it runs: the `pillion` executable, the PATH that stands in for an image's, and
    the account's home."""

    entry: Path
    path: str
    home: str


class Process(NamedTuple):
    """One process that the engine starts: exactly this argv, environment and working directory."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path


class Plan(NamedTuple):
    """A layout ready to start. Clients come in at `port` on loopback; `ports` maps all that will be bound to where in
    the pair file they stand; `ready_path` is "" if any answer means ready. `notices` are reported."""

    layout: str
    processes: tuple[Process, ...]
    port: int
    ports: Mapping[int, str]
    ready_path: str
    notices: tuple[str, ...] = ()


def plan(pair: Pair, layout: str, place: Place) -> Plan:
    """The processes of one layout. Raises Refusal if the pair cannot be laid out so on this engine."""
    what = f"run {pair.source} in layout {layout}"
    if layout not in LAYOUTS:
        raise Refusal(what, f"there is no such layout on engine process: {layout}", f"one of {', '.join(LAYOUTS)}")
    backend = Process("backend", _backend_argv(what, pair), _environ(pair.backend, place), _cwd(what, pair))
    inner = {inner_port(pair): f"{pair.backend.field} ({pair.backend.name})"}
    ready_path = _ready_path(pair.backend)
    if layout == "direct":
        return Plan(layout, (backend,), inner_port(pair), inner, ready_path)
    front = {front_port(pair): f"{pair.proxy.field} ({pair.proxy.name})"}
    upstream, notices = _upstream(pair)
    if layout == "separate":
        proxy = _proxy(what, pair, place, upstream)
        return Plan(layout, (backend, proxy), front_port(pair), inner | front, ready_path, notices)
    shared = _shared(what, pair, place, backend, upstream)
    return Plan(layout, (shared,), front_port(pair), inner | front, ready_path, notices)


def _proxy(what: str, pair: Pair, place: Place, upstream: Mapping[str, str]) -> Process:
    container = pair.proxy
    if is_pillion_proxy(container):
        argv: tuple[str, ...] = (str(place.entry), "proxy", *_proxy_arguments(container))
    elif container.command:
        argv = (*container.command, *container.args)
    else:
        raise _no_command(what, container)
    environ = {**_environ(container, place), **upstream}
    if is_pillion_proxy(container):
        # On a developer's machine the default is loopback; a LISTEN in the file stands.
        environ.setdefault("LISTEN", f"{LOOPBACK}:{front_port(pair)}")
    return Process("proxy", argv, environ, pair.directory)


def _shared(what: str, pair: Pair, place: Place, backend: Process, upstream: Mapping[str, str]) -> Process:
    """One container: both environments in one, told apart by namespaces, and `pillion enter` before the command."""
    if not is_pillion_proxy(pair.proxy):
        why = f"{pair.proxy.field} ({pair.proxy.name}) is not Pillion's proxy"
        raise Refusal(what, why, "compare it with --layout direct,separate, or use the image pillion/sidecar")
    own = _bare(pair.proxy.env) | {name.removeprefix("PROXY__"): value for name, value in upstream.items()}
    record = PairRecord(
        name=pair.name,
        backend=ProgramRecord(
            cwd=str(backend.cwd),
            port=declared_port(pair.backend),
            ready_path=_ready_path(pair.backend),
            stop_signal=pair.backend.stop_signal or "SIGTERM",
        ),
        proxy=ProgramRecord(args=_proxy_arguments(pair.proxy), cwd=str(pair.directory), port=front_port(pair)),
        deadline_s=max(min(DEADLINE_S, pair.grace_s - RESERVE_S), 1.0),
    )
    environ = {
        "HOME": place.home,
        "BACKEND__PATH": backend.environ["PATH"],
        **{f"BACKEND__{name}": value for name, value in pair.backend.env.items()},
        **{f"PROXY__{name}": value for name, value in own.items()},
        RECORD_VARIABLE: record.to_json(),
    }
    environ.setdefault("PROXY__LISTEN", f"{LOOPBACK}:{front_port(pair)}")
    return Process("shared", (str(place.entry), "enter", "--", *backend.argv), environ, pair.directory)


def _bare(environ: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("PROXY__"): value for name, value in environ.items()}


def _environ(container: Container, place: Place) -> dict[str, str]:
    """What a container's process sees: what a runtime sets by itself, then what the file says; nothing of ours."""
    return {"PATH": place.path, "HOME": place.home, **container.env}


def _backend_argv(what: str, pair: Pair) -> tuple[str, ...]:
    if not pair.backend.command:
        raise _no_command(what, pair.backend)
    return (*pair.backend.command, *pair.backend.args)


def _no_command(what: str, container: Container) -> Refusal:
    why = f"{container.field} ({container.name}) has no command, and engine process has no image to take one from"
    return Refusal(what, why, f"add {container.field}.command")


def _cwd(what: str, pair: Pair) -> Path:
    """A relative or absent workingDir is relative to the pair file: this engine has no image to have it in."""
    folder = pair.directory / pair.backend.working_dir
    if not folder.is_dir():
        why = f"{pair.backend.field}.workingDir: there is no directory {folder} here"
        raise Refusal(what, why, "make it, or leave workingDir to the image")
    return folder


def _proxy_arguments(container: Container) -> tuple[str, ...]:
    """The arguments after `pillion proxy`."""
    words = (*container.command, *container.args)
    return words[words.index("proxy") + 1 :] if "proxy" in words else container.args


def _ready_path(container: Container) -> str:
    probe: Probe | None = container.readiness or container.startup or container.liveness
    return probe.path if probe is not None and probe.kind == "http" else ""


def _upstream(pair: Pair) -> tuple[dict[str, str], tuple[str, ...]]:
    """An upstream named by service becomes loopback: on this engine, as in one pod or one container, both are there."""
    name = "PROXY__UPSTREAM" if "PROXY__UPSTREAM" in pair.proxy.env else "UPSTREAM"
    given = pair.proxy.env.get(name, "")
    host = host_of(given)
    if not given or not is_pillion_proxy(pair.proxy) or is_loopback(host) or given.startswith("unix:"):
        return {}, ()
    if host != pair.backend.name.lower():
        return {}, ()
    scheme = given.partition("://")[0] if "://" in given else "http"
    rewritten = f"{scheme}://{LOOPBACK}:{port_of(given) or inner_port(pair)}"
    return {name: rewritten}, (f"{name} names the service {host}: {rewritten} here, where both share one network",)


def default_path(entry: Path) -> str:
    """The PATH of a process engine: our own environment's programs first, so that the sample's gunicorn is found."""
    return f"{entry.parent}:{DEFAULT_PATH}"
