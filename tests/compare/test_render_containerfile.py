"""A pair as a Containerfile; tests/containers builds and runs one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pillion.compare.render import Rendered
from pillion.image.refusal import Refusal
from tests.compare.render import pod, rendered

SECRET = {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
DOCUMENT = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hunter2"}}
ENV = [SECRET, {"name": "A", "value": 'a"\\$b`'}, {"name": "LINES", "value": "a\nb"}, {"name": "b c", "value": ""}]


def render(
    folder: Path, backend: dict[str, Any], proxy: dict[str, Any], layout: str = "shared", **more: Any
) -> Rendered:
    return rendered(folder, [pod(backend, proxy), DOCUMENT], layout, "containerfile", **more)


def lines(found: Rendered) -> list[str]:
    """The instructions."""
    return [line for line in found.text.splitlines() if line and not line.startswith("#")]


def test_shared_is_the_backends_image_and_the_layer(tmp_path: Path) -> None:
    """What `pillion build` makes, as far as the file of the pair knows it."""
    security = {"runAsUser": 7, "runAsGroup": 8}
    backend = {
        "args": ["a b"],
        "env": ENV,
        "workingDir": "/srv",
        "securityContext": security,
        "ports": [{"containerPort": 9}],
    }
    found = render(tmp_path, backend, {"env": [{"name": "LISTEN", "value": ":9090"}]})
    assert lines(found) == [
        "ARG BACKEND=shop:1",
        "ARG SIDECAR=pillion/sidecar",
        "FROM ${SIDECAR} AS sidecar",
        "FROM ${BACKEND}",
        "COPY --from=sidecar /opt/pillion /opt/pillion",
        r'ENV BACKEND__A="a\"\\\$b`"',
        'ENV PROXY__LISTEN=":9090"',
        'ENV PROXY__UPSTREAM="http://127.0.0.1:9"',
        "USER 7:8",
        'WORKDIR "/srv"',
        "EXPOSE 9090",
        "STOPSIGNAL SIGTERM",
        'ENTRYPOINT ["/opt/pillion/bin/pillion", "enter", "--", "serve"]',
        'CMD ["a b"]',
    ]


@pytest.mark.parametrize("more", [{}, {"with_secrets": True}])
def test_no_secret_is_in_it(tmp_path: Path, more: dict[str, bool]) -> None:
    """Whatever is asked for; their names are, and those of what ENV cannot hold."""
    found = render(tmp_path, {"env": ENV}, {"env": [{"name": "PROXY__TOKEN", "value": "t0ken"}]}, **more)
    assert "hunter2" not in found.text and "t0ken" not in found.text
    assert "#   BACKEND__PW\n" in found.text and "#   PROXY__TOKEN\n" in found.text
    said = "\n".join(found.notices)
    assert "BACKEND__LINES: an ENV" in said and "BACKEND__b c: an ENV" in said and "BACKEND__PW" in said


def test_without_a_command_it_asks_for_the_images_own(tmp_path: Path) -> None:
    """An ENTRYPOINT of ours drops the Cmd below it."""
    found = render(tmp_path, {"command": None}, {})
    assert "ARG BACKEND_CMD=" in lines(found) and "ENV PILLION_COMMAND=${BACKEND_CMD}" in lines(found)
    assert lines(found)[-1] == 'ENTRYPOINT ["/opt/pillion/bin/pillion", "enter", "--"]'
    assert any("--build-arg 'BACKEND_CMD=[...]'" in notice for notice in found.notices)


def test_separate_is_a_target_each(tmp_path: Path) -> None:
    """There is nothing to combine: the two images with what the pair's file adds to them."""
    found = render(tmp_path, {"env": ENV}, {"image": "envoy:1", "args": ["-l"]}, "separate")
    text = "\n".join(lines(found))
    assert text == "\n".join(
        [
            "FROM shop:1 AS backend",
            r'ENV A="a\"\\\$b`"',
            "EXPOSE 8000",
            'ENTRYPOINT ["serve"]',
            "FROM envoy:1 AS proxy",
            "EXPOSE 8080",
            'CMD ["-l"]',
        ]
    )


@pytest.mark.parametrize("image", ["", "a b", "$(X)", "x\nRUN rm"])
def test_an_image_to_build_on_is_needed(tmp_path: Path, image: str) -> None:
    """And a name that is none never reaches the file."""
    with pytest.raises(Refusal, match=r"containers\[0\].image is"):
        render(tmp_path, {"image": image}, {})
