"""What a pair is: one backend and one proxy that belong together, and the record of them that travels with a container.

Plain values without behaviour of their own; `image/pairfile` reads them from a user's file. Named tuples rather than
dataclasses, because `enter` imports this module before anything else runs and `dataclasses` costs it milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pillion.image.refusal import Refusal

PROGRAMS = ("proxy", "backend")
RECORD_VERSION = 1
RECORD_VARIABLE = "PILLION_PAIR"
# The proxy drains first, the backend stops after it.
STOP_SHARES = {"proxy": 0.6, "backend": 0.35}


class Probe(NamedTuple):
    """A check of a container as Kubernetes defines it: `http` (GET, 200 to 399 is success), `tcp` or `exec`."""

    kind: str
    port: int = 0
    path: str = "/"
    scheme: str = "http"
    headers: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    initial_delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    failure_threshold: int = 3


class Container(NamedTuple):
    """One container of the pair as the file declares it, references and `$(VAR)` resolved.

    `command` replaces the image's entrypoint and `args` its command; empty means "the image's own".
    `env_fields` says for each name of `env` where in the file it stands. `field` is the container's own place.
    """

    name: str
    field: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    env_fields: Mapping[str, str] = {}
    ports: tuple[int, ...] = ()
    working_dir: str = ""
    run_as_user: int | None = None
    run_as_group: int | None = None
    stop_signal: str = ""
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None


class Pair(NamedTuple):
    """A backend and its proxy. `source` is the file as the user named it; relative paths are relative to `directory`.

    `grace_s` is how long the platform waits between the stop signal and the kill. `notices` are things the reader of
    the file should know that are no errors (further containers left outside, a field that has no meaning here).
    `annotations` are the pod's, or the Compose project's `x-pillion` mapping.
    """

    name: str
    source: str
    directory: Path
    backend: Container
    proxy: Container
    grace_s: float = 30.0
    annotations: Mapping[str, str] = {}
    notices: tuple[str, ...] = ()


class ProgramRecord(NamedTuple):
    """One program's part of the pair record.

    `args` are the proxy's arguments after `pillion proxy` (the backend's argv is the command of `enter`).
    `image_env` maps the names of the image's own ENV to the SHA-256 of their values, never to the values.
    `port` is the declared one, 0 if there is none; `ready_path` is the HTTP readiness path, "" for none.
    `user` is numeric, `UID` or `UID:GID`, "" for the caller's own.
    """

    args: tuple[str, ...] = ()
    cwd: str = ""
    image_env: Mapping[str, str] = {}
    port: int = 0
    ready_path: str = ""
    stop_signal: str = "SIGTERM"
    user: str = ""


class PairRecord(NamedTuple):
    """What `enter` must know about the pair; travels as JSON, version 1, in `PILLION_PAIR`.

    `deadline_s` is the one deadline for stopping everything, in seconds. `verbatim` keeps HOME, USER, LOGNAME, PATH and
    NO_PROXY of the backend as they were; ports and service links are still settled.
    """

    name: str = "pair"
    backend: ProgramRecord = ProgramRecord()
    proxy: ProgramRecord = ProgramRecord()
    deadline_s: float = 8.5
    verbatim: bool = False

    def stop_s(self, program: str) -> float:
        """A program's share of the deadline, in seconds; what is left over is for our own last word."""
        return self.deadline_s * STOP_SHARES[program]

    def to_json(self) -> str:
        """The record as one line of JSON."""
        document = {
            **self._asdict(),
            "version": RECORD_VERSION,
            "backend": self.backend._asdict(),
            "proxy": self.proxy._asdict(),
        }
        return json.dumps(document, separators=(",", ":"), sort_keys=True)


def read_record(text: str) -> PairRecord:
    """The record that `PILLION_PAIR` holds. Raises Refusal if it is no record of a version known here."""
    what = f"read the pair record in {RECORD_VARIABLE}"
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Refusal(what, f"it is not JSON ({error})", "rebuild the image with pillion build") from error
    if not isinstance(document, dict) or document.get("version") != RECORD_VERSION:
        raise Refusal(what, f"its version is not {RECORD_VERSION}", "build and run with the same Pillion")
    plain = _fields(what, "", document, PairRecord(), skip=PROGRAMS)
    if not 0 < plain.get("deadline_s", 1) < float("inf"):
        raise Refusal(what, "deadline_s is not above 0", "rebuild the image with pillion build")
    return PairRecord(
        **plain,
        backend=_program(what, "backend", document.get("backend", {})),
        proxy=_program(what, "proxy", document.get("proxy", {})),
    )


def _program(what: str, name: str, document: Any) -> ProgramRecord:
    if not isinstance(document, dict):
        raise Refusal(what, f"{name} is not an object", "rebuild the image with pillion build")
    fields = _fields(what, f"{name}.", document, ProgramRecord())
    return ProgramRecord(**{**fields, "args": tuple(fields.get("args", ()))})


def _fields(what: str, prefix: str, document: Mapping[str, Any], defaults: Any, skip: tuple[str, ...] = ()) -> Any:
    """The members of `document` that `defaults` has too, each of its type; unknown members are a later version's."""
    found = {}
    for field in defaults._fields:
        if field in skip or field not in document:
            continue
        value, default = document[field], getattr(defaults, field)
        kinds = {tuple: (list,), float: (int, float)}.get(type(default), (type(default),))
        if not isinstance(value, kinds):
            raise Refusal(what, f"{prefix}{field} is a {type(value).__name__}", "rebuild the image with pillion build")
        found[field] = value
    return found
