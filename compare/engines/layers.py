"""The layers of an image in an engine's store, with their sizes and whose they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pillion.compare.result import Image, Layer
from pillion.image.engine import PODMAN, Engine

_FORMAT = {PODMAN: ("--format", "json"), "docker": ("--human=false", "--format", "{{.Size}}")}


def read_image(engine: Engine, name: str, program: str, inspected: Mapping[str, Any], known: Sequence[Image]) -> Image:
    """`inspected` is what the engine says of it. A layer that one of the `known` images has too is that one's, as the
    combined image has those of both; any other is `program`'s. Raises Failure if the engine cannot tell."""
    told = engine.ask(f"look at image {name}", "history", *_FORMAT[engine.name], str(inspected.get("Id") or name))
    sizes = read_sizes(engine.name, told)
    digests = [str(each) for each in (inspected.get("RootFS") or {}).get("Layers") or ()]
    owners = {layer.digest: image.program for image in known for layer in image.layers}
    # A layer with nothing in it looks like a step that made none; then it is not known whose size is which.
    known_all = len(sizes) == len(digests)
    layers = [
        Layer(digest, size, owners.get(digest, program)) for digest, size in zip(digests, sizes, strict=known_all)
    ]
    return Image(name, program, int(inspected.get("Size") or 0), tuple(layers) if known_all else ())


def read_sizes(engine: str, told: str) -> list[int]:
    """From the base up, of the steps of `history` that made a layer with something in it."""
    if engine == PODMAN:
        sizes = [int(step.get("size") or 0) for step in json.loads(told)]
    else:
        sizes = [int(line) for line in told.split()]
    return [size for size in reversed(sizes) if size]
