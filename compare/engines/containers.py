"""The engines podman and docker: which images a pair needs there, and the combined one made for the time of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pillion.compare.containers import Combined, Plan, plan
from pillion.compare.engines.free import check_free
from pillion.compare.engines.layers import read_image
from pillion.compare.engines.layout import RunningContainers
from pillion.compare.engines.leftovers import image_name, remove_leftovers
from pillion.compare.engines.running import Running
from pillion.compare.output import LineSink
from pillion.compare.result import Image
from pillion.image.compose import composition
from pillion.image.compose.composition import Request
from pillion.image.compose.reference import read_destination, read_reference
from pillion.image.engine import PODMAN, Engine, find_engine
from pillion.image.environ.finding import refusing
from pillion.image.pair import Container, Pair
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.refusal import Failure, Refusal

_STORES = {PODMAN: "containers-storage", "docker": "docker-daemon"}


class ContainerEngine:
    """Runs pairs on podman or docker. Images are taken from its own store and never pulled.

    `published`: the port that clients come in at is one of this machine's loopback too, as a person wants it; without,
    they are measured inside the containers' network, where nothing is translated on the way.
    """

    cannot_measure = ("how a cluster's scheduler and its kubelet's restarts would behave",)

    def __init__(self, name: str, what: str, published: bool, say: Callable[[str], None]) -> None:
        if not published and os.geteuid() != 0:
            raise Refusal(what, f"engine {name} needs root to join the containers' network", "run it as root")
        self.name = name
        self._engine = find_engine(name, what)
        self._what, self._published, self._say = what, published, say
        for left in remove_leftovers(self._engine):
            say(f"removed {left}, which a run that was killed had left")
        self._made: list[str] = []
        self._combined: dict[tuple[str, str], Combined] = {}

    @property
    def facts(self) -> Mapping[str, str]:
        """Its version, and how a layout stands on it."""
        layout = "each layout in a pod of its own" if self.name == PODMAN else "no pods: the proxy joins a network"
        return {self.name: f"{self._engine.version} ({layout})"}

    def __enter__(self) -> ContainerEngine:
        return self

    def __exit__(self, *_: object) -> None:
        """The images that were made for this run go again."""
        try:
            self._remove_made()
        except BaseException:
            self._remove_made()  # it was a signal, which comes only once
            raise

    def _remove_made(self) -> None:
        for image in self._made:
            self._engine.run("rmi", "--force", image)

    def prepare(self, pair: Pair, layout: str) -> PreparedContainers:
        """Raises Refusal if an image is missing or the pair cannot be laid out so."""
        alone = {"remote": [pair.proxy], "direct": [pair.backend], "embedded": [pair.backend]}
        wanted = alone.get(layout, [pair.backend, pair.proxy])
        images = [self._image(container) for container in wanted]
        programs = ["proxy" if container is pair.proxy else "backend" for container in wanted]
        separately = list(zip([container.image for container in wanted], programs, images, strict=True))
        combined, together = None, []
        if layout == "shared" and is_pillion_proxy(pair.proxy):
            combined = self._combine(pair)
            images = [self._engine.inspect_image(combined.image) or {}]
            together = [("combined", "shared", images[0])]
        planned = plan(pair, layout, combined)
        stored = Stored(separately, together)
        return PreparedContainers(self._engine, planned, pair.grace_s, self._published, _bytes(images), stored)

    def build(self, folder: Path) -> str:
        """An image from the folder's Containerfile, of images that are there; its name. It goes with this run."""
        name = image_name()
        self._made.append(name)
        # docker's older builder takes the layers of an image that is only here; podman has one builder alone.
        environ = {**os.environ, "DOCKER_BUILDKIT": "0"}
        pull = ["--pull=never"] if self.name == PODMAN else []
        file = folder / "Containerfile"
        words = ["build", *pull, "--quiet", f"--file={file}", f"--tag={name}", str(folder)]
        self._engine.ask(self._what, *words, environ=environ, timeout_s=300)
        return name

    def tag(self, image: str) -> str:
        """Another name of an image, which goes with this run."""
        name = image_name()
        self._made.append(name)
        self._engine.ask(self._what, "tag", image, name)
        return name

    def layers(self, image: str) -> list[str]:
        """Their digests, lowest first."""
        return list(((self._engine.inspect_image(image) or {}).get("RootFS") or {}).get("Layers") or ())

    def image_bytes(self, image: str) -> int:
        """Unpacked in the store; 0 if it is not there."""
        return int((self._engine.inspect_image(image) or {}).get("Size") or 0)

    def new_layer_bytes(self, old: str, new: str) -> int | None:
        """What the layers take that `new` has above those of `old`; None if it is not made of it."""
        below, layers = self.layers(old), self.layers(new)
        if not below or layers[: len(below)] != below:
            return None
        return max(self.image_bytes(new) - self.image_bytes(old), 0)

    def combined_image(self, pair: Pair) -> str:
        """By its name; it is made if it was not."""
        return self._combine(pair).image

    def _image(self, container: Container) -> dict[str, Any]:
        if not container.image:
            why = f"{container.field} ({container.name}) names no image"
            raise Refusal(self._what, why, f"add {container.field}.image, or choose --engine process")
        found = self._engine.inspect_image(container.image)
        if found is None:
            why = f"{container.field}.image: {self.name} has no {container.image}"
            raise Refusal(self._what, why, f"{self.name} pull it, or build it, under this name")
        return found

    def _combine(self, pair: Pair) -> Combined:
        """The backend's image and the sidecar's layer in one, in the engine's store; once for a run."""
        key = (pair.backend.image, pair.proxy.image)
        if key not in self._combined:
            self._say(f"combining {pair.backend.image} with {pair.proxy.image}")
            store = _STORES[self.name]
            request = Request(
                base=read_reference(f"{store}:{pair.backend.image}", self._what),
                sidecar=read_reference(f"{store}:{pair.proxy.image}", self._what),
                verify=False,
            )
            composed = composition.compose(request, _no_progress)
            if stopping := refusing(composed.findings):
                raise Refusal(self._what, f"{pair.backend.image}: " + "; ".join(map(str, stopping)))
            name = image_name()
            self._made.append(name)
            composition.write(composed, name, read_destination(f"{store}:{name}", self._what), _no_progress)
            self._combined[key] = Combined(name, composed.composed[0].merged.record)
        return self._combined[key]


