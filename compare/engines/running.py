"""What every engine offers, so that layouts are started, asked and measured alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from pillion.compare.engines.ending import Ending
from pillion.compare.output import LineSink
from pillion.compare.result import Image
from pillion.image.pair import Pair, Probe


class Usage(NamedTuple):
    """What a layout uses at one moment, all its processes and those of the pod's infra container together.

    `memory_bytes` is PSS. Where there are containers, `cgroup_bytes` is their control groups' working set and
    `engine_bytes` the PSS of what the engine runs beside each (conmon, containerd-shim), which is in neither.
    """

    memory_bytes: int
    processes: int
    cgroup_bytes: int | None = None
    engine_bytes: int | None = None


class Running(Protocol):
    """A layout that is up. Use it as a context: at its end nothing of it is left.

    Clients reach it at `port` of loopback within `network()`. `started` is on the monotonic clock.
    """

    @property
    def layout(self) -> str:
        """Its name."""

    @property
    def port(self) -> int:
        """Where clients come in."""

    @property
    def ready(self) -> Probe | None:
        """What succeeds when it is ready; None if any answer of the backend means that."""

    @property
    def started(self) -> float:
        """When its first program was started, in seconds."""

    def __enter__(self) -> Running: ...

    def __exit__(self, *_: object) -> None: ...

    def network(self) -> AbstractContextManager[None]:
        """For the calling thread, the place from which it is reached: sockets and processes made there stay there."""

    def usage(self) -> Usage:
        """Memory and processes now."""

    def cpu_s(self) -> float:
        """Processor seconds used so far, user and system."""

    def programs(self) -> Mapping[str, Collection[int]]:
        """The living processes by program, as this machine counts them: `backend`, `proxy`, `supervisord` in the one
        container, `pod` for the infra container. A program of the layout that has ended has none."""

    def lost(self) -> tuple[str, int] | None:
        """The first program that has ended, with its exit code (128 + signal), or None while all live."""

    def cannot_restart(self, name: str) -> str:
        """Why a container of the layout, or a process of engine process, cannot be revived or replaced while the others
        run; "" if it can."""

    def revive(self, name: str) -> None:
        """Start again what has ended, as the platform would; the others stay. Raises Failure."""

    def explain_loss(self, name: str, code: int) -> str:
        """Why a program that has ended did so, for a message."""

    def unnamed_lines(self) -> int:
        """How many lines of `shared` so far do not say whose they are; elsewhere each program has a log of its own."""

    def last_words(self) -> str:
        """What each program wrote last, to be put behind a message."""

    def stop(self) -> None:
        """End it as the platform would: the proxy first, each with its stop signal, within the grace."""

    def endings(self) -> Mapping[str, Ending]:
        """After `stop`, how each program, or each container, has ended."""


class Prepared(Protocol):
    """One layout of a pair, to be started as often as wanted. `image_bytes` is None where there are no images."""

    @property
    def layout(self) -> str:
        """Its name."""

    @property
    def port(self) -> int:
        """Where clients will come in."""

    @property
    def notices(self) -> tuple[str, ...]:
        """What is to be said of it."""

    @property
    def image_bytes(self) -> int | None:
        """What its images take in the engine's store, unpacked; an image that several containers share counts once."""

    def images(self) -> tuple[Image, ...]:
        """What they are, and their layers; () where there are none or the engine does not tell."""

    def replace(self, running: Running, name: str) -> None:
        """Put its container of this name, or process, in the place of the running layout's. Raises Failure."""

    def start(self, what: str, sink: LineSink | None, cpus: Collection[int] = ()) -> Running:
        """Start it, on these processors if any are given; `sink` hears its lines. Raises Refusal, Failure."""


class Engine(Protocol):
    """What runs layouts. Use it as a context: at its end nothing that it made is left."""

    @property
    def name(self) -> str:
        """As the user calls it."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Its version and whatever else a reader of the figures must know of it."""

    @property
    def cannot_measure(self) -> tuple[str, ...]:
        """What is not to be had from it, and why."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *_: object) -> None: ...

    def prepare(self, pair: Pair, layout: str) -> Prepared:
        """Plan it and have ready what it needs. Raises Refusal if the pair cannot be laid out so on this engine."""
