"""`pillion build`: one line for what cannot be, nothing left behind, the same bytes anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ENTRY, eventually
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
    write_docker_archive,
    write_layout,
    write_oci_archive,
)


@pytest.fixture
def place(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a backend's and a sidecar's layout, and a cache of its own elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    write_layout(tmp_path / "base", image(), names=["v1"])
    write_layout(tmp_path / "side", sidecar())
    return tmp_path


def pillion(place: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [ENTRY, "build", *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=False, **options)  # type: ignore[call-overload, no-any-return]


def refused(place: Path, *arguments: str, **options: object) -> str:
    """The one line; the directory is as it was before."""
    before = {path: path.lstat().st_mtime_ns for path in place.rglob("*") if not path.is_dir()}
    ended = pillion(place, *arguments, **options)
    assert ended.returncode == 2, ended.stderr + ended.stdout
    (line,) = ended.stderr.splitlines()
    assert line.startswith("pillion: cannot ") and "Traceback" not in ended.stdout
    assert {path: path.lstat().st_mtime_ns for path in place.rglob("*") if not path.is_dir()} == before
    assert not (place / "out").exists() and not (place / "out.tar").exists()
    return line


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


def flip(path: Path, at: int = -20) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def blob_of(place: Path, kind: str) -> Path:
    blobs = place / "base/blobs/sha256"
    index = json.loads((place / "base/index.json").read_text())
    manifest = blobs / str(index["manifests"][0]["digest"][7:])
    if kind == "manifest":
        return manifest
    document = json.loads(manifest.read_bytes())
    descriptor = document["config"] if kind == "config" else document["layers"][0]
    return blobs / str(descriptor["digest"][7:])


def rewrite_index(place: Path, change: Callable[[dict[str, object]], object]) -> None:
    index = json.loads((place / "base/index.json").read_text())
    change(index["manifests"][0])
    (place / "base/index.json").write_text(json.dumps(index))


def text_config(place: Path) -> None:
    """A config that is no JSON, with the right digest everywhere."""
    blob_of(place, "config").unlink()
    document = json.loads(blob_of(place, "manifest").read_bytes())
    blob_of(place, "manifest").unlink()
    document["config"] |= {"digest": sha256(b"not json"), "size": 8}
    data = json.dumps(document).encode()
    for each in (b"not json", data):
        (place / "base/blobs/sha256" / sha256(each)[7:]).write_bytes(each)
    rewrite_index(place, lambda descriptor: descriptor.update(digest=sha256(data), size=len(data)))


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda place: flip(blob_of(place, "layer")), "has the digest"),
    (lambda place: flip(blob_of(place, "config")), "has the digest"),
    (lambda place: flip(blob_of(place, "manifest")), "has the digest"),
    (lambda place: blob_of(place, "layer").unlink(), "has no blob sha256:"),
    (lambda place: os.truncate(blob_of(place, "layer"), 40), "has 40 bytes where"),
    (lambda place: (place / "base/index.json").write_text("{"), "index.json is not JSON"),
    (lambda place: (place / "base/index.json").write_text("[]"), "is not a JSON object"),
    (lambda place: (place / "base/index.json").write_text("[" * 99999), "is not JSON"),
    (lambda place: (place / "base/index.json").write_bytes(b"\xff\xfe"), "is not JSON"),
    (lambda place: (place / "base/index.json").unlink(), "has no index.json"),
    (text_config, "is not JSON"),
    (lambda place: rewrite_index(place, lambda each: each.update(digest="sha256:../../../etc/passwd")), "no sha256"),
    (lambda place: rewrite_index(place, lambda each: each.update(size=-1)), "is no size"),
    (lambda place: rewrite_index(place, lambda each: each.update(size=9**99)), "bytes where"),
    (lambda place: rewrite_index(place, lambda each: each.update(mediaType="text/plain")), "no image manifest"),
]


@pytest.mark.parametrize(("damage", "says"), DAMAGE)
def test_a_damaged_layout(place: Path, damage: Callable[[Path], object], says: str) -> None:
    """Named and refused, nothing written."""
    damage(place)
    line = refused(place, "base", "--sidecar", "side", "-o", "out")
    assert says in line and "base" in line


def test_no_verify_trusts_the_layers_alone(place: Path) -> None:
    """Documents are verified in any case."""
    flip(blob_of(place, "layer"))
    assert pillion(place, "base", "--sidecar", "side", "-o", "out", "--no-verify").returncode == 0
    flip(blob_of(place, "config"))
    assert pillion(place, "base", "--sidecar", "side", "-o", "out2", "--no-verify").returncode == 2


def archive_members(place: Path, *members: File) -> None:
    (place / "base.tar").write_bytes(tar(*members))


ARCHIVES: list[tuple[Callable[[Path], object], str]] = [
    (lambda place: os.truncate(place / "base.tar", 3000), "in the middle"),
    (lambda place: flip(place / "base.tar", 10), "header in it is damaged"),
    (lambda place: (place / "base.tar").write_bytes(b"x" * 5000), "no tar"),
    (lambda place: (place / "base.tar").write_bytes(b""), "no image"),
    (lambda place: (place / "base.tar").write_bytes(b"\x1f\x8bxxx"), "compressed"),
    (lambda place: archive_members(place, File("../index.json", b"{}")), "leads out of the archive"),
    (lambda place: archive_members(place, File("manifest.json", b"[{}]")), "None"),
    (lambda place: archive_members(place, File("manifest.json", b"{}")), "not a list of images"),
    (
        lambda place: archive_members(place, File("manifest.json", b'[{"Config": "/etc/passwd", "Layers": []}]')),
        "no member '/etc/passwd'",
    ),
    (
        lambda place: archive_members(
            place, File("c", b"{}"), File("manifest.json", b'[{"Config":"c","Layers":["c"]}]')
        ),
        "1 layers and 0",
    ),
]


@pytest.mark.parametrize("writer", [write_oci_archive, write_docker_archive])
@pytest.mark.parametrize(("damage", "says"), ARCHIVES)
def test_a_damaged_archive(
    place: Path, writer: Callable[..., Path], damage: Callable[[Path], object], says: str
) -> None:
    """Truncated, garbage, compressed, or with names that lead out."""
    writer(place / "base.tar", *([image()] if writer is write_oci_archive else []))
    damage(place)
    assert says in refused(place, "base.tar", "--sidecar", "side", "-o", "out")


def test_a_docker_archive_s_layer_is_verified(place: Path) -> None:
    """By its diff id, as it has no digest of its own."""
    write_docker_archive(place / "base.tar")
    data = (place / "base.tar").read_bytes()
    at = data.index(b"print(1)")
    (place / "base.tar").write_bytes(data[:at] + b"print(2)" + data[at + 8 :])
    assert "has the digest" in refused(place, "base.tar", "--sidecar", "side", "-o", "out")


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


def test_a_layer_that_leads_out(place: Path) -> None:
    """Named with the layer."""
    write_layout(place / "evil", image([tar(File("../../etc/cron.d/x"))]))
    assert "leads out of its root" in refused(place, "evil", "--sidecar", "side", "-o", "out")


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
        (["docker://busybox", "--sidecar", "side", "-o", "out"], "skopeo copy"),
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


def test_a_directory_with_something_else_in_it(place: Path) -> None:
    """Is not written into."""
    (place / "full").mkdir()
    (place / "full" / "file").write_text("x")
    assert "something else in it" in refused(place, "base", "--sidecar", "side", "-o", "full")


@pytest.mark.parametrize("out", ["out", "out.tar", "oci:base:new"])
def test_a_full_disk(place: Path, out: str) -> None:
    """No file may be longer than what is left: everything that was begun is gone again."""
    write_layout(place / "elsewhere", sidecar())
    write_oci_archive(place / "base.tar", image())
    source = "base.tar" if out != "oci:base:new" else "base"
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900)); os.execv(sys.argv[1], sys.argv[1:])"
    command = [
        sys.executable,
        "-c",
        f"import os, resource, sys; {limit}",
        str(ENTRY),
        "build",
        source,
        "--sidecar",
        "side",
        "-o",
        out,
    ]
    before = sorted(place.rglob("*"))
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2 and "File too large" in ended.stderr, ended.stderr
    assert sorted(place.rglob("*")) == before


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


@pytest.mark.parametrize("out", ["out.tar", "out"])
def test_a_signal_in_the_middle(place: Path, out: str) -> None:
    """Ends it with 128 + signal; what was begun is gone. The layer is sparse, and too long to be written at once."""
    size, digest = 64 << 30, f"sha256:{'0' * 64}"
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "config": DEFAULT_CONFIG, "rootfs": {"diff_ids": [digest]}}
    )
    layer = {"mediaType": OCI_LAYER, "digest": digest, "size": size}
    built = image([], top=json.loads(config), manifest={"layers": [layer]})
    write_layout(place / "big", built)
    sparse = place / "big/blobs/sha256" / digest[7:]
    sparse.touch()
    os.truncate(sparse, size)
    verify = ["--no-verify"] if out == "out.tar" else []
    command = [ENTRY, "build", "big", "--sidecar", "side", "-o", out, *verify]
    process = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def begun() -> object:
        if verify:
            return list(place.glob(".out*"))
        opened = Path(f"/proc/{process.pid}/fd").iterdir()
        return [each for each in opened if str(each.readlink()) == str(sparse)]

    eventually(begun)
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + 15 and "stopped by SIGTERM" in said
    assert not list(place.glob(".out*")) and not (place / out).exists()
