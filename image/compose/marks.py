"""What a combined image says of where it came from, and what undoes the merge: annotations, or labels (Docker).

`org.opencontainers.image.base.*` are those of the OCI image-spec, annotations.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pillion.image.compose.environment import MergedEnv
from pillion.image.compose.image import Document, Image, Sidecar
from pillion.image.compose.media_types import DOCKER

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
SIDECAR_DIGEST = "dev.pillion.sidecar.digest"
SIDECAR_DIFF_ID = "dev.pillion.sidecar.diff-id"
SIDECAR_SAID = "dev.pillion.sidecar."
BACKEND = "dev.pillion.backend"
# Of what the sidecar image says of itself, this is carried along.
SAID = ("version", "revision")
CHANGED_SETTINGS = ("Entrypoint", "ExposedPorts", "StopSignal", "User")


def marks_of(manifest: Mapping[str, Any], config: Mapping[str, Any], *, docker: bool) -> dict[str, str]:
    """The annotations, or the labels."""
    place = (config.get("config") or {}).get("Labels") if docker else manifest.get("annotations")
    if not isinstance(place, dict):
        return {}
    return {key: value for key, value in place.items() if isinstance(value, str)}


def read_marks(image: Image) -> dict[str, str]:
    """Those of a combined image; {} if it is none. Either place: a conversion keeps labels and drops annotations."""
    for docker in (False, True):
        found = marks_of(image.manifest, image.config, docker=docker)
        if SIDECAR_DIGEST in found and BACKEND in found:
            return found
    return {}


def write_marks(base: Image, sidecar: Sidecar, settings: Document, env: MergedEnv) -> dict[str, str]:
    """For the image that is made of these."""
    before = marks_of(base.manifest, base.config, docker=base.family is DOCKER)
    undo = {
        "settings": {key: settings[key] for key in CHANGED_SETTINGS if key in settings},
        "created": base.config.get("created"),
        "env": {"moved": env.moved, "added": env.added, "replaced": env.replaced},
        "marks": {key: before[key] for key in (BASE_NAME, BASE_DIGEST) if key in before},
    }
    written = {
        SIDECAR_DIGEST: sidecar.layer.known_as,
        SIDECAR_DIFF_ID: sidecar.layer.diff_id,
        BACKEND: json.dumps(undo, separators=(",", ":"), sort_keys=True),
        **{SIDECAR_SAID + key: value for key, value in sidecar.said.items()},
    }
    if base.name:
        written[BASE_NAME] = base.name
    if base.digest:
        written[BASE_DIGEST] = base.digest
    return written
