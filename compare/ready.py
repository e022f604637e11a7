"""Waiting until a layout answers, from outside and in the same way for every layout."""

from __future__ import annotations

import http.client
import time

from pillion.compare.engines.process import Running
from pillion.compare.layouts import Plan
from pillion.image.ports import LOOPBACK
from pillion.image.refusal import Failure

POLL_S = 0.01
ATTEMPT_S = 1.0
# What a proxy answers in place of a backend that is away (RFC 9110 section 15.6).
GATEWAY_STATUSES = (502, 503, 504)


def wait_ready(running: Running, what: str, timeout_s: float) -> float:
    """Seconds from the start of the layout to its first good answer: 200 to 399 for the backend's readiness probe, or,
    where the pair declares none that can be asked from outside, any answer that is not a proxy's for a backend away.

    Raises Failure if a program ends first or the time is up, saying what was seen last.
    """
    plan = running.plan
    deadline = running.started + timeout_s
    path = plan.ready.path if plan.ready else "/"
    last = "nothing answered"
    while True:
        try:
            status = _ask(plan, path, min(ATTEMPT_S, max(deadline - time.monotonic(), POLL_S)))
            if _means_ready(plan, status):
                return time.monotonic() - running.started
            last = f"the last answer was {status}"
        except (OSError, http.client.HTTPException) as error:
            last = f"the last attempt: {error or type(error).__name__}"
        if lost := running.lost():
            why = f"layout {plan.layout} did not get ready: {running.explain_loss(*lost)}"
            raise Failure(what, why, "mend the program or the pair file")
        if time.monotonic() > deadline:
            why = (
                f"layout {plan.layout} was not ready within {timeout_s:g} s: "
                f"GET http://{LOOPBACK}:{plan.port}{path}: {last}{running.last_words()}"
            )
            raise Failure(what, why, "mend the readiness probe, or allow more with --ready-timeout")
        time.sleep(POLL_S)


def _means_ready(plan: Plan, status: int) -> bool:
    if plan.ready:
        return 200 <= status < 400
    return plan.layout == "direct" or status not in GATEWAY_STATUSES


def _ask(plan: Plan, path: str, timeout_s: float) -> int:
    connection = http.client.HTTPConnection(LOOPBACK, plan.port, timeout=timeout_s)
    try:
        own = dict(plan.ready.headers) if plan.ready else {}
        connection.request("GET", path, headers={"Connection": "close", **own})
        return connection.getresponse().status
    finally:
        connection.close()
