"""Environments and command lines in a Compose file, and what its interpolation must not touch (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pillion.compare.render.references import PREFIXES, addressed
from pillion.compare.render.request import Request
from pillion.compare.render.secrets import missing_sources, secrets_of, unknown_names
from pillion.image.pair import Container
from pillion.image.pairfile.written import COMPOSE, Part

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def escaped(text: str) -> str:
    """A text in which Compose interpolates nothing."""
    return text.replace("$", "$$")


def environment(
    request: Request, program: str, container: Container, part: Part, notices: list[str], *, shared: bool
) -> dict[str, str]:
    """The program's variables. What the Compose file itself says is kept as written; of what comes from elsewhere,
    secrets become `${NAME:?}`, to be set by whoever runs it, unless their values are asked for."""
    written = raw_environment(part.values) if request.written.form == COMPOSE else {}
    hidden = secrets_of(container, part, request.written.form)
    found: dict[str, str] = {}
    asked: list[str] = []
    unknown = unknown_names(container, part, request.written.form)
    for name in dict.fromkeys((*container.env, *unknown)):
        target = addressed(name, program) if shared else name
        if name in written:
            found[target] = written[name]
        elif name in unknown or (name in hidden and not request.with_secrets):
            variable = target if target.startswith(PREFIXES[program]) else addressed(name, program)
            variable = variable if _VARIABLE.fullmatch(variable) else re.sub(r"\W", "_", variable, flags=re.ASCII)
            found[target] = f"${{{variable}:?is not in this file}}"
            asked.append(variable)
        else:
            found[target] = escaped(container.env[name])
    unset = [name for name in unknown if name in written]
    if unset:
        notices.append(f"{container.field}: {', '.join(unset)} empty, and no longer missing, where the caller has none")
    notices += missing_sources(container, part)
    if asked:
        notices.append(f"left out, as they are secrets or unknown here: {', '.join(asked)}; set them, or in .env")
    return found


def raw_environment(service: Mapping[str, Any]) -> dict[str, str]:
    """What the service's `environment` says, not interpolated; a name alone takes the caller's value."""
    environment = service.get("environment") or {}
    if isinstance(environment, dict):
        pairs = list(environment.items())
    else:
        pairs = [(name, value if equals else None) for name, equals, value in (e.partition("=") for e in environment)]
    return {name: f"${{{name}-}}" if value is None else _scalar(value) for name, value in pairs}


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
