"""A pair as a Containerfile: one image for layout shared, two targets for layout separate (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from pillion.compare.render.references import addressed
from pillion.compare.render.request import ENTER, IMAGE_NAME, SIDECAR_IMAGE, Rendered, Request, check_layout, heading
from pillion.compare.render.secrets import missing_sources, refuse_secret_words, secrets_of, unknown_names
from pillion.compare.render.settings import settled_settings
from pillion.image.environ.conflicts import front_port, inner_port
from pillion.image.pair import Container
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.refusal import Refusal
from pillion.image.sidecar import read_sidecar
from pillion.image.supervision import STOP_SIGNAL_VARIABLE

# What an ENV instruction takes as a name whoever parses it.
_ENV_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


def to_containerfile(request: Request) -> Rendered:
    """The file. No value of a secret is ever in it, whatever is asked for: an image is no place. Raises Refusal."""
    check_layout(request)
    notices = list(request.pair.notices)
    defaults, left_out = _environments(request, notices)
    for _, container, part in request.programs():
        refuse_secret_words(
            request.what, container, part, secrets_of(container, part, request.written.form), request.written.form
        )
    lines = _shared(request, defaults, notices) if request.layout == "shared" else _separate(request, defaults)
    comments = []
    if left_out:
        comments = [
            "Not in the image, as they are secrets or unknown here; give them when a container starts:",
            *(f"  {name}" for name in left_out),
        ]
        notices.append(f"left out, as they are secrets or unknown here: {', '.join(left_out)}")
    return Rendered(heading(request, *comments) + "\n".join(lines) + "\n", tuple(notices))


def _environments(request: Request, notices: list[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Each program's variables that an image may hold, under the names they have there, and those it may not."""
    shared = request.layout == "shared"
    defaults: dict[str, dict[str, str]] = {}
    left_out = []
    for program, container, part in request.programs():
        hidden = secrets_of(container, part, request.written.form)
        env = read_sidecar(container).environ if program == "proxy" and is_pillion_proxy(container) else container.env
        hidden |= {name.removeprefix("PROXY__") for name in hidden} if program == "proxy" else frozenset()
        unknown = unknown_names(container, part, request.written.form)
        found = defaults[program] = {}
        for name, value in env.items():
            target = addressed(name, program) if shared else name
            if name in unknown:
                continue
            if name in hidden:
                left_out.append(target if shared else f"{name} ({program})")
            elif not _ENV_NAME.fullmatch(target) or any(not c.isprintable() for c in value):
                notices.append(f"{target}: an ENV instruction cannot hold it; give it when a container starts")
            else:
                found[target] = value
        left_out += [addressed(name, program) if shared else f"{name} ({program})" for name in unknown]
        notices += missing_sources(container, part)
    return defaults, left_out


def _shared(request: Request, defaults: Mapping[str, dict[str, str]], notices: list[str]) -> list[str]:
    pair = request.pair
    env = {**defaults["backend"], **defaults["proxy"]}
    settled = settled_settings(request, request.written.proxy)
    # How long to drain is the platform's affair and not the image's.
    env |= {addressed(name, "proxy"): value for name, value in settled.items() if name != "DRAIN_DELAY"}
    if pair.backend.stop_signal:
        env[STOP_SIGNAL_VARIABLE] = pair.backend.stop_signal
    lines = [
        f"ARG BACKEND={_image(request, pair.backend)}",
        f"ARG SIDECAR={_image(request, pair.proxy)}",
        "FROM ${SIDECAR} AS sidecar",
        "FROM ${BACKEND}",
        "COPY --from=sidecar /opt/pillion /opt/pillion",
        *_env(env),
    ]
    lines += _place(pair.backend)
    lines += [f"EXPOSE {front_port(pair)}", "STOPSIGNAL SIGTERM"]
    if pair.backend.command:
        lines += [f"ENTRYPOINT {json.dumps([*ENTER, *pair.backend.command])}"]
        lines += [f"CMD {json.dumps(list(pair.backend.args))}"]
        return lines
    # The Entrypoint of the image below is not known here, and one of ours drops its Cmd.
    said = " (its args in place of the Cmd: " + json.dumps(list(pair.backend.args)) + ")" if pair.backend.args else ""
    notices.append(
        f"{pair.backend.field} has no command: build with --build-arg 'BACKEND_CMD=[...]', the image's Entrypoint and"
        f" Cmd in one{said}, or use pillion build, which finds it"
    )
    return [
        *lines,
        f'# Its Entrypoint and Cmd in one, as in ["gunicorn", "app:app"]{said}:',
        "ARG BACKEND_CMD=",
        "ENV PILLION_COMMAND=${BACKEND_CMD}",
        f"ENTRYPOINT {json.dumps(list(ENTER))}",
    ]


def _separate(request: Request, defaults: Mapping[str, dict[str, str]]) -> list[str]:
    lines = ["# Two images: build each with --target backend and --target proxy."]
    ports = {"backend": inner_port(request.pair), "proxy": front_port(request.pair)}
    for program, container, _ in request.programs():
        lines += ["", f"FROM {_image(request, container)} AS {program}", *_env(defaults[program]), *_place(container)]
        lines.append(f"EXPOSE {ports[program]}")
        if container.stop_signal:
            lines.append(f"STOPSIGNAL {container.stop_signal}")
        if container.command:
            lines.append(f"ENTRYPOINT {json.dumps(list(container.command))}")
        if container.args:
            lines.append(f"CMD {json.dumps(list(container.args))}")
    return lines


def _image(request: Request, container: Container) -> str:
    image = container.image or (SIDECAR_IMAGE if container is request.pair.proxy else "")
    if not IMAGE_NAME.fullmatch(image):
        why = f"{container.field}.image is missing" if not image else f"{container.field}.image is no name of an image"
        raise Refusal(request.what, why, "name the image to build on")
    return image


def _place(container: Container) -> list[str]:
    lines = []
    if container.run_as_user is not None:
        group = "" if container.run_as_group is None else f":{container.run_as_group}"
        lines.append(f"USER {container.run_as_user}{group}")
    if container.working_dir:
        lines.append(f"WORKDIR {_quoted(container.working_dir)}")
    return lines


def _env(variables: Mapping[str, str]) -> list[str]:
    return _instruction("ENV", (f"{name}={_quoted(value)}" for name, value in variables.items()))


def _instruction(name: str, words: Iterable[str]) -> list[str]:
    return [f"{name} {word}" for word in words]


def _quoted(value: str) -> str:
    """In double quotes, where a backslash, a quote and a dollar stand for themselves after a backslash."""
    escaped = re.sub(r'([\\"$])', r"\\\1", value)
    return f'"{escaped}"'
