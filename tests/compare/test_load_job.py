"""A load job is checked before anything is sent, and says exactly what is sent."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pillion.compare.load import LoadJob, Target
from pillion.image.refusal import Refusal


def job(**fields: Any) -> LoadJob:
    return LoadJob(**{"port": 8000, "rate": 10.0, "duration_s": 1.0, **fields})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_addresses_are_taken(host: str) -> None:
    """Load goes to this machine."""
    assert job(host=host).host == host


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "::", "example.com", "localhost", "", "::ffff:192.0.2.1"])
def test_any_other_address_is_refused(host: str) -> None:
    """Nobody else's server is ever loaded; a name is no address, because it may resolve to anywhere."""
    with pytest.raises(Refusal, match="cannot run the load: host: it is not a loopback address; give 127"):
        job(host=host)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", 0),
        ("port", 65536),
        ("rate", 0.0),
        ("rate", -1.0),
        ("rate", float("nan")),
        ("rate", float("inf")),
        ("rate", 1e9),
        ("duration_s", 0.0),
        ("warmup_s", -0.1),
        ("timeout_s", 0.0),
        ("timeout_s", 61.0),
        ("connections", 0),
        ("method", ""),
        ("method", "GE T"),
        ("method", "CONNECT"),
        ("path", ""),
        ("path", "orders"),
        ("path", "/a b"),
        ("path", "/\r\nX: y"),
        ("path", "/ü"),
        ("headers", (("", "x"),)),
        ("headers", (("X Y", "x"),)),
        ("headers", (("X", "a\r\nY: b"),)),
        ("headers", (("X", "ü"),)),
        ("headers", (("content-length", "3"),)),
        ("headers", (("Transfer-Encoding", "chunked"),)),
        ("arrivals", "bursty"),
        ("expect_status", 100),
    ],
)
def test_what_cannot_be_sent_is_refused_by_field(field: str, value: Any) -> None:
    """A refusal names the field and the mend."""
    with pytest.raises(Refusal, match=rf"^cannot run the load: {field}: .+; .+"):
        job(**{field: value})


def test_json_and_back_is_the_same_job() -> None:
    """The child runs what the parent was given."""
    full = job(
        host="::1",
        method="POST",
        path="/orders?x=1",
        headers=(("X-A", "b"), ("X-A", "c")),
        body=b"\x00\xff",
        warmup_s=0.5,
        connections=3,
        timeout_s=1.5,
        arrivals="poisson",
        seed=7,
        expect_status=201,
        cpus=(0, 1),
    )
    assert LoadJob.from_json(full.to_json()) == full


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ('{"port": 1, "rate": 1}', "duration_s: it is missing"),
        ('{"port": 1, "rate": 1, "duration_s": 1, "speed": 1}', "speed: no such field; the fields are host, "),
    ],
)
def test_json_that_is_no_job_is_refused(text: str, said: str) -> None:
    """Each mistake is told in one sentence."""
    with pytest.raises(Refusal, match=said):
        LoadJob.from_json(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", "80"),
        ("port", True),
        ("port", 80.5),
        ("rate", "fast"),
        ("rate", None),
        ("host", 1),
        ("body", "%"),
        ("body", 1),
        ("headers", {"a": "b"}),
        ("headers", [["a"]]),
        ("headers", [["a", 1]]),
        ("headers", None),
        ("seed", "x"),
        ("cpus", 1),
        ("cpus", [1.5]),
    ],
)
def test_json_field_of_another_kind_is_refused(field: str, value: Any) -> None:
    """A value of the wrong kind is named with the kind it should be."""
    text = json.dumps({"port": 1, "rate": 1, "duration_s": 1, field: value})
    with pytest.raises(Refusal, match=rf"^cannot run the load: {field}: it is not .+; give "):
        LoadJob.from_json(text)


def test_request_is_what_the_job_says() -> None:
    """Host and Content-Length are added where they miss, and nothing else."""
    assert job(path="/a").requests()[0] == b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
    assert job(host="::1").requests()[0] == b"GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n"
    assert job(headers=(("host", "a"), ("X", "y"))).requests()[0] == b"GET / HTTP/1.1\r\nhost: a\r\nX: y\r\n\r\n"
    assert job(method="POST").requests()[0].endswith(b"\r\nContent-Length: 0\r\n\r\n")
    assert job(method="PUT", body=b"abc").requests()[0].endswith(b"\r\nContent-Length: 3\r\n\r\nabc")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"targets": (Target(0, "GET", "/"),)}, "targets[0]: weight"),
        ({"targets": (Target(1, "GET", "/"), Target(1, "GET", "x"))}, "targets[1]: path"),
        ({"targets": (Target(1, "G T", "/"),)}, "targets[0]: method"),
        ({"targets": (Target(1, "GET", "/"),) * 257}, "targets: they are more than 256"),
        (
            {"keep_alive": False, "headers": (("Connection", "keep-alive"),)},
            "headers: 'Connection': keep_alive says it",
        ),
    ],
)
def test_a_mix_that_cannot_be_is_named_by_its_place(fields: dict[str, Any], named: str) -> None:
    """Which of the kinds, and what of it."""
    with pytest.raises(Refusal, match=re.escape(named)):
        job(**fields)


def test_a_mix_survives_its_way_to_the_generator() -> None:
    """Bodies of any bytes, and the two switches."""
    mixed = job(targets=(Target(1.5, "PUT", "/a", bytes(range(256))),), keep_alive=False, closed_loop=True)
    assert LoadJob.from_json(mixed.to_json()) == mixed
    (request,) = mixed.requests()
    assert request.startswith(b"PUT /a HTTP/1.1\r\n") and b"\r\nConnection: close\r\n" in request
    for text in ('[["1", "GET", "/", ""]]', '[[1, "GET", "/"]]', "3"):
        with pytest.raises(Refusal, match="targets: it is not a list of"):
            LoadJob.from_json(f'{{"port": 1, "rate": 1, "duration_s": 1, "targets": {text}}}')
