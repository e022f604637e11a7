"""What the tests of rendering share: a pair file that is written, rendered, and read again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from pillion.compare.render import TARGETS, Rendered, Request
from pillion.compare.render.yaml_text import to_yaml
from pillion.image.pairfile import load_written

VERSIONS = ("1.31", "1.36", "1.37")


def pod(backend: Mapping[str, Any], proxy: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """A Pod of the two, with what else it needs."""
    containers = [
        {"name": "backend", "image": "shop:1", "command": ["serve"], **backend},
        {"name": "proxy", "image": "pillion/sidecar", **proxy},
    ]
    spec = {"containers": containers, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}, "spec": spec}


def rendered(
    folder: Path, documents: list[Any], layout: str = "shared", to: str = "kubernetes", **more: Any
) -> Rendered:
    """What comes out; `more` are fields of the request, and `caller_env`."""
    path = folder / "pair.yaml"
    path.write_text(to_yaml(documents), encoding="utf-8")
    caller_env = more.pop("caller_env", {})
    pair, written = load_written(path, caller_env=caller_env)
    before = repr(written)
    found = TARGETS[to](Request(pair, written, layout, command="pillion render pair.yaml", **more))
    assert repr(written) == before, "what was read is not changed"
    return found


def manifests(found: Rendered) -> list[dict[str, Any]]:
    """The documents, each valid by the published schemas, unknown fields refused."""
    documents = list(yaml.safe_load_all(found.text))
    for document in documents:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)
    return documents


def containers(found: Rendered) -> list[dict[str, Any]]:
    """The containers of the first document."""
    document = manifests(found)[0]
    spec = document["spec"] if document["kind"] == "Pod" else document["spec"]["template"]["spec"]
    listed: list[dict[str, Any]] = spec["containers"]
    return listed


def variables(container: Mapping[str, Any]) -> dict[str, Any]:
    """Name to value, or to the mapping of a reference."""
    return {each["name"]: each.get("valueFrom") or each["value"] for each in container["env"]}


UPSTREAM = {"name": "UPSTREAM", "value": "http://127.0.0.1:8000"}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"HUE": "red"}}


def env(**values: str) -> dict[str, Any]:
    """A container's variables."""
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


def one(folder: Path, backend: dict[str, Any], proxy: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """The one container of layout shared."""
    (container,) = containers(rendered(folder, [CONFIG, pod(backend, proxy or {}, **spec)][::-1]))
    return container


def notices(folder: Path, backend: dict[str, Any], proxy: dict[str, Any] | None = None, **spec: Any) -> str:
    """What is said of the pair beside its manifest."""
    return "\n".join(rendered(folder, [pod(backend, proxy or {}, **spec)]).notices)
