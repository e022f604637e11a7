"""What the combined image's config becomes: command, user, environment, ports, and what we do not know."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.composing import combined, composed, findings, refusal
from tests.images import (
    BASE_LAYER,
    DEFAULT_CONFIG,
    File,
    image,
    sha256,
    sidecar,
    tar,
    write_layout,
)


def test_the_command_the_engine_would_have_run(tmp_path: Path) -> None:
    """Entrypoint behind `enter --`, Cmd where it was; StopSignal is for PID 1, the backend's own is in the record."""
    result = combined(tmp_path, {**DEFAULT_CONFIG, "StopSignal": "SIGQUIT"})
    assert result.settings["Entrypoint"] == ["/opt/pillion/bin/pillion", "enter", "--", "/bin/app"]
    assert result.settings["Cmd"] == ["--serve", "a b"]
    assert result.settings["StopSignal"] == "SIGTERM"
    assert result.record["backend"]["stop_signal"] == "SIGQUIT"
    # PID 1 stands in WorkingDir, or where `-w` puts it: the backend stays there.
    assert result.settings["WorkingDir"] == "/srv" and result.record["backend"]["cwd"] == ""


@pytest.mark.parametrize(
    ("settings", "entrypoint", "cmd"),
    [
        ({"Cmd": ["app"]}, [], ["app"]),
        ({"Cmd": ["/bin/sh", "-c", "app $X"]}, [], ["/bin/sh", "-c", "app $X"]),
        ({"Entrypoint": ["app"]}, ["app"], None),
        ({"Entrypoint": ["/bin/sh", "-c", "exec app"], "Cmd": ["x"]}, ["/bin/sh", "-c", "exec app"], ["x"]),
        ({"Entrypoint": "app"}, ["app"], None),
        ({"Entrypoint": [""], "Cmd": ["app"]}, [], ["app"]),
        ({"Entrypoint": None, "Cmd": ["app"]}, [], ["app"]),
    ],
)
def test_only_one_of_entrypoint_and_cmd(
    tmp_path: Path, settings: dict[str, Any], entrypoint: list[str], cmd: list[str] | None
) -> None:
    """Exec form, shell form, text: as moby reads them."""
    result = combined(tmp_path, settings)
    assert result.settings["Entrypoint"][3:] == entrypoint
    assert result.settings.get("Cmd") == cmd


@pytest.mark.parametrize("settings", [{}, {"Entrypoint": [], "Cmd": []}, {"Entrypoint": None, "Cmd": [""]}])
def test_neither_entrypoint_nor_cmd(tmp_path: Path, settings: dict[str, Any]) -> None:
    """There is nothing to start."""
    assert "neither Entrypoint nor Cmd" in refusal(tmp_path, settings)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("app", "1234"),
        ("app:staff", "1234:50"),
        ("1000", "1000"),
        ("1000:staff", "1000:50"),
        ("77:88", "77:88"),
        ("", ""),
    ],
)
def test_user_becomes_a_number(tmp_path: Path, user: str, expected: str) -> None:
    """From the image's own files; numbers need none."""
    result = combined(tmp_path, {**DEFAULT_CONFIG, "User": user})
    assert result.settings.get("User", "") == expected
    assert result.record["backend"]["user"] == expected


def test_user_by_the_uppermost_passwd(tmp_path: Path) -> None:
    """A later layer's replaces the first's."""
    upper = tar("etc/", File("etc/passwd", b"app:x:4321:1::/:/bin/sh\n"))
    assert combined(tmp_path, {**DEFAULT_CONFIG, "User": "app"}, layers=[BASE_LAYER, upper]).settings["User"] == "4321"


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ([BASE_LAYER], "does not name 'nobody-there'"),
        ([BASE_LAYER, tar("etc/.wh.passwd")], "has no /etc/passwd"),
        ([tar(File("etc/passwd", kind=tarfile.SYMTYPE, link="/x"))], "is a link"),
    ],
)
def test_a_user_that_is_nobody(tmp_path: Path, layers: list[bytes], why: str) -> None:
    """The engine could not start it either."""
    assert why in refusal(tmp_path, {**DEFAULT_CONFIG, "User": "nobody-there"}, layers=layers)


