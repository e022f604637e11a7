"""Waiting until a layout answers, from outside and in the same way for every layout."""

from __future__ import annotations

import http.client
import time

from pillion.compare.engines.process import Running
from pillion.image.ports import LOOPBACK
from pillion.image.refusal import Failure

POLL_S = 0.01
# While its backend is away the proxy answers for it; RFC 9209 is how it says so.
PROXY_STATUS = "Proxy-Status"


def wait_ready(running: Running, what: str, timeout_s: float) -> float:
    """Seconds from the start of the layout to its first good answer: 200 to 399 on the backend's readiness path, or,
    where the pair declares none, any answer that is the backend's.

    Raises Failure if a program ends first or the time is up, saying what was seen last.
    """
    plan = running.plan
    last = "nothing answered"
    while True:
        try:
            status, from_proxy = _ask(plan.port, plan.ready_path or "/", timeout_s)
            ready = 200 <= status < 400 if plan.ready_path else not from_proxy
            if ready:
                return time.monotonic() - running.started
            last = f"the last answer was {status}"
        except (OSError, http.client.HTTPException) as error:
            last = f"the last attempt: {error or type(error).__name__}"
        if lost := running.lost():
            raise Failure(
                what, f"layout {plan.layout}: {running.explain_loss(*lost)}", "mend the program or its pair file"
            )
        if time.monotonic() - running.started > timeout_s:
            wrote = running.output.last_lines()
            said = f"; last line: {wrote[0]}" if wrote else ""
            why = (
                f"layout {plan.layout} was not ready within {timeout_s:g} s: "
                f"GET http://{LOOPBACK}:{plan.port}{plan.ready_path or '/'}: {last}{said}"
            )
            raise Failure(what, why, "mend the readiness probe, or allow more with --ready-timeout")
        time.sleep(POLL_S)


def _ask(port: int, path: str, timeout_s: float) -> tuple[int, bool]:
    """The status of one GET, and whether the proxy rather than the backend gave it."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=max(timeout_s, 1.0))
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.status >= 500 and answer.headers.get(PROXY_STATUS) is not None
    finally:
        connection.close()
