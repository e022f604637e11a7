"""One service of a Compose file as a container.

https://docs.docker.com/reference/compose-file/services/
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from pillion.image.pair import Container
from pillion.image.pairfile import dotenv
from pillion.image.pairfile.document import read_text
from pillion.image.pairfile.field import NOT_RESTARTED, Field
from pillion.image.pairfile.healthcheck import read_healthcheck
from pillion.image.pairfile.interpolation import Lookup
from pillion.image.pairfile.signals import signal_name
from pillion.image.pairfile.variable import MAX_STRING_BYTES, fits, is_name
from pillion.image.refusal import Refusal

_READ_FIELDS = (
    "build", "command", "entrypoint", "env_file", "environment", "expose", "extends", "healthcheck", "image", "ports",
    "restart", "stop_grace_period", "stop_signal", "user", "working_dir",
)  # fmt: skip
_NOT_MOUNTED = ("volumes", "secrets", "configs")
_PORTS = re.compile(r"(?:.*:)?(\d{1,5})(?:-(\d{1,5}))?(?:/(\w+))?", re.ASCII | re.DOTALL)
_USER = re.compile(r"(\d{1,10})(?::(\d{1,10}))?", re.ASCII)


def outline(service: Field, name: str, project: str) -> Container:
    """What tells the service's role: its name, image and command."""
    if not service.fields():
        raise service.refuse("is empty", "give it an image and a command")
    if service["extends"].given:
        raise service["extends"].refuse("is not followed", "write the whole out: docker compose config")
    image = service["image"].text()
    if not image and service["build"].given:
        image = f"{project}-{name}"  # what Compose names the image that it builds
    command, args = _argv(service["entrypoint"]), _argv(service["command"])
    if service["entrypoint"].given and not command:
        # An empty entrypoint clears the image's, so the command stands alone.
        command, args = args, ()
        if not command:
            raise service["entrypoint"].refuse("is empty, and there is no command", "give a command")
    return Container(name, service.path, image=image, command=command, args=args)


def read_service(service: Field, outlined: Container, caller_env: Mapping[str, str], directory: Path) -> Container:
    """The service as a container; `caller_env` is what it may inherit, `directory` that of its `env_file`s."""
    for name, field in service.fields().items():
        close = difflib.get_close_matches(name, _READ_FIELDS, n=1, cutoff=0.8)
        if name not in _READ_FIELDS and close:
            raise field.refuse("is no field of a service", f"did you mean {close[0]}?")
        if name in _NOT_MOUNTED and field.given:
            field.notice("are not mounted")
    # Without quotes `no` is false.
    if service["restart"].value not in (None, False, "no"):
        service["restart"].notice(NOT_RESTARTED)
    env, env_fields = _environment(service, caller_env, directory)
    uid, gid = _user(service["user"])
    return outlined._replace(
        env=env,
        env_fields=env_fields,
        ports=_ports(service),
        working_dir=service["working_dir"].text(),
        run_as_user=uid,
        run_as_group=gid,
        stop_signal=signal_name(service["stop_signal"]),
        readiness=read_healthcheck(service["healthcheck"]),
    )


def scalar(field: Field) -> str:
    """A text, number or boolean as the text that Compose makes of it."""
    value = field.value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # In this range Go and Python write a number alike, but for a trailing ".0".
        if value and not 1e-4 <= abs(value) < 1e16:
            raise field.refuse("is a number that has several spellings", "quote it")
        return repr(value).removesuffix(".0")
    return field.text()


def _argv(field: Field) -> tuple[str, ...]:
    if not isinstance(field.value, str):
        return tuple(scalar(entry) for entry in field.entries())
    try:
        return tuple(shlex.split(field.text()))
    except ValueError:
        raise field.refuse("has a quote that is not closed", "close it, or write a list") from None


def _environment(
    service: Field, caller_env: Mapping[str, str], directory: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """The service's variables, and for each the field that gives it: `env_file` first, then `environment`."""
    env: dict[str, str] = {}
    fields: dict[str, str] = {}

    def lookup(name: str) -> str | None:
        return caller_env.get(name, env.get(name))

    files = service["env_file"]
    for file in [files] if isinstance(files.value, str) else files.entries():
        for name, value in _env_file(file, lookup, directory).items():
            env[name], fields[name] = value, file.path
            _check(file, name, value)
    for name, declared, field in _declared(service["environment"], caller_env):
        if declared is None:
            env.pop(name, None)
            continue
        env[name], fields[name] = declared, field.path
        _check(field, name, declared)
    return env, {name: fields[name] for name in env}


def _declared(environment: Field, caller_env: Mapping[str, str]) -> list[tuple[str, str | None, Field]]:
    """The entries of `environment`; a name without a value takes the caller's, None if the caller has none."""
    if not isinstance(environment.value, list):
        pairs = environment.fields().items()
        return [(name, scalar(field) if field.given else caller_env.get(name), field) for name, field in pairs]
    found: list[tuple[str, str | None, Field]] = []
    for entry in environment.entries():
        name, equals, value = entry.text().partition("=")
        found.append((name, value if equals else caller_env.get(name), entry))
    return found


def _env_file(entry: Field, inherited: Lookup, directory: Path) -> dict[str, str]:
    place = entry["path"] if isinstance(entry.value, dict) else entry
    path = directory / place.required()
    long_form = entry if isinstance(entry.value, dict) else entry.holding({})
    file_format = long_form["format"].text()
    if file_format not in ("", "raw"):
        raise long_form["format"].refuse("is unknown", 'leave it out, or write "raw"')
    optional = long_form["required"].given and not long_form["required"].flag()
    if optional and not path.exists():
        return {}
    try:
        text = read_text(path, entry.source.what)
    except Refusal as refusal:
        raise place.refuse(f"names {path}: {refusal.why}", refusal.mend) from None
    try:
        return dotenv.parse_raw(text) if file_format else dotenv.parse(text, inherited)
    except ValueError as error:
        raise place.refuse(f"names {path}: {error}", "correct the line") from None


def _check(field: Field, name: str, value: str) -> None:
    if not is_name(name):
        raise field.refuse("gives a variable whose name is none", 'use printable ASCII without "="')
    if "\0" in value:
        raise field.refuse(f"({name}) holds a NUL character, which no variable can", "remove it")
    if not fits(name, value):
        raise field.refuse(f"({name}) is longer than the {MAX_STRING_BYTES} bytes that Linux takes", "shorten it")


def _ports(service: Field) -> tuple[int, ...]:
    """The TCP ports on the container's side, published first."""
    found: dict[int, None] = {}
    for entry in (*service["ports"].entries(), *service["expose"].entries()):
        if isinstance(entry.value, dict):
            target, protocol = scalar(entry["target"]), entry["protocol"].text("tcp")
        else:
            target, protocol = scalar(entry), ""
        match = _PORTS.fullmatch(target)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if match is None or not 1 <= first <= last <= 65535:
            raise entry.refuse("is no port", 'write "8080:8000", say, the container\'s own last')
        if (protocol or match[3] or "tcp") != "tcp":
            entry.notice("is no TCP port and not proxied")
            continue
        found.update(dict.fromkeys(range(first, last + 1)))
    return tuple(found)


def _user(field: Field) -> tuple[int | None, int | None]:
    text = scalar(field)
    if not text:
        return None, None
    match = _USER.fullmatch(text)
    if match is None:
        field.notice("names a user, which only the image's own /etc/passwd can resolve; not applied")
        return None, None
    uid, gid = (field.holding(int(part)).integer(0, 2**31 - 1) if part else None for part in match.groups())
    return uid, gid
