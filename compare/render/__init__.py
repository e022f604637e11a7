"""A pair as files for platforms: a Kubernetes manifest, a Compose file or a Containerfile, in either layout (pure)."""

from __future__ import annotations

from pillion.compare.render.compose import to_compose
from pillion.compare.render.containerfile import to_containerfile
from pillion.compare.render.kubernetes import to_kubernetes
from pillion.compare.render.request import IMAGE_NAME, LAYOUTS, Rendered, Request

__all__ = ["IMAGE_NAME", "LAYOUTS", "TARGETS", "Rendered", "Request"]

TARGETS = {"kubernetes": to_kubernetes, "compose": to_compose, "containerfile": to_containerfile}
