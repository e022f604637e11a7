"""A Compose file as a pair: two of its services.

https://docs.docker.com/reference/compose-file/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pillion.image.pair import Container, Pair
from pillion.image.pairfile import dotenv
from pillion.image.pairfile.document import read_text
from pillion.image.pairfile.field import Field
from pillion.image.pairfile.healthcheck import seconds
from pillion.image.pairfile.interpolation import interpolate_tree
from pillion.image.pairfile.roles import choose
from pillion.image.pairfile.service import outline, read_service, scalar
from pillion.image.pairfile.written import COMPOSE, Part, Written
from pillion.image.refusal import Refusal

_ANNOTATION_PREFIX = "pillion.dev/"
_DEFAULT_GRACE_S = 10.0
_READ_FIELDS = ("name", "services", "include", "x-pillion")


def read_compose(root: Field, backend: str, proxy: str, caller_env: Mapping[str, str]) -> tuple[Pair, Written]:
    """The pair among the services of a Compose file, and where it is written; `caller_env` outranks the `.env` beside
    it. Raises Refusal.

    An entry of `x-pillion` is the annotation of that name, under `pillion.dev/` if the name has no prefix of its own.
    """
    source = root.source
    directory = source.path.absolute().parent
    known = {**_dot_env(directory, caller_env), **caller_env}
    unset: set[str] = set()

    document = root.value
    root = root.holding({name: interpolate_tree(root[name], known.get, unset) for name in _READ_FIELDS})
    if root["include"].given:
        root["include"].notice("is not followed; only the services of this file are seen")
    project = root["name"].text() or re.sub(r"[^a-z0-9_-]", "", directory.name.lower()).lstrip("_-") or "pair"
    services = root["services"].fields()
    outlines = [outline(service, name, project) for name, service in services.items()]
    chosen = choose(source.what, outlines, backend, proxy)
    containers = [read_service(services[each.name], each, known, directory) for each in chosen]
    for name, service in services.items():
        if name not in (containers[0].name, containers[1].name):
            service.notice("stays outside the pair")
    if unset:
        source.notices.append(f"variables that are not set, and so empty: {', '.join(sorted(unset))}")
    pair = Pair(
        name=project,
        source=str(source.path),
        directory=directory,
        backend=containers[0],
        proxy=containers[1],
        grace_s=max(seconds(services[each.name]["stop_grace_period"], _DEFAULT_GRACE_S) for each in chosen),
        annotations=_annotations(root["x-pillion"]),
        notices=tuple(source.notices),
    )
    parts = [Part(document["services"][each.name], _from_files(each)) for each in containers]
    return pair, Written(COMPOSE, [document], document, document, *parts)


def _from_files(container: Container) -> frozenset[str]:
    place = f"{container.field}.env_file"
    return frozenset(name for name, field in container.env_fields.items() if field.startswith(place))


def _dot_env(directory: Path, caller_env: Mapping[str, str]) -> dict[str, str]:
    path = directory / ".env"
    if not path.is_file():  # a directory of this name is a virtual environment
        return {}
    what = f"read {path}"
    try:
        return dotenv.parse(read_text(path, what), caller_env.get)
    except ValueError as error:
        raise Refusal(what, str(error), "correct the line") from None


def _annotations(mapping: Field) -> dict[str, str]:
    return {
        name if "/" in name else f"{_ANNOTATION_PREFIX}{name}": scalar(field)
        for name, field in mapping.fields().items()
        if field.given
    }