def _no_progress(what: str, total: int, done: int) -> None:
    """It takes a moment only."""


class Stored(NamedTuple):
    """What the engine says of the images of the programs, and, if they are combined, of that one: by name and whose."""

    separately: Sequence[tuple[str, str, dict[str, Any]]]
    together: Sequence[tuple[str, str, dict[str, Any]]]


class PreparedContainers:
    """A plan whose images are there."""

    def __init__(
        self, engine: Engine, plan: Plan, grace_s: float, published: bool, image_bytes: int, stored: Stored
    ) -> None:
        self.plan = plan
        self.layout, self.port, self.notices, self.image_bytes = plan.layout, plan.port, plan.notices, image_bytes
        self._engine, self._grace_s, self._published, self._stored = engine, grace_s, published, stored

    def images(self) -> tuple[Image, ...]:
        """() where the engine cannot tell: no figure of the comparison hangs on it."""
        try:
            parts = [read_image(self._engine, *each, ()) for each in self._stored.separately]
            whole = [read_image(self._engine, *each, parts) for each in self._stored.together]
        except Failure:
            return ()
        return tuple(whole or parts)

    def replace(self, running: Running, name: str) -> None:
        """Its container of this name instead of that one's."""
        assert isinstance(running, RunningContainers)
        running.replace(next(each for each in self.plan.containers if each.name == name))

    def with_tmpfs(self, mount: str) -> PreparedContainers:
        """The same with a file system in memory in each container, `/tmp:size=8m` say."""
        containers = tuple(each._replace(tmpfs=(*each.tmpfs, mount)) for each in self.plan.containers)
        plan = self.plan._replace(containers=containers)
        return PreparedContainers(self._engine, plan, self._grace_s, self._published, self.image_bytes, self._stored)

    def start(self, what: str, sink: LineSink | None, cpus: Collection[int] = ()) -> RunningContainers:
        """Raises Refusal if its port is taken, Failure if the engine cannot, or a program ends at once."""
        if self._published:
            check_free({self.port: self.plan.field}, what)
        return RunningContainers(self._engine, self.plan, sink, self._grace_s, cpus, self._published)


def _bytes(images: list[dict[str, Any]]) -> int:
    """Unpacked, an image that two containers share once. A backend and a sidecar from nothing share no layer."""
    by_identity = {str(image.get("Id", "")): int(image.get("Size") or 0) for image in images}
    return sum(by_identity.values())
