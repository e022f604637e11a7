"""How a container ended, as its engine tells it (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Ending(NamedTuple):
    """`restarts` is how often the engine had started the program again: never, as it is not told to, unless by
    somebody else. `error` is what the engine itself complained of, "" if of nothing."""

    exit_code: int
    oom_killed: bool = False
    restarts: int = 0
    error: str = ""

    def also(self, engine: str) -> str:
        """What else is to be said of it, in brackets; "" if nothing is."""
        said = []
        if self.oom_killed:
            said.append("the kernel killed it as memory ran out")
        if self.restarts:
            said.append(f"{engine} had started it again {self.restarts} time{'s' if self.restarts > 1 else ''}")
        if self.error:
            said.append(self.error)
        return f" ({'; '.join(said)})" if said else ""


def read_ending(inspected: Mapping[str, Any]) -> Ending:
    """From what `container inspect` says, podman's or docker's: both have these names."""
    state = inspected.get("State") or {}
    return Ending(
        exit_code=int(state.get("ExitCode", 1)),
        oom_killed=bool(state.get("OOMKilled")),
        restarts=int(inspected.get("RestartCount") or 0),
        error=" ".join(str(state.get("Error") or "").split()),
    )
