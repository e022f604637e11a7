"""A combined image taken apart again: the backend's image as it was, and the sidecar, each for a new other (pure)."""

from __future__ import annotations

import json
from typing import Any

from pillion.image.compose import marks
from pillion.image.compose.environment import original_env
from pillion.image.compose.image import Document, Image, Layer, Sidecar
from pillion.image.compose.media_types import DOCKER
from pillion.image.refusal import Refusal


def is_combined(image: Image) -> bool:
    """Whether it says so itself."""
    return bool(marks.read_marks(image))


def sidecar_of(combined: Image, what: str) -> Sidecar:
    """The layer that was added. Raises Refusal if the image is not, or no longer, what its marks say."""
    found = marks.read_marks(combined)
    last = _own_layer(combined, found, what)
    said = {key: found[marks.SIDECAR_SAID + key] for key in marks.SAID if marks.SIDECAR_SAID + key in found}
    return Sidecar(combined.source, last, combined.platform, said)


def backend_of(combined: Image, what: str) -> Image:
    """The backend's image without the sidecar. Raises Refusal as `sidecar_of` does."""
    found = marks.read_marks(combined)
    _own_layer(combined, found, what)
    docker = combined.family is DOCKER
    try:
        undo = json.loads(found[marks.BACKEND])
        settings = _settings(combined, undo)
        config: Document = {**combined.config, "config": settings, "history": combined.config["history"][:-1]}
        config["rootfs"] = {**config["rootfs"], "diff_ids": config["rootfs"]["diff_ids"][:-1]}
        config["created"] = undo["created"]
        if not undo["created"]:
            del config["created"]
        before = _without_marks(marks.marks_of(combined.manifest, combined.config, docker=docker), undo)
        manifest: Document = {**combined.manifest, "layers": combined.manifest["layers"][:-1]}
        target, key = (settings, "Labels") if docker else (manifest, "annotations")
        target.pop(key, None)
        if before:
            target[key] = before
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _not_ours(combined, f"{marks.BACKEND} cannot be read", what) from error
    return combined._replace(
        manifest=manifest,
        config=config,
        layers=combined.layers[:-1],
        digest=found.get(marks.BASE_DIGEST, ""),
        name=found.get(marks.BASE_NAME, ""),
    )


def _settings(combined: Image, undo: dict[str, Any]) -> Document:
    settings = {key: value for key, value in combined.settings.items() if key not in marks.CHANGED_SETTINGS}
    settings |= {key: undo["settings"][key] for key in marks.CHANGED_SETTINGS if key in undo["settings"]}
    env = undo["env"]
    settings["Env"] = original_env(settings["Env"], env["moved"], env["added"], env["replaced"])
    return settings


def _without_marks(found: dict[str, str], undo: dict[str, Any]) -> dict[str, str]:
    written = (marks.SIDECAR_DIGEST, marks.SIDECAR_DIFF_ID, marks.BACKEND, marks.BASE_NAME, marks.BASE_DIGEST)
    said = tuple(marks.SIDECAR_SAID + key for key in marks.SAID)
    return {**{key: value for key, value in found.items() if key not in (*written, *said)}, **undo["marks"]}


def _own_layer(combined: Image, found: dict[str, str], what: str) -> Layer:
    if not found:
        raise _not_ours(combined, "it does not say what of it is the sidecar", what)
    # Not the digest of its blob: engines compress anew what they save.
    if not combined.layers or combined.layers[-1].diff_id != found.get(marks.SIDECAR_DIFF_ID):
        raise _not_ours(combined, f"its last layer is not the sidecar {found[marks.SIDECAR_DIGEST]}", what)
    return combined.layers[-1]


def _not_ours(combined: Image, why: str, what: str) -> Refusal:
    return Refusal(what, f"{combined.source} is no combined image of pillion build: {why}", "compose it afresh")
