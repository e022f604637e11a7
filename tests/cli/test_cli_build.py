"""`pillion build`: one line for what cannot be, nothing left behind, the same bytes anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.building import flip, pillion, refused
from tests.images import (
    DEFAULT_CONFIG,
    OCI_LAYER,
    File,
    Result,
    image,
    index_of,
    sha256,
    sidecar,
    tar,
    write_layout,
)


@pytest.mark.parametrize("out", ["out", "oci:out:v2", "out.tar", "oci-archive:out.x", "docker-archive:out.x"])
def test_build(place: Path, out: str) -> None:
    """Every destination; the digest is the last line."""
    ended = pillion(place, "base", "--sidecar", "side", "-o", out, "--name", "orders:1")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("sha256:")
    assert "orders:1" in ended.stdout


def test_the_same_bytes_anywhere(place: Path) -> None:
    """Another umask, time zone and locale, and later."""
    digests = set()
    for at, (umask, zone, language) in enumerate([(0o022, "UTC", "C"), (0o077, "Asia/Tokyo", "de_DE.UTF-8")]):
        env = {**os.environ, "TZ": zone, "LC_ALL": language, "PYTHONHASHSEED": str(at)}
        ended = pillion(place, "base", "--sidecar", "side", "-o", f"{at}.tar", umask=umask, env=env)
        assert ended.returncode == 0, ended.stderr
        digests.add(sha256((place / f"{at}.tar").read_bytes()))
    assert len(digests) == 1


def test_source_date_epoch(place: Path) -> None:
    """Replaces the time that is otherwise the base's own."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": "86400"}
    assert pillion(place, "base", "--sidecar", "side", "-o", "out", env=env).returncode == 0
    assert Result(place / "out").config["created"] == "1970-01-02T00:00:00Z"
    ended = pillion(place, "base", "--check", env={**env, "SOURCE_DATE_EPOCH": "soon"})
    assert ended.returncode == 2 and "SOURCE_DATE_EPOCH=soon" in ended.stderr


def test_check_writes_nothing_and_shows_no_value(place: Path) -> None:
    """What would collide, and the config; 1 from --fail-on upwards; no sidecar needed."""
    config = {**DEFAULT_CONFIG, "Env": ["API_TOKEN=hunter22"], "ExposedPorts": {"8080/tcp": {}}}
    write_layout(place / "clash", image(config=config))
    before = sorted(place.rglob("*"))
    ended = pillion(place, "clash", "--check", env={**os.environ, "COLUMNS": "80"})
    assert ended.returncode == 1 and "port 8080" in ended.stdout and "API_TOKEN" in ended.stdout
    assert "hunter22" not in ended.stdout + ended.stderr
    assert max(map(len, ended.stdout.splitlines())) <= 80
    ended = pillion(place, "clash", "--check", "--json", "--fail-on", "S0")
    assert ended.returncode == 0 and "hunter22" not in ended.stdout
    document = json.loads(ended.stdout)
    assert document["images"][0]["environment"][0] == {
        "name": "API_TOKEN",
        "severity": "S0",
        "merged": "the other program can read the secret",
        "origin": "ENV",
        "seen_by": "backend",
    }
    assert "S1" in [finding["severity"] for finding in document["findings"]]
    assert pillion(place, "base", "--check").returncode == 0
    assert sorted(place.rglob("*")) == before


