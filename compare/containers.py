"""From a pair and a layout to the containers that make it up, for the engines that have them (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pillion.compare.door import check_plain, door_of
from pillion.compare.embedding import embedding
from pillion.compare.layouts import LAYOUTS, check_proxy, readiness, settle, together
from pillion.image.environ.conflicts import front_port, inner_port
from pillion.image.pair import Container, Pair, PairRecord, Probe
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.ports import LOOPBACK, host_of, is_loopback
from pillion.image.refusal import Refusal
from pillion.image.sidecar import read_sidecar

ENTRY = "/opt/pillion/bin/pillion"


class Combined(NamedTuple):
    """The combined image by its name in the engine's store, and the pair record in it."""

    image: str
    record: PairRecord


class Planned(NamedTuple):
    """One container. `entrypoint` and `arguments` are () for the image's own; `working_dir`, `user` and `stop_signal`
    "" likewise. `tmpfs` are file systems in memory as the engines' `--tmpfs` has them."""

    name: str
    image: str
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = {}
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""
    tmpfs: tuple[str, ...] = ()


class Plan(NamedTuple):
    """A layout ready to be started: its containers share one network and are started in this order.

    Clients come in at `port` of loopback in that network. It is ready when `ready` succeeds there, or, if that is None,
    when the backend answers anything. `host_network`: the network is the machine's own. `field` is where in the pair
    file the port stands; `notices` are reported.
    """

    layout: str
    containers: tuple[Planned, ...]
    port: int
    ready: Probe | None
    field: str
    host_network: bool = False
    notices: tuple[str, ...] = ()


def plan(pair: Pair, layout: str, combined: Combined | None = None) -> Plan:
    """The containers of one layout; `combined` is needed for `shared`. Raises Refusal if the pair cannot be laid out
    so."""
    what = f"run {pair.source} in layout {layout}"
    if layout not in LAYOUTS:
        raise Refusal(what, f"there is no such layout: {layout}", f"one of {', '.join(LAYOUTS)}")
    check_proxy(pair, layout, what)
    ready, notices = readiness(pair)
    if layout in ("direct", "embedded"):
        alone = pair.backend if layout == "direct" else embedding(pair, ready, what)
        return Plan(layout, (_own("backend", alone),), inner_port(pair), ready, pair.backend.field, False, notices)
    front = front_port(pair)
    if not is_pillion_proxy(pair.proxy):
        both = (_own("backend", pair.backend), _own("proxy", pair.proxy))
        return Plan(layout, both, front, ready, pair.proxy.field, False, notices)
    check_plain(pair, layout, what)
    front = door_of(pair, layout).port
    sidecar, changed = settle(pair, read_sidecar(pair.proxy), ready, f"0.0.0.0:{front}")
    notices += changed
    words = (*pair.proxy.command, *pair.proxy.args)
    start = words[: words.index("proxy") + 1] if pair.proxy.command else ()
    proxy = Planned("proxy", pair.proxy.image, start, sidecar.arguments, sidecar.environ, "", _user(pair.proxy))
    if layout == "remote":
        if sidecar.environ.get("UPSTREAM", "").startswith("unix:"):
            why = f"{sidecar.environ['UPSTREAM']} is a socket of this machine, and not in the container"
            raise Refusal(what, why, "take an upstream by http://HOST:PORT, or choose --engine process")
        # Loopback is where the backend of an IDE listens, and no other network than the machine's has it.
        here = is_loopback(host_of(sidecar.environ.get("UPSTREAM", "") or LOOPBACK))
        if here and "LISTEN" not in read_sidecar(pair.proxy).environ:
            proxy = proxy._replace(environ={**sidecar.environ, "LISTEN": f"{LOOPBACK}:{front}"})
        return Plan(layout, (proxy,), front, ready, pair.proxy.field, here, notices)
    if layout == "separate":
        return Plan(layout, (_own("backend", pair.backend), proxy), front, ready, pair.proxy.field, False, notices)
    assert combined is not None
    backend = _own("backend", pair.backend)
    record = combined.record
    if backend.stop_signal:
        record = record._replace(backend=record.backend._replace(stop_signal=backend.stop_signal))
    shared = backend._replace(
        name="shared",
        image=combined.image,
        environ=together(pair, sidecar, ready, record),
        stop_signal="",
    )
    if backend.entrypoint:
        shared = shared._replace(
            entrypoint=(ENTRY,), arguments=("enter", "--", *backend.entrypoint, *backend.arguments)
        )
    return Plan(layout, (shared,), front, ready, pair.proxy.field, False, notices)


def _own(name: str, container: Container) -> Planned:
    """As the platform would start it."""
    return Planned(
        name,
        container.image,
        container.command,
        container.args,
        container.env,
        container.working_dir if container.working_dir.startswith("/") else "",
        _user(container),
        container.stop_signal,
    )


def _user(container: Container) -> str:
    if container.run_as_user is None:
        return ""
    return f"{container.run_as_user}" + ("" if container.run_as_group is None else f":{container.run_as_group}")
