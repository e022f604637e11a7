"""The sample backend through a real gunicorn, and its two pair files."""

from __future__ import annotations

import importlib.util
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from pillion.image.pairfile import load_pair
from pillion.image.pairfile.roles import is_pillion_proxy

ORDERS = Path(__file__).parents[2] / "examples" / "orders"


class Service(NamedTuple):
    url: str
    environ: dict[str, str]

    def get(self, target: str, **headers: str) -> requests.Response:
        return requests.get(self.url + target, headers=headers, timeout=10)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(f"{url}/healthz", timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.02)
    raise AssertionError(f"orders did not get ready:\n{log.read_text()}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Orders as the pair file runs it, with exactly its environment, on a free port and a database of its own."""
    directory = tmp_path_factory.mktemp("orders")
    backend = load_pair(ORDERS / "pod.yaml").backend
    port = free_port()
    environ = {**backend.env, "PORT": str(port), "DATABASE": str(directory / "orders.sqlite"), "HOME": str(directory)}
    url, log = f"http://127.0.0.1:{port}", directory / "log"
    command = [sys.executable, "-B", "-m", "gunicorn", f"--bind=127.0.0.1:{port}", *backend.args[1:]]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ORDERS, env=environ, stdout=output, stderr=output)
        try:
            wait_until_ready(process, url, log)
            yield Service(url, environ)
        finally:
            process.terminate()
            try:
                process.wait(10)
            finally:
                process.kill()


def test_order_is_there_at_once(service: Service) -> None:
    """A fresh database has a few orders, each with a signed receipt that is its ETag."""
    answer = service.get("/orders/1")
    order = answer.json()
    assert (answer.status_code, order["item"], order["quantity"]) == (200, "coffee", 2)
    assert answer.headers["ETag"] == f'"{order["receipt"]}"'
    assert answer.headers["Service"] == "orders"
    assert service.get("/orders/1", **{"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_created_order_is_found_and_listed(service: Service) -> None:
    """A POST answers 201 with the order's place; the newest comes first, as many as asked for."""
    created = requests.post(f"{service.url}/orders", json={"item": "tea", "quantity": 3}, timeout=10)
    assert created.status_code == 201
    order = created.json()
    assert service.get(created.headers["Location"]).json() == order
    listed = service.get("/orders?limit=2").json()["orders"]
    assert len(listed) == 2
    assert listed[0]["id"] >= order["id"]


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{", '{"item": "tea"}', '{"item": "", "quantity": 1}', '{"item": "tea", "quantity": 0}',
     '{"item": "tea", "quantity": true}', '{"item": "tea", "quantity": "1"}', '{"item": 1, "quantity": 1}'],
)  # fmt: skip
def test_invalid_order_is_refused(service: Service, body: str) -> None:
    """What is no order is a 400 that says why, as JSON."""
    answer = requests.post(f"{service.url}/orders", data=body, headers={"Content-Type": "application/json"}, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/orders/0", 404),
        ("/orders/99999999999999999999", 404),
        ("/orders?limit=0", 400),
        ("/orders?limit=x", 400),
        ("/slow?ms=10001", 400),
        ("/stream?lines=-1", 400),
        ("/quote?quantity=x", 400),
        ("/prices?item=gold", 404),
        ("/nothing", 404),
    ],
)
def test_errors_are_json(service: Service, target: str, status: int) -> None:
    """Every refusal says why in JSON."""
    answer = service.get(target)
    assert (answer.status_code, bool(answer.json()["error"])) == (status, True)


def test_slow_takes_the_time_it_is_given(service: Service) -> None:
    """The answer comes after the given time, not before."""
    began = time.monotonic()
    assert service.get("/slow?ms=60").json() == {"waited_ms": 60}
    assert time.monotonic() - began >= 0.06


