"""Conflicts of a naive merge: what is one, how bad, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pillion.image.environ.catalogue import CATALOGUE, look_up
from pillion.image.environ.conflicts import Conflict, conflicts, front_port, inner_port
from pillion.image.pair import Container, Pair


def pair(proxy: Mapping[str, str], backend: Mapping[str, str], ports: tuple[int, ...] = ()) -> Pair:
    """A pair with these environments."""
    return Pair("p", "p.yaml", Path(), Container("b", "b", env=backend, ports=ports), Container("p", "p", env=proxy))


def found(proxy: Mapping[str, str], backend: Mapping[str, str]) -> dict[str, Conflict]:
    """The conflicts by name."""
    return {conflict.name: conflict for conflict in conflicts(pair(proxy, backend))}


def test_different_values_of_one_name_collide() -> None:
    """Equal values do not."""
    seen = found({"MODE": "a", "TZ": "UTC", "X": "1"}, {"MODE": "b", "TZ": "UTC", "Y": "1"})
    assert list(seen) == ["MODE"] and seen["MODE"].programs == ("proxy", "backend")


def test_a_prefixed_name_of_the_sidecar_is_the_plain_one() -> None:
    """A sidecar alone accepts both."""
    assert found({"PROXY__LOG_LEVEL": "debug"}, {"LOG_LEVEL": "info"})["LOG_LEVEL"].severity == "S2"


def test_what_the_proxy_would_read_collides_when_only_the_backend_sets_it() -> None:
    """gunicorn, gevent and Python read names that were never meant for the proxy."""
    seen = found({}, {"GUNICORN_CMD_ARGS": "-w 9", "GEVENT_RESOLVER": "ares", "MODE": "x"})
    assert set(seen) == {"GUNICORN_CMD_ARGS", "GEVENT_RESOLVER"}
    assert seen["GUNICORN_CMD_ARGS"].resolution == "only the backend sees it"


@pytest.mark.parametrize("name", ["API_TOKEN", "SECRET_KEY", "DATABASE_URL", "DB_PASSWORD", "AWS_ROLE_ARN"])
def test_a_secret_of_one_is_a_conflict(name: str) -> None:
    """The other program could read it."""
    assert found({name: "x"}, {})[name].severity == "S0"
    assert found({}, {name: "x"})[name].resolution == "only the backend sees it"


def test_the_worst_comes_first() -> None:
    """By severity, then by name."""
    names = [c.name for c in conflicts(pair({"B": "1", "A": "1", "PORT": "1"}, {"A": "2", "B": "2", "PORT": "2"}))]
    assert names == ["PORT", "A", "B"]


@pytest.mark.parametrize(
    ("proxy", "backend", "declared", "front", "inner"),
    [
        ({}, {}, (), 8080, 8000),
        ({"PORT": "9"}, {"PORT": "7"}, (5,), 9, 7),
        ({"LISTEN": "[::]:9", "PORT": "8"}, {}, (5,), 9, 5),
        ({"UPSTREAM": "http://127.0.0.1:6/x"}, {"PORT": "7"}, (5,), 8080, 6),
        ({"UPSTREAM": "http://backend/"}, {"PORT": "7"}, (5,), 8080, 80),
        ({"LISTEN": "127.0.0.1:9, [::1]:10"}, {}, (), 9, 8000),
        ({"PROXY__LISTEN": ":9"}, {"PORT": "not a port"}, (5, 6), 9, 8000),
    ],
)
def test_ports_have_an_order(
    proxy: dict[str, str], backend: dict[str, str], declared: tuple[int, ...], front: int, inner: int
) -> None:
    """LISTEN > PORT > declared > 8080, and UPSTREAM > PORT > declared > 8000."""
    given = pair(proxy, backend, declared)
    assert (front_port(given), inner_port(given)) == (front, inner)


def test_one_port_for_both_is_a_conflict_nobody_can_settle() -> None:
    """It is listed, and refused elsewhere."""
    assert found({"LISTEN": ":7"}, {"PORT": "7"})["port 7"].severity == "S1"
    assert "port 7" in found({"LISTEN": ":6,:7"}, {"PORT": "7"})


def test_the_catalogue_is_found_by_each_of_its_patterns() -> None:
    """No row is hidden by an earlier one."""
    for entry in CATALOGUE:
        for pattern in entry.patterns:
            assert look_up(pattern.replace("*", "QX")) is entry, pattern
