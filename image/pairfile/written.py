"""The pair as its file writes it: plain values with their references unresolved, for what is made of the file again."""

from __future__ import annotations

from typing import Any, NamedTuple

KUBERNETES, COMPOSE = "kubernetes", "compose"


class Part(NamedTuple):
    """One container or service of the pair. `values` is its mapping within the documents.

    `inherited` are the names that it takes from whole ConfigMaps, Secrets or env files, `secret` those of them that a
    Secret gives; `elsewhere` says that one of these is not in the file, so that there may be further names.
    """

    values: dict[str, Any]
    inherited: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()
    elsewhere: bool = False


class Written(NamedTuple):
    """`workload`, `pod` and the values of both parts are places within `documents`, not copies of them: a deep copy of
    the whole keeps that. In a Compose file, workload and pod are the file's one document."""

    form: str
    documents: list[dict[str, Any]]
    workload: dict[str, Any]
    pod: dict[str, Any]
    backend: Part
    proxy: Part