def test_a_finding_that_refuses_is_refused_before_anything_is_written(place: Path) -> None:
    """With what to do about it."""
    write_layout(place / "clash", image(config={**DEFAULT_CONFIG, "ExposedPorts": {"8080/tcp": {}}}))
    assert "PROXY__LISTEN" in refused(place, "clash", "--sidecar", "side", "-o", "out")
    ended = pillion(place, "clash", "--sidecar", "side", "-o", "out", "--env", "PROXY__LISTEN=:9000", "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["images"][0]["id"] == Result(place / "out").manifest["config"]["digest"]


def test_what_a_layer_holds_is_remembered(place: Path) -> None:
    """By its digest, once verified; the digest is verified each time, and a broken cache is no cache."""
    write_layout(place / "full", image([tar("opt/", "opt/pillion/")]))
    cache = Path(os.environ["XDG_CACHE_HOME"], "pillion")
    first = pillion(place, "full", "--check", "--json").stdout
    (entry,) = cache.rglob("*.json")  # a check without a sidecar
    assert entry.stat().st_mode & 0o077 == 0 or entry.parent.stat().st_mode & 0o077 == 0
    assert pillion(place, "full", "--check", "--json").stdout == first
    assert "/opt/pillion: is there already" in refused(place, "full", "--sidecar", "side", "-o", "out", "--no-verify")
    for broken in ("", "[]", '[{"opt": 1}, [], [], 0, "", ""]'):
        entry.write_text(broken)
        assert pillion(place, "full", "--check", "--json").stdout == first
    for layer in (place / "full/blobs/sha256").iterdir():
        if layer.read_bytes()[:2] == b"\x1f\x8b":
            flip(layer)
    assert "has the digest" in refused(place, "full", "--sidecar", "side", "-o", "out")


def test_nothing_unverified_is_remembered(place: Path) -> None:
    """Or one damaged layer would be believed for ever."""
    write_layout(place / "named", image(config={**DEFAULT_CONFIG, "User": "app"}))
    assert pillion(place, "named", "--sidecar", "side", "-o", "out", "--no-verify").returncode == 0
    (entry,) = Path(os.environ["XDG_CACHE_HOME"]).rglob("*.json")
    (sidecar_layer,) = (each for each in (place / "side/blobs/sha256").iterdir() if each.name == entry.stem)
    assert sidecar_layer.read_bytes()[:2] == b"\x1f\x8b", "the sidecar is verified in any case"


def test_an_artifact_is_no_image(place: Path) -> None:
    """A Helm chart, say: its layers are none."""
    write_layout(place / "chart", image(types=[f"{OCI_LAYER}+gzip", "application/vnd.cncf.helm.chart"]))
    assert "cannot be carried along" in refused(place, "chart", "--sidecar", "side", "-o", "out")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere", "--sidecar", "side", "-o", "out"], "no such file"),
        (["base", "--sidecar", "nowhere", "-o", "out"], "nowhere: there is no such file"),
        (["oci:base:v2", "--sidecar", "side", "-o", "out"], "has no image 'v2'"),
        (["base", "--sidecar", "side", "-o", "out", "--platform", "linux/arm64"], "has no image for linux/arm64"),
        (["base", "--sidecar", "side", "-o", "out", "--platform", "arm64"], "OS/ARCHITECTURE"),
        (["base", "--sidecar", "side", "-o", "out", "--name", "Ürders"], "no image name"),
        (["base", "--sidecar", "side", "-o", "out", "--env", "X"], "NAME=VALUE"),
        (["base", "--sidecar", "side"], "-o OUT"),
        (["base", "-o", "out"], "--sidecar"),
        (["dir:busybox", "--sidecar", "side", "-o", "out"], "skopeo copy"),
        (["docker:busybox", "--sidecar", "side", "-o", "out"], "skopeo copy"),
        (["containers-storage:", "--sidecar", "side", "-o", "out"], "containers-storage:orders:1"),
        (["docker-daemon:--all", "--sidecar", "side", "-o", "out"], "docker-daemon:orders:1"),
        (["docker://", "--sidecar", "side", "-o", "out"], "docker://registry.example/orders:1"),
        (["base", "--sidecar", "side", "-o", "containers-storage:Ürders"], "names no image"),
        (["base", "--sidecar", "side", "-o", "containers-storage:Shop/orders"], "'Shop/orders' is no image name"),
        (["base", "--sidecar", "side", "-o", "containers-storage:Orders"], "no image name"),
        (["base", "--sidecar", "side", "-o", "docker-daemon:orders@sha256:1"], "no image name"),
        (["base", "--sidecar", "side", "-o", "containers-storage:o", "--name", "p"], "both name the image"),
        (["base", "--sidecar", "side", "-o", "out", "--tls-verify=no"], "'no' is not true or false"),
        (["base", "--sidecar", "base", "-o", "out"], "2 layers where a sidecar has one"),
        (["oci-archive:base", "--sidecar", "side", "-o", "out"], "is a directory"),
        (["base", "--sidecar", "side", "-o", "oci-archive:side"], "side is a directory"),
        (["base", "--sidecar", "side", "-o", "/proc/1/out"], "/proc/1/out"),
        (["base", "--sidecar", "side", "-o", "/dev/null/out.tar"], "/dev/null/out.tar"),
        (["/dev/zero", "--sidecar", "side", "-o", "out"], "not a regular file"),
    ],
)
def test_arguments_that_cannot_be(place: Path, arguments: list[str], says: str) -> None:
    """Exit code 2, one line."""
    assert says in refused(place, *arguments)


@pytest.mark.parametrize(
    ("reference", "missing"),
    [
        ("containers-storage:orders", "engine podman is not installed"),
        ("docker-daemon:orders", "engine docker is not installed"),
        ("docker://127.0.0.1:1/orders", "skopeo, which is not installed"),
    ],
)
def test_an_engine_that_is_missing(place: Path, reference: str, missing: str) -> None:
    """As base, as sidecar and as destination; files can still be named."""
    env = {**os.environ, "PATH": str(place)}
    for arguments in (
        (reference, "--sidecar", "side", "-o", "out"),
        ("base", "--sidecar", reference, "-o", "out"),
        ("base", "--sidecar", "side", "-o", reference),
    ):
        assert missing in refused(place, *arguments, env=env)


def test_a_directory_with_something_else_in_it(place: Path) -> None:
    """Is not written into."""
    (place / "full").mkdir()
    (place / "full" / "file").write_text("x")
    assert "something else in it" in refused(place, "base", "--sidecar", "side", "-o", "full")


def test_several_images_want_a_tag(place: Path) -> None:
    """They are named."""
    write_layout(place / "many", image(), image([tar("x/")]), names=["one", "two"])
    assert "one, two" in refused(place, "many", "--sidecar", "side", "-o", "out")
    assert pillion(place, "oci:many:two", "--sidecar", "side", "-o", "out").returncode == 0


def test_several_platforms_into_docker_s_archive(place: Path) -> None:
    """It holds one."""
    write_layout(place / "many", index_of(image(), image(architecture="arm64")))
    arm = sidecar(architecture="arm64", layer=tar("opt/", File("opt/pillion/bin/pillion", b"#!", 0o755)))
    write_layout(place / "sides", index_of(sidecar(), arm))
    line = refused(place, "many", "--sidecar", "sides", "-o", "docker-archive:out.tar")
    assert "--platform" in line
    assert pillion(place, "many", "--sidecar", "sides", "-o", "oci-archive:out.tar").returncode == 0
