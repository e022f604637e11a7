"""What the container of Pillion's own proxy says: its settings, wherever they stand (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pillion.image.environ.names import SEPARATOR, Namespaces
from pillion.image.pair import Container
from pillion.image.refusal import Refusal

PREFIX = Namespaces().proxy + SEPARATOR
# The two options of `pillion proxy` that are settings too.
OPTIONS = {"--listen": "LISTEN", "--upstream": "UPSTREAM"}


class Sidecar(NamedTuple):
    """The settings under their bare names, the place of each in the file, and the arguments that are left over."""

    environ: Mapping[str, str]
    fields: Mapping[str, str]
    arguments: tuple[str, ...]


def read_sidecar(container: Container) -> Sidecar:
    """A sidecar alone accepts a name with and without its prefix. Raises Refusal if both are there and differ."""
    environ: dict[str, str] = {}
    fields: dict[str, str] = {}
    for given, value in container.env.items():
        name = given.removeprefix(PREFIX)
        field = container.env_fields.get(given, container.field)
        if environ.setdefault(name, value) != value:
            why = f"{field}: {name} and {PREFIX}{name} are both set and differ"
            raise Refusal("read the proxy's settings", why, "set one of the two")
        fields.setdefault(name, field)
    words = (*container.command, *container.args)
    rest = list(words[words.index("proxy") + 1 :] if "proxy" in words else container.args)
    arguments: list[str] = []
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option not in OPTIONS:
            arguments.append(option + equals + value)
        elif equals or rest:
            environ[OPTIONS[option]] = value if equals else rest.pop(0)
            fields[OPTIONS[option]] = f"{container.field}.args"
        else:
            raise Refusal("read the proxy's settings", f"{container.field}.args: {option} has no value", "give it one")
    return Sidecar(environ, fields, tuple(arguments))


def with_setting(container: Container, name: str, value: str) -> Container:
    """The container with one setting as the command line has it, whatever the file said, in whichever form."""
    sidecar = read_sidecar(container)
    words = (*container.command, *container.args)
    start = words[: words.index("proxy") + 1] if container.command and "proxy" in words else container.command
    return container._replace(
        command=start,
        args=sidecar.arguments,
        env={**sidecar.environ, name: value},
        env_fields={**sidecar.fields, name: f"--{name.lower()}"},
    )
