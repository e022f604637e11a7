"""The concerns of the sample pair: through the proxy, in one container's processes, and embedded in the backend, the
same tests."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml

from tests.conftest import ENTRY, ORDERS, eventually, free_port

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BURST = 4
SETTINGS = {
    "REQUEST_ID": "on",
    "TRACEPARENT": "on",
    "RATE_LIMIT": "1/h",
    "RATE_LIMIT_BURST": str(BURST),
    "REQUEST_HEADERS": "set X-Stage: test\nadd X-Seen: by us\nremove X-Internal\nset Content-Type: text/x-test",
    "RESPONSE_HEADERS": "set Service: hidden\nadd X-Frame-Options: DENY\nremove X-Powered-By",
    "FORWARDED_ALLOW_IPS": "127.0.0.1",
    "WEB_CONCURRENCY": "1",
}
_clients = itertools.count(1)


class Service(NamedTuple):
    """Orders in a layout. Each request is another client's, unless it says whose it is."""

    url: str

    def ask(self, target: str = "/echo", method: str = "GET", client: str = "", **headers: str) -> requests.Response:
        client = client or f"203.0.113.{next(_clients)}"
        sent = {"X-Forwarded-For": client, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return requests.request(method, self.url + target, headers=sent, timeout=20)

    def seen(self, **headers: str) -> dict[str, str]:
        """What the backend sees of the fields of a request, by lower-case names."""
        answer = self.ask(**headers)
        assert answer.status_code == 200, answer.text
        return {name.lower(): value for name, value in answer.json()["headers"]}


def pair_file(folder: Path, front: int, inner: int) -> Path:
    """The sample's, on ports and a database of the test's own, with every concern on."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all((ORDERS / "pod.yaml").read_text()))
    backend, proxy = documents[0]["spec"]["containers"]
    backend["workingDir"] = str(ORDERS)
    more = {"DATABASE": str(folder / "orders.sqlite"), "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    for container, changes in (
        (backend, {"PORT": str(inner), "WEB_CONCURRENCY": "1", **more}),
        (proxy, {"PORT": str(front), "UPSTREAM": f"http://127.0.0.1:{inner}", **SETTINGS}),
    ):
        kept = [entry for entry in container["env"] if entry["name"] not in changes]
        container["env"] = kept + [{"name": name, "value": value} for name, value in changes.items()]
    backend["ports"], proxy["ports"] = [{"name": "api", "containerPort": inner}], [{"containerPort": front}]
    proxy["readinessProbe"] = backend["readinessProbe"] = {"httpGet": {"path": "/healthz", "port": inner}}
    path = folder / "pod.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


@pytest.fixture(scope="module", params=["separate", "shared", "embedded"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """By `pillion run`, with the backend's port for `embedded` and the proxy's for the others."""
    folder = tmp_path_factory.mktemp(request.param)
    front, inner = free_port(), free_port()
    log = folder / "log"
    command = [ENTRY, "run", pair_file(folder, front, inner), "--layout", request.param]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            eventually(lambda: " is up after " in log.read_text() or process.poll() is not None, 60)
            assert process.poll() is None, log.read_text()
            yield Service(f"http://127.0.0.1:{inner if request.param == 'embedded' else front}")
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
                process.wait()
    assert process.returncode == 0, log.read_text()


def test_a_good_request_id_stays(service: Service) -> None:
    """To the backend and back."""
    answer = service.ask(X_Request_ID="my-id.7")
    assert answer.headers["X-Request-ID"] == "my-id.7"
    assert service.seen(X_Request_ID="my-id.7")["x-request-id"] == "my-id.7"


@pytest.mark.parametrize("sent", [None, "two words", "x" * 200, ""])
def test_a_request_without_a_good_id_gets_one(service: Service, sent: str | None) -> None:
    """The backend sees the one that the client is told, and each request has its own."""
    made = set()
    for _ in range(2):
        answer = service.ask() if sent is None else service.ask(X_Request_ID=sent)
        seen = {name.lower(): value for name, value in answer.json()["headers"]}
        assert re.fullmatch("[0-9a-f]{32}", seen["x-request-id"])
        assert answer.headers["X-Request-ID"] == seen["x-request-id"]
        made.add(seen["x-request-id"])
    assert len(made) == 2


def test_a_trace_goes_on(service: Service) -> None:
    """Its traceparent and tracestate reach the backend as they are."""
    seen = service.seen(traceparent=TRACEPARENT, tracestate="a=b")
    assert (seen["traceparent"], seen["tracestate"]) == (TRACEPARENT, "a=b")
    assert seen["x-request-id"] == TRACEPARENT[3:35]


@pytest.mark.parametrize("sent", [None, "00-short-01", TRACEPARENT.replace("-01", "-01-more")])
def test_a_trace_begins_here(service: Service, sent: str | None) -> None:
    """Where there is none, or none that can be gone on with."""
    seen = service.seen() if sent is None else service.seen(traceparent=sent, tracestate="a=b")
    found = re.fullmatch("00-([0-9a-f]{32})-[0-9a-f]{16}-01", seen["traceparent"])
    assert found and found[1] == seen["x-request-id"] and "tracestate" not in seen


def test_rules_for_requests(service: Service) -> None:
    """The backend sees what they make of them, Content-Type, which WSGI keeps elsewhere, among it."""
    seen = service.seen(X_Stage="mine", X_Seen="before", X_Internal="secret")
    assert seen["x-stage"] == "test" and "x-internal" not in seen and seen["content-type"] == "text/x-test"
    assert seen["x-seen"].replace(", ", ",") == "before,by us"


@pytest.mark.parametrize("target", ["/echo", "/nothing", "/stream?lines=2&interval_ms=0"])
def test_rules_for_responses(service: Service, target: str) -> None:
    """Whatever the status, and for streams too."""
    answer = service.ask(target)
    assert (answer.headers["Service"], answer.headers["X-Frame-Options"]) == ("hidden", "DENY")
    assert target != "/stream?lines=2&interval_ms=0" or answer.text == "line 1 of 2\nline 2 of 2\n"


def test_a_client_that_asks_too_often(service: Service) -> None:
    """429 with Retry-After, an id and the rules for responses; others are not concerned."""
    client = f"198.51.100.{next(_clients)}"
    assert [service.ask(client=client).status_code for _ in range(BURST)] == [200] * BURST
    for method in ("GET", "POST", "HEAD"):
        answer = service.ask(method=method, client=client, X_Request_ID="declined")
        assert (answer.status_code, answer.reason) == (429, "Too Many Requests")
        assert 0 < int(answer.headers["Retry-After"]) <= 3600
        assert (answer.headers["X-Request-ID"], answer.headers["X-Frame-Options"]) == ("declined", "DENY")
        assert answer.headers["Content-Type"] == "application/json"
        expected = {"error": "too many requests", "reason": "too many requests"}
        assert method == "HEAD" or answer.json() == expected
    assert service.ask().status_code == 200
    assert service.ask("/healthz?again", client=client).status_code == 200, "the readiness check is not counted"


def test_whom_a_trusted_peer_speaks_for(service: Service) -> None:
    """The last in X-Forwarded-For that it is not itself: what a client says before that counts for nothing."""
    client = f"192.0.2.{next(_clients)}"
    statuses = [
        service.ask(client=f"203.0.113.{number}, {client}, 127.0.0.1").status_code for number in range(200, 201 + BURST)
    ]
    assert statuses == [200] * BURST + [429]
