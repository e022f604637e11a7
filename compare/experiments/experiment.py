"""What an experiment is: what is done, to which program, in which layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pillion.compare.engines.running import Engine, Prepared
from pillion.compare.experiments.stage import Stage
from pillion.image.pair import Pair

EACH = ("backend", "proxy")


class Setting(NamedTuple):
    """Where an experiment takes place."""

    engine: Engine
    pair: Pair
    layout: str
    program: str

    @property
    def containers(self) -> bool:
        """Whether there are any."""
        return self.engine.name != "process"

    @property
    def unit(self) -> str:
        """The container, or the process of engine process, that the program is in."""
        return "shared" if self.layout == "shared" else self.program


def nothing_against(setting: Setting) -> str:
    """It can be measured everywhere."""
    return ""


def network_goes_along(setting: Setting) -> str:
    """Where the program's container, when it ends, takes the network along that the others, and the load, are in."""
    if setting.engine.name != "docker" or (setting.layout == "separate" and setting.program == "proxy"):
        return ""
    return "docker has no pods: the network that the load is in would go with the container"


def as_it_is(setting: Setting) -> Prepared:
    """The layout as the pair file has it."""
    return setting.engine.prepare(setting.pair, setting.layout)


def nothing_before(stage: Stage, setting: Setting) -> None:
    """It is all done in its moment."""


class Experiment(NamedTuple):
    """`says` is one sentence of what is done, `{program}` standing for its name. `act` does it, while the load runs.
    `cannot` gives the reason why it cannot be measured in a setting, "" if it can; `prepare` the layout to start;
    `before` does what takes its time before the load begins."""

    name: str
    kind: str
    says: str
    act: Callable[[Stage, Setting], None]
    programs: tuple[str, ...] = EACH
    cannot: Callable[[Setting], str] = nothing_against
    prepare: Callable[[Setting], Prepared] = as_it_is
    before: Callable[[Stage, Setting], None] = nothing_before