def test_the_environment(tmp_path: Path) -> None:
    """In order; what the loader reads carries the namespace; the record has hashes, never values."""
    env = ["PATH=/x", "LD_PRELOAD=evil.so", "A=b=c", "NL=a\nb", "SECRET_KEY=hunter22", "E=", "GLIBC_TUNABLES=g"]
    result = combined(tmp_path, {**DEFAULT_CONFIG, "Env": env})
    moved = {"LD_PRELOAD=evil.so", "GLIBC_TUNABLES=g"}
    assert result.env == [f"BACKEND__{each}" if each in moved else each for each in env]
    fingerprints = result.record["backend"]["image_env"]
    assert fingerprints["SECRET_KEY"] == sha256(b"hunter22")[7:]
    assert set(fingerprints) == {entry.partition("=")[0] for entry in result.env}
    assert "hunter22" not in json.dumps(result.record)


@pytest.mark.parametrize(
    ("exposed", "port"),
    [
        ({"9000/tcp": {}}, 9000),
        ({"9000": {}}, 9000),
        ({"53/udp": {}, "80/tcp": {}}, 80),
        ({"1/tcp": {}, "2/tcp": {}}, 0),
        ({}, 0),
    ],
)
def test_the_backend_s_port(tmp_path: Path, exposed: dict[str, Any], port: int) -> None:
    """The one that EXPOSE declares; the proxy's own is exposed beside it."""
    result = combined(tmp_path, {**DEFAULT_CONFIG, "ExposedPorts": exposed})
    assert result.record["backend"]["port"] == port
    assert result.settings["ExposedPorts"] == {**exposed, "8080/tcp": {}}


def test_a_backend_on_the_proxy_s_port(tmp_path: Path) -> None:
    """Both would bind it: a finding that refuses, mended by another port for the proxy."""
    base = write_layout(tmp_path / "base", image(config={**DEFAULT_CONFIG, "ExposedPorts": {"8080/tcp": {}}}))
    side = write_layout(tmp_path / "side", sidecar())
    assert "port 8080" in findings(composed(base, side), "S1")
    mended = composed(base, side, env={"PROXY__LISTEN": ":9090"})
    assert not findings(mended, "S1")
    assert set(mended.composed[0].merged.config["config"]["ExposedPorts"]) == {"8080/tcp", "9090/tcp"}


def test_what_is_not_known_survives(tmp_path: Path) -> None:
    """Keys of the config, its settings, the manifest and its layers; and what typed structs are known to drop."""
    kept = {
        "Healthcheck": {"Test": ["CMD", "x"], "StartInterval": 5},
        "OnBuild": ["RUN x"],
        "Shell": ["/bin/ash", "-c"],
        "Volumes": {"/data": {}},
        "Labels": {"a": "b"},
        "StopTimeout": 30,
        "x-new": [1, {"y": None}],
    }
    top = {"os.version": "1", "author": "me", "x-top": 1.5}
    result = combined(
        tmp_path, {**DEFAULT_CONFIG, **kept}, top=top, manifest={"x-manifest": 1, "annotations": {"k": "v"}}
    )
    assert {key: result.settings[key] for key in kept} == kept
    assert {key: result.config[key] for key in top} == top
    assert result.manifest["x-manifest"] == 1 and result.manifest["annotations"]["k"] == "v"
    assert result.record["deadline_s"] == 28.5
    said = "\n".join(map(str, composed(tmp_path / "base", tmp_path / "side").findings))
    assert all(word in said for word in ("HEALTHCHECK", "OnBuild", "Shell", "VOLUME /data", "StopTimeout", "x-new"))
