"""A program changed under load: its container, or the one that both share, is stopped and a new one put in its place.

So do `podman run --replace` and Compose's `up`. Kubernetes replaces the whole pod by another one, in either layout
(docs/experiments.md). What the new container needs is there before the event.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from pillion.compare.engines.containers import ContainerEngine
from pillion.compare.experiments.experiment import Experiment, Setting, network_goes_along
from pillion.compare.experiments.outcome import CHANGE
from pillion.compare.experiments.stage import Stage
from pillion.image.pair import Pair
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.sidecar import read_sidecar, with_setting


def configuration(stage: Stage, setting: Setting) -> None:
    """One setting of the proxy has another value."""
    proxy = setting.pair.proxy
    level = "info"
    if is_pillion_proxy(proxy):
        level = "info" if read_sidecar(proxy).environ.get("LOG_LEVEL") != "info" else "warning"
        proxy = with_setting(proxy, "LOG_LEVEL", level)
    else:
        proxy = proxy._replace(env={**proxy.env, "LOG_LEVEL": level})
    stage.bytes_shipped = 0
    stage.successor = setting.engine.prepare(setting.pair._replace(proxy=proxy), setting.layout)


def proxy_version(stage: Stage, setting: Setting) -> None:
    """The same code stands for the new one; a new sidecar image is one new layer, in both layouts the same one."""
    if isinstance(setting.engine, ContainerEngine):
        stage.bytes_shipped = setting.engine.image_bytes(setting.pair.proxy.image)
        stage.notes.append("shipped: the sidecar's layer, all of it, as a new version has no part of the old one")
    else:
        stage.notes.append("no images: the same code is started again, and nothing is shipped")
    stage.successor = setting.engine.prepare(setting.pair, setting.layout)


def backend_version(stage: Stage, setting: Setting) -> None:
    """An image with one more small layer above the backend's, as an edit of one file makes."""
    if not isinstance(setting.engine, ContainerEngine):
        stage.notes.append("no images: the same code is started again, and nothing is shipped")
        stage.successor = setting.engine.prepare(setting.pair, setting.layout)
        return
    changed = edited_backend(setting.engine, setting.pair)
    stage.successor = setting.engine.prepare(changed, setting.layout)
    stage.bytes_shipped = setting.engine.new_layer_bytes(setting.pair.backend.image, changed.backend.image)
    if setting.layout == "shared":
        stage.notes.append("the sidecar's layer above the new one is the old one, byte for byte, and is not shipped")


def edited_backend(engine: ContainerEngine, pair: Pair) -> Pair:
    """The pair with another backend image, which goes with the engine's run."""
    with tempfile.TemporaryDirectory(prefix="pillion-edit-") as folder:
        (Path(folder) / "edit").write_text(os.urandom(16).hex())
        lines = f"FROM {pair.backend.image}\nCOPY edit /.pillion-edit\n"
        (Path(folder) / "Containerfile").write_text(lines)
        image = engine.build(Path(folder))
    return pair._replace(backend=pair.backend._replace(image=image))


def renamed_sidecar(engine: ContainerEngine, pair: Pair) -> Pair:
    """The pair with its sidecar under another name, which goes with the engine's run: to be combined anew."""
    return pair._replace(proxy=pair.proxy._replace(image=engine.tag(pair.proxy.image)))


def act(stage: Stage, setting: Setting) -> None:
    """Its container is stopped within the grace, removed, created anew and started."""
    assert stage.successor is not None
    stage.event()
    stage.successor.replace(stage.running, setting.unit)
    if setting.layout == "shared":
        stage.notes.append("the one container is replaced, and both programs with it")


def _change(name: str, program: str, says: str, before: Callable[[Stage, Setting], None]) -> Experiment:
    return Experiment(name, CHANGE, says, act, programs=(program,), cannot=network_goes_along, before=before)


_REPLACED = "the container of the {program} is replaced by one "
EXPERIMENTS = (
    _change("proxy-setting", "proxy", _REPLACED + "with another setting", configuration),
    _change("proxy-version", "proxy", _REPLACED + "of another version", proxy_version),
    _change("backend-version", "backend", _REPLACED + "of another version", backend_version),
)
