"""Which container is the backend and which the proxy."""

from __future__ import annotations

import pytest

from pillion.image.pair import Container
from pillion.image.pairfile.roles import choose, is_pillion_proxy
from pillion.image.refusal import Refusal


def container(name: str, image: str = "", command: str = "", args: str = "") -> Container:
    return Container(name, f"x.{name}", image, tuple(command.split()), tuple(args.split()))


@pytest.mark.parametrize(
    ("image", "command", "args", "expected"),
    [
        ("pillion/sidecar", "", "", True),
        ("ghcr.io/team/pillion/sidecar:1.2@sha256:00", "", "--listen :80", True),
        ("registry:5000/pillion:1", "", "", True),
        ("x/pillion-proxy", "", "", True),
        ("", "pillion proxy", "", True),
        ("python:3.11", "/opt/pillion/bin/pillion", "--log json proxy --upstream http://x", True),
        ("python:3.11", "", "pillion proxy", True),
        ("", "sh -c", "exec pillion proxy", True),
        ("pillion/example-orders", "gunicorn", "orders:create_app()", False),
        ("pillion/example-orders", "", "", False),
        ("pillion-tests", "pytest", "", False),
        ("", "pillion run", "", False),
        ("", "pillion-ish proxy", "", False),
        ("", "proxy pillion", "", False),
        ("other/sidecar", "", "", False),
        ("envoy", "", "", False),
        ("", "", "", False),
    ],
)
def test_pillion_proxy_is_told_by_command_or_image(image: str, command: str, args: str, expected: bool) -> None:
    """A command that is not Pillion's outranks the image's name."""
    assert is_pillion_proxy(container("any", image, command, args)) is expected


APP, OTHER, ENVOY = container("app"), container("other"), container("front", "envoyproxy/envoy:v1.30")
BACKEND, PROXY = container("backend"), container("proxy")
SIDECAR = container("side", "pillion/sidecar:1")


@pytest.mark.parametrize(
    ("containers", "names", "expected"),
    [
        ([PROXY, BACKEND], ("", ""), "backend proxy"),
        ([APP, BACKEND, PROXY], ("", ""), "backend proxy"),
        ([APP, BACKEND, PROXY], ("app", ""), "app proxy"),
        ([APP, OTHER, PROXY], ("app", "other"), "app other"),
        ([APP, PROXY], ("", ""), "app proxy"),
        ([BACKEND, APP], ("", ""), "backend app"),
        ([APP, OTHER], ("", "app"), "other app"),
        ([APP, OTHER], ("other", ""), "other app"),
        ([PROXY, BACKEND], ("proxy", ""), "proxy backend"),
        ([PROXY, BACKEND], ("", "backend"), "proxy backend"),
        ([ENVOY, APP], ("", ""), "app front"),
        ([APP, container("istio-proxy")], ("", ""), "app istio-proxy"),
        ([container("l", "cr.l5d.io/linkerd/proxy:2"), APP], ("", ""), "app l"),
        ([container("n", "alpine", "/usr/sbin/nginx -g x"), APP], ("", ""), "app n"),
        ([container("web", "nginx"), SIDECAR], ("", ""), "web side"),
    ],
)
def test_roles(containers: list[Container], names: tuple[str, str], expected: str) -> None:
    """The caller's names, then the telling names, then what the only two run; a backend may well be an nginx."""
    assert " ".join(each.name for each in choose("read x", containers, *names)) == expected


@pytest.mark.parametrize(
    ("containers", "names", "why"),
    [
        ([APP, OTHER], ("", ""), "which is the backend and which the proxy: app, other; name them: --backend NAME"),
        ([ENVOY, container("web", "nginx")], ("", ""), "which is the backend and which the proxy"),
        ([APP, OTHER, PROXY], ("", ""), "the backend and the proxy among: app, other, proxy"),
        ([APP, OTHER], ("nope", ""), '--backend: there is no container "nope", only: app, other'),
        ([APP, OTHER], ("", "nope"), '--proxy: there is no container "nope", only: app, other'),
        ([APP, OTHER], ("app", "app"), '"app" cannot be backend and proxy at once'),
        ([APP], ("", ""), "has 1: app; add the missing one"),
        ([], ("", ""), "has 0: none"),
    ],
)
def test_open_roles_are_refused(containers: list[Container], names: tuple[str, str], why: str) -> None:
    """What cannot be told is refused, with the names to choose from."""
    with pytest.raises(Refusal) as refusal:
        choose("read x", containers, *names)
    assert why in str(refusal.value)
