"""Kubernetes' `$(VAR)` references when names gain a prefix, and texts that must not be taken for one (pure).

https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from pillion.image.environ.names import SEPARATOR, Namespaces

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
PREFIXES = {program: f"{prefix}{SEPARATOR}" for program, prefix in Namespaces()._asdict().items()}


def addressed(name: str, program: str) -> str:
    """The name that reaches the program as `name`. A sidecar alone takes its own names with the prefix, too."""
    prefix = PREFIXES[program]
    return name if program == "proxy" and name.startswith(prefix) else prefix + name


class Scope(NamedTuple):
    """The names that a text of a program's container may refer to; with `elsewhere` there may be more."""

    program: str
    names: Collection[str]
    elsewhere: bool = False

    def renamed(self, text: str) -> str:
        """The text that means, in one container for both, what `text` meant in the program's own."""
        return _REFERENCE.sub(self._reference, text)

    def _reference(self, match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0]
        if name in self.names:
            return f"$({addressed(name, self.program)})"
        if name.startswith(tuple(PREFIXES.values())):
            # It stood for itself, as no such name was there; now there may be.
            return f"$${match[0][1:]}"
        if self.elsewhere and _IDENTIFIER.fullmatch(name) and not name.startswith("KUBERNETES_"):
            return f"$({addressed(name, self.program)})"
        return match[0]


def literal(text: str) -> str:
    """A text in which Kubernetes finds no reference."""
    return re.sub(r"\$(?=[$(])", "$$", text)


def refers_to(text: str) -> set[str]:
    """The names that a text of a manifest refers to."""
    return {match[1] for match in _REFERENCE.finditer(text) if match[1] is not None}
