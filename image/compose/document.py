"""The JSON documents of an image (index, manifest, config): read with limits, written in one form."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NoReturn

from pillion.image.refusal import Refusal

# Registries need not take a longer manifest (OCI distribution-spec, "Pushing Manifests").
LONGEST_DOCUMENT = 4 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def digest_of(data: bytes) -> str:
    """`sha256:HEX` of the bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def write_document(document: dict[str, Any]) -> bytes:
    """Canonical: keys sorted, no spaces, ASCII; so that the same values have the same digest."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode("ascii")


def read_document(data: bytes, what: str, name: str) -> dict[str, Any]:
    """The JSON object that `name` holds. Raises Refusal "cannot `what`: `name` ..."."""
    document = read_json(data, what, name)
    if not isinstance(document, dict):
        raise Refusal(what, f"{name} is not a JSON object", "export the image again")
    return document


def read_json(data: bytes, what: str, name: str) -> Any:
    """As `read_document`, whatever the value is."""

    def constant(text: str) -> NoReturn:
        raise ValueError(f"{text} is no JSON")

    try:
        value = json.loads(data.decode("utf-8"), parse_constant=constant)
        # A lone surrogate can be written in JSON, but no engine hands it on.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Refusal(what, f"{name} is not JSON ({_short(error)})", "export the image again") from error
    return value


def _short(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0]


def check_descriptor(descriptor: Any, what: str, name: str) -> dict[str, Any]:
    """A descriptor whose digest and size can be relied on to be a digest and a size (OCI descriptor.md)."""
    if not isinstance(descriptor, dict):
        raise Refusal(what, f"{name} is not a descriptor", "export the image again")
    digest, size, media_type = (descriptor.get(key) for key in ("digest", "size", "mediaType"))
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise Refusal(what, f"{name}.digest {digest!r:.80} is no sha256 digest", "export the image again")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise Refusal(what, f"{name}.size {size!r:.40} is no size", "export the image again")
    if not isinstance(media_type, str):
        raise Refusal(what, f"{name}.mediaType {media_type!r:.40} is no media type", "export the image again")
    return descriptor


def is_digest(text: Any) -> bool:
    """Whether this is `sha256:` and 64 lower-case hexadecimal digits."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None
