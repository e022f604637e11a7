"""A user's own file as a pair: a Kubernetes manifest or a Compose file, read strictly and with their meaning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pillion.image.pair import Pair
from pillion.image.pairfile.compose import read_compose
from pillion.image.pairfile.document import read_documents
from pillion.image.pairfile.field import Field, Source
from pillion.image.pairfile.kubernetes import read_kubernetes
from pillion.image.pairfile.written import Written

__all__ = ["load_pair", "load_written"]


def load_pair(
    path: str | Path, *, backend: str = "", proxy: str = "", caller_env: Mapping[str, str] | None = None
) -> Pair:
    """The pair that the file at `path` describes: a Pod or anything with a pod template, or a Compose file.

    `backend` and `proxy` name the two containers where the file leaves it open. `caller_env` is what a Compose file
    may interpolate and inherit; a Kubernetes manifest sees none of it. Raises Refusal, naming file, field and mend.
    """
    return _load(Path(path), backend, proxy, caller_env or {}, elsewhere=False)[0]


def load_written(
    path: str | Path, *, backend: str = "", proxy: str = "", caller_env: Mapping[str, str] | None = None
) -> tuple[Pair, Written]:
    """The same, and the pair as the file writes it. ConfigMaps and Secrets that a manifest refers to may be elsewhere:
    the pair then lacks what they give. Raises Refusal."""
    return _load(Path(path), backend, proxy, caller_env or {}, elsewhere=True)


def _load(
    path: Path, backend: str, proxy: str, caller_env: Mapping[str, str], *, elsewhere: bool
) -> tuple[Pair, Written]:
    source = Source(path)
    documents = [Field(source, "", document) for document in read_documents(path, source.what)]
    for number, document in enumerate(documents, 1):
        if not isinstance(document.value, dict):
            raise document.refuse(f"document {number} {document.kind()}, not a mapping", "give a Pod or a Compose file")
    if any(document["kind"].given for document in documents):
        return read_kubernetes(documents, backend, proxy, elsewhere=elsewhere)
    if not documents[0]["services"].given:
        why = "it is neither a Kubernetes manifest (no kind) nor a Compose file (no services)"
        raise documents[0].refuse(why, "give a Pod or a Compose file")
    if len(documents) > 1:
        raise documents[0].refuse("it holds several Compose documents", "merge them: docker compose config")
    return read_compose(documents[0], backend, proxy, caller_env)
