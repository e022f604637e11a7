"""Which variables are secrets, so that a file made of the pair does not spread them (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pillion.compare.render.references import refers_to
from pillion.image.environ.secrets import looks_secret
from pillion.image.pair import Container
from pillion.image.pairfile.written import KUBERNETES, Part
from pillion.image.refusal import Refusal

_INTERPOLATED = re.compile(r"\$\{?([A-Za-z_]\w*)", re.ASCII)
# A shorter value is found everywhere.
_TELLING = 4


def secrets_of(container: Container, part: Part, form: str) -> frozenset[str]:
    """The names of the container's variables that are secrets: those from a Secret, those that look like one, and those
    that are made of one."""
    written = _written_env(part.values, form)
    found = set(part.secret) & container.env.keys()
    for name, value in container.env.items():
        raw = written.get(name)
        by_reference = isinstance(raw, dict) and raw.get("secretKeyRef") is not None
        if by_reference or looks_secret(name, value) or (isinstance(raw, str) and _interpolates_secret(raw, form)):
            found.add(name)
    while more := {
        name
        for name, value in container.env.items()
        if name not in found and _made_of(value, written.get(name), found, container.env)
    }:
        found |= more
    return frozenset(found)


def unknown_names(container: Container, part: Part, form: str) -> list[str]:
    """Names that the file takes from what it does not hold, or from a caller that has not set them, and those whose
    value refers to one."""
    if form != KUBERNETES:
        declared = [str(entry).partition("=")[0] for entry in part.values.get("environment") or ()]
        return [name for name in declared if name not in container.env]
    written = _written_env(part.values, form)
    unknown = [name for name in written if name not in container.env]
    for name, raw in written.items():
        if name not in unknown and isinstance(raw, str) and _unknown_in(raw, container, part, unknown):
            unknown.append(name)
    return unknown


def _unknown_in(text: str, container: Container, part: Part, unknown: Collection[str]) -> list[str]:
    """What a text of a manifest refers to that only a cluster knows."""
    named = sorted(refers_to(text))
    return [name for name in named if name in unknown or (part.elsewhere and name not in container.env)]


def missing_sources(container: Container, part: Part) -> list[str]:
    """What to say of a container that takes all of a ConfigMap or Secret that is not in the file."""
    if not part.elsewhere:
        return []
    return [f"{container.field}.envFrom: names what the file does not hold; its variables are missing here"]


def refuse_secret_words(what: str, container: Container, part: Part, secrets: Iterable[str], form: str) -> None:
    """Refuse a command line that holds the value of a secret, which what is rendered would show, or one that only a
    cluster knows. Raises Refusal."""
    fields = ("command", "args") if form == KUBERNETES else ("entrypoint", "command")
    raw = [word for field in fields for word in _words(part.values.get(field))]
    known = set(secrets)
    unknown = unknown_names(container, part, form) if form == KUBERNETES else []
    for word in raw:
        if form == KUBERNETES and (open_names := _unknown_in(word, container, part, unknown)):
            why = (
                f"{container.field} ({container.name}): its command refers to {open_names[0]}, which is not in the file"
            )
            raise Refusal(what, why, "add the Secret or ConfigMap to the file, or let the program read its environment")
        named = refers_to(word) & known if form == KUBERNETES else _interpolates_secret(word, form)
        if named:
            raise _told(what, container, next(iter(named)))
    values = {name: container.env.get(name, "") for name in known}
    for name, value in values.items():
        if len(value) >= _TELLING and any(value in word for word in (*container.command, *container.args)):
            raise _told(what, container, name)


def _told(what: str, container: Container, name: str) -> Refusal:
    why = f"{container.field} ({container.name}): its command holds the value of {name}, which is a secret"
    return Refusal(what, why, "let the program read it from its environment")


def _words(value: Any) -> list[str]:
    words = value if isinstance(value, list) else [value]
    return [word for word in words if isinstance(word, str)]


def _interpolates_secret(raw: str, form: str) -> set[str]:
    if form == KUBERNETES:
        return set()
    return {name for name in _INTERPOLATED.findall(raw.replace("$$", "")) if looks_secret(name, "")}


def _made_of(value: str, raw: Any, secrets: set[str], env: Mapping[str, str]) -> bool:
    if isinstance(raw, str) and refers_to(raw) & secrets:
        return True
    return any(len(env[name]) >= _TELLING and env[name] in value for name in secrets)


def _written_env(values: dict[str, Any], form: str) -> dict[str, Any]:
    """Name to the text that the file gives it, or to the mapping of its `valueFrom`."""
    if form == KUBERNETES:
        return {entry["name"]: entry.get("valueFrom") or entry.get("value") or "" for entry in values.get("env") or []}
    environment = values.get("environment") or {}
    if isinstance(environment, dict):
        return {name: str(value) for name, value in environment.items() if value is not None}
    return dict(entry.split("=", 1) for entry in environment if "=" in entry)
