"""Images as values: documents are plain dicts, so that what we do not know survives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pillion.image.compose.blob import Blob
from pillion.image.compose.media_types import Family
from pillion.image.refusal import Refusal

Document = dict[str, Any]


class Platform(NamedTuple):
    """What a manifest runs on, in the terms of Go: `linux`, `amd64`, and a variant such as `v7`."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, self))

    def fits(self, other: Platform) -> bool:
        """Whether both are the same machine; a variant that only one of them names does not part them."""
        return self[:2] == other[:2] and (not self.variant or not other.variant or self.variant == other.variant)


class Layer(NamedTuple):
    """A layer's descriptor, the digest of its uncompressed tar, and where its bytes lie: None while they stay in the
    store of an engine. `before` is the digest it had there, if the engine wrote it out with another compression."""

    descriptor: Document
    diff_id: str
    blob: Blob | None
    before: str = ""

    @property
    def digest(self) -> str:
        """The digest of the bytes as they lie."""
        return str(self.descriptor["digest"])

    @property
    def known_as(self) -> str:
        """The digest that it is told by in the combined image's config, exported or not."""
        return self.before or self.digest


class Image(NamedTuple):
    """One image for one platform. `digest` is the manifest's, "" where the source has no manifest of its own.

    `name` is a full reference, "" if the source gives none; `source` is what the user called it.
    """

    source: str
    family: Family
    manifest: Document
    config: Document
    layers: tuple[Layer, ...]
    digest: str = ""
    name: str = ""

    @property
    def platform(self) -> Platform:
        """By the config, as the engines do."""
        return platform_of(self.config)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The config's `config` member: what a container of it is started with."""
        return self.config.get("config") or {}


class Images(NamedTuple):
    """What a source holds: one image, or one a platform. `dropped` counts attestations, which describe other bytes."""

    images: tuple[Image, ...]
    multi_platform: bool = False
    dropped: int = 0


class Sidecar(NamedTuple):
    """The one layer that is added, what it runs on, and what is said of it (`version`, `revision`)."""

    source: str
    layer: Layer
    platform: Platform
    said: Mapping[str, str] = {}


def platform_of(document: Mapping[str, Any]) -> Platform:
    """The platform that a config, or a descriptor's `platform`, names; arm64 has one variant in practice."""
    os, architecture, variant = (str(document.get(key) or "") for key in ("os", "architecture", "variant"))
    return Platform(os, architecture, "" if (architecture, variant) == ("arm64", "v8") else variant)


def read_platform(text: str) -> Platform:
    """`OS/ARCHITECTURE[/VARIANT]`. Raises Refusal."""
    parts = text.split("/")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise Refusal("build", f"--platform {text} is not OS/ARCHITECTURE[/VARIANT]", "as in linux/amd64")
    return platform_of(dict(zip(("os", "architecture", "variant"), parts, strict=False)))