def test_stream_comes_in_chunks(service: Service) -> None:
    """Lines are sent one by one, without a known length."""
    with requests.get(f"{service.url}/stream?lines=3&interval_ms=1", stream=True, timeout=10) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert list(answer.iter_lines()) == [b"line 1 of 3", b"line 2 of 3", b"line 3 of 3"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_echo_tells_what_arrived(service: Service, method: str) -> None:
    """Method, raw target, fields in order and the body's bytes come back for any method."""
    body = bytes(range(256))
    answer = requests.request(
        method, f"{service.url}/echo?a=%2F", data=body, headers={"X-One": "1", "X-Two": "2"}, timeout=10
    ).json()
    assert (answer["method"], answer["target"]) == (method, "/echo?a=%2F")
    assert (answer["body_length"], answer["body"].encode("latin-1")) == (256, body)
    names = [name for name, _ in answer["headers"]]
    assert names.index("X-One") < names.index("X-Two")


def test_echo_reads_a_chunked_body(service: Service) -> None:
    """A body without a length arrives whole."""
    answer = requests.put(f"{service.url}/echo", data=iter([b"a", b"bc"]), timeout=10).json()
    assert (answer["body_length"], answer["body"]) == (3, "abc")


def test_quote_asks_another_service(service: Service) -> None:
    """The price is asked for over HTTP, and a failure there is a 502."""
    assert service.get("/quote?item=tea&quantity=3").json() == {"item": "tea", "quantity": 3, "total_cents": 930}
    answer = service.get("/quote?item=gold")
    assert (answer.status_code, bool(answer.json()["error"])) == (502, True)


def test_config_lists_names_and_no_values(service: Service) -> None:
    """The service tells which variables it sees, and what none of them is."""
    answer = service.get("/config")
    assert set(service.environ) <= set(answer.json()["names"])
    assert service.environ["SECRET_KEY"] not in answer.text


def test_workers_may_start_at_the_same_moment(tmp_path: Path) -> None:
    """Any number of workers can open one new database at once, and it is seeded once."""
    specification = importlib.util.spec_from_file_location("orders", ORDERS / "orders.py")
    assert specification is not None
    assert specification.loader is not None
    orders = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(orders)
    together = threading.Barrier(4)

    def start(path: Path) -> None:
        together.wait(10)
        orders.Store(str(path))

    with ThreadPoolExecutor(4) as workers:
        for attempt in range(100):
            list(workers.map(start, [tmp_path / f"{attempt}.sqlite"] * 4))
    with closing(sqlite3.connect(tmp_path / "0.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchall() == [(3,)]


def test_both_pair_files_describe_the_same_pair() -> None:
    """Pod and Compose file differ only in how the proxy reaches the backend, and so in whom that listens to."""
    pod, compose = load_pair(ORDERS / "pod.yaml"), load_pair(ORDERS / "compose.yaml")
    assert (pod.notices, compose.notices) == ((), ())
    for field in ("name", "directory", "grace_s", "annotations"):
        assert getattr(pod, field) == getattr(compose, field)
    for one, other in ((pod.backend, compose.backend), (pod.proxy, compose.proxy)):
        for field in ("name", "image", "command", "ports", "working_dir", "run_as_user", "stop_signal"):
            assert getattr(one, field) == getattr(other, field)
    differing = {
        name
        for one, other in ((pod.backend, compose.backend), (pod.proxy, compose.proxy))
        for name in one.env.keys() | other.env.keys()
        if one.env.get(name) != other.env.get(name)
    }
    assert differing == {"UPSTREAM", "FORWARDED_ALLOW_IPS"}
    assert [arg.replace("0.0.0.0", "127.0.0.1") for arg in compose.backend.args] == list(pod.backend.args)


@pytest.mark.parametrize("name", ["pod.yaml", "compose.yaml"])
def test_pair_files_collide_and_name_pillions_proxy(name: str) -> None:
    """The sample is worth comparing: its variables collide, and its proxy can share the container."""
    pair = load_pair(ORDERS / name)
    assert is_pillion_proxy(pair.proxy)
    assert not is_pillion_proxy(pair.backend)
    ours, theirs = pair.backend.env, pair.proxy.env
    colliding = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    assert colliding == {
        "FORWARDED_ALLOW_IPS", "GUNICORN_CMD_ARGS", "LOG_LEVEL", "OTEL_SERVICE_NAME", "PORT", "SECRET_KEY",
        "WEB_CONCURRENCY",
    }  # fmt: skip
    assert pair.backend.env["TZ"] == pair.proxy.env["TZ"]
