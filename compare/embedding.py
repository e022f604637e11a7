"""The layout `embedded`: the backend alone, with the proxy's concerns inside its own process (pure)."""

from __future__ import annotations

from pillion.image.pair import Container, Pair, Probe
from pillion.image.pairfile.roles import is_pillion_proxy
from pillion.image.refusal import Refusal
from pillion.image.sidecar import PREFIX, read_sidecar

ANNOTATION = "pillion.dev/embeddable"
# Tells the backend to put the concerns before itself; see pillion.proxy.concerns.wsgi.
SWITCH = "PILLION_EMBED"
# The proxy's settings that go with them, and no others: the rest, secrets included, is nothing to the backend.
SETTINGS = (
    "FORWARDED_ALLOW_IPS",
    "RATE_LIMIT",
    "RATE_LIMIT_BURST",
    "RATE_LIMIT_BY",
    "RATE_LIMIT_CLIENTS",
    "READY_PATH",
    "REQUEST_HEADERS",
    "REQUEST_ID",
    "REQUEST_ID_FIELD",
    "RESPONSE_HEADERS",
    "TRACEPARENT",
)


def not_embeddable(pair: Pair) -> str:
    """Why the pair cannot be laid out so; "" if it can."""
    if not is_pillion_proxy(pair.proxy):
        return f"{pair.proxy.field} ({pair.proxy.name}) is not Pillion's proxy"
    if pair.annotations.get(ANNOTATION, "").lower() != "true":
        return f"it does not say that its backend can embed the concerns (annotation {ANNOTATION})"
    return ""


def embedding(pair: Pair, ready: Probe | None, what: str) -> Container:
    """The backend as it runs there. Raises Refusal."""
    if why := not_embeddable(pair):
        raise Refusal(what, why, "see the section on concerns in docs/proxy.md, or take another layout")
    sidecar = {**({"READY_PATH": ready.path} if ready else {}), **read_sidecar(pair.proxy).environ}
    concerns = {f"{PREFIX}{name}": sidecar[name] for name in SETTINGS if name in sidecar}
    return pair.backend._replace(env={**pair.backend.env, SWITCH: "1", **concerns})
