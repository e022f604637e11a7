"""From images to the combined one: what stays byte for byte, what the config becomes, and what is refused."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pillion.image.compose.composition import Composition, Request, compose, write
from pillion.image.compose.image import read_platform
from pillion.image.compose.media_types import DOCKER, OCI, Family
from pillion.image.compose.merge import Options
from pillion.image.compose.reference import full_name, read_destination, read_reference
from pillion.image.refusal import Refusal
from tests.images import (
    BASE_LAYER,
    DEFAULT_CONFIG,
    DOCKER_LAYER,
    ELF_ARM64,
    OCI_LAYER,
    TOP_LAYER,
    File,
    Result,
    image,
    index_of,
    read_archive,
    sha256,
    sidecar,
    sidecar_layer,
    tar,
    write_docker_archive,
    write_layout,
    write_oci_archive,
)


def composed(
    base: Path | str,
    side: Path | str,
    *,
    platform: str = "",
    verify: bool = True,
    rebase: bool = False,
    family: Family | None = None,
    **options: Any,
) -> Composition:
    request = Request(
        read_reference(str(base), "build"),
        read_reference(str(side), "build"),
        Options(**options),
        read_platform(platform) if platform else None,
        verify,
        rebase,
        family,
    )
    return compose(request, lambda what, total, done: None)


def built(base: Path | str, side: Path | str, out: Path | str, name: str = "", **options: Any) -> Path:
    to = read_destination(str(out), "build")
    write(composed(base, side, **options), name, to, lambda what, total, done: None)
    return to.path


def combined(tmp_path: Path, config: Mapping[str, Any] | None = None, **options: Any) -> Result:
    """The combined image of a small backend with this config."""
    base = write_layout(tmp_path / "base", image(config=dict(DEFAULT_CONFIG if config is None else config), **options))
    side = write_layout(tmp_path / "side", sidecar())
    return Result(built(base, side, tmp_path / "out"))


def refusal(tmp_path: Path, config: Mapping[str, Any], **options: Any) -> str:
    with pytest.raises(Refusal) as refused:
        combined(tmp_path, config, **options)
    assert not (tmp_path / "out").exists()
    return str(refused.value)


def findings(composition: Composition, severity: str) -> str:
    return "\n".join(str(each) for each in composition.findings if each.severity == severity)


def test_the_base_s_layers_stay_and_ours_comes_last(tmp_path: Path) -> None:
    """Digests and order unchanged, duplicates included."""
    layers = [BASE_LAYER, TOP_LAYER, BASE_LAYER, tar("srv/.wh.app.py", "var/.wh..wh..opq")]
    backend = image(layers)
    base = write_layout(tmp_path / "base", backend)
    result = Result(built(base, write_layout(tmp_path / "side", sidecar()), tmp_path / "out"))
    before = [layer["digest"] for layer in json.loads(backend.blobs[backend.descriptor["digest"]])["layers"]]
    assert result.digests[:-1] == before
    assert result.config["rootfs"]["diff_ids"] == [*map(sha256, layers), sha256(sidecar_layer())]
    assert all(result.blob(layer) == backend.blobs[layer["digest"]] for layer in result.manifest["layers"][:-1])


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


def test_where_it_comes_from(tmp_path: Path) -> None:
    """The base by name and digest, the sidecar by digest and version; one history entry more."""
    backend = image()
    base = write_layout(tmp_path / "base", backend, names=["registry.example/team/orders:1"])
    result = Result(built(base, write_layout(tmp_path / "side", sidecar()), tmp_path / "out"))
    said = result.manifest["annotations"]
    assert said["org.opencontainers.image.base.name"] == "registry.example/team/orders:1"
    assert said["org.opencontainers.image.base.digest"] == backend.descriptor["digest"]
    assert said["dev.pillion.sidecar.digest"] == result.digests[-1]
    assert said["dev.pillion.sidecar.version"] == "1.2"
    assert [each.get("created_by", "")[:13] for each in result.config["history"]] == [
        "step 0",
        "step 1",
        "pillion build",
    ]


def test_docker_s_format(tmp_path: Path) -> None:
    """One family out, the sidecar's layer included; labels, as its manifests have no annotations."""
    result = combined(tmp_path, docker=True)
    assert result.manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert {layer["mediaType"] for layer in result.manifest["layers"]} == {f"{DOCKER_LAYER}.gzip"}
    assert "annotations" not in result.manifest
    assert result.settings["Labels"]["dev.pillion.sidecar.digest"] == result.digests[-1]


@pytest.mark.parametrize("family", [OCI, DOCKER])
def test_the_other_format_on_request(tmp_path: Path, family: Family) -> None:
    """The bytes of the layers stay, the types change together, and a rebase of it still works."""
    base = write_layout(tmp_path / "base", image(docker=family is OCI))
    side = write_layout(tmp_path / "side", sidecar())
    out = built(base, side, tmp_path / "out", family=family)
    manifest = Result(out).manifest
    assert manifest["mediaType"] == family.manifest and manifest["config"]["mediaType"] == family.config
    assert {layer["mediaType"] for layer in manifest["layers"]} == {family.layers["gzip"]}
    again = built(out, side, tmp_path / "again", rebase=True)
    assert Result(again).digests == Result(out).digests


def test_a_mixed_manifest_becomes_one_family(tmp_path: Path) -> None:
    """podman refuses one that has both; the bytes stay."""
    result = combined(tmp_path, types=[f"{OCI_LAYER}+gzip", f"{DOCKER_LAYER}.gzip"])
    assert {layer["mediaType"] for layer in result.manifest["layers"]} == {f"{OCI_LAYER}+gzip"}


@pytest.mark.parametrize("compress", ["plain", "zstd"])
def test_layers_that_are_not_gzip(tmp_path: Path, compress: str) -> None:
    """Carried along as they are."""
    result = combined(tmp_path, compress=compress)
    suffix = {"plain": "", "zstd": "+zstd"}[compress]
    assert result.manifest["layers"][0]["mediaType"] == OCI_LAYER + suffix


def test_zstd_in_docker_s_format(tmp_path: Path) -> None:
    """It has no such type: refused, naming the layer."""
    kinds = ["application/vnd.docker.image.rootfs.diff.tar.zstd"] * 2
    said = refusal(tmp_path, DEFAULT_CONFIG, docker=True, compress="zstd", types=kinds)
    assert "layer sha256:" in said and "is zstd" in said


def test_zstd_into_a_docker_archive(tmp_path: Path) -> None:
    """docker 20.10 cannot load it."""
    base = write_layout(tmp_path / "base", image(compress="zstd"))
    with pytest.raises(Refusal, match=r"layer sha256:.* is zstd"):
        built(base, write_layout(tmp_path / "side", sidecar()), f"docker-archive:{tmp_path / 'out.tar'}")
    assert not list(tmp_path.glob("*out.tar*"))


@pytest.mark.parametrize(
    ("layer", "severity", "says"),
    [
        (tar(File("opt", kind=tarfile.SYMTYPE, link="var/opt")), "S1", "symbolic link to var/opt"),
        (tar(File("opt", b"x")), "S1", "/opt: is a file"),
        (tar(File("opt/", mode=0o700)), "S1", "mode 0700"),
        (tar(File("opt/", mode=0o775)), "S2", "turns from 0775 0:0 to 0755 0:0"),
        (tar("opt/", "opt/pillion/", File("opt/pillion/x")), "S1", "/opt/pillion: is there already"),
    ],
)
def test_a_base_that_cannot_hold_us(tmp_path: Path, layer: bytes, severity: str, says: str) -> None:
    """Found in the layers' headers before anything is written; a symlink into /opt of usr-merged bases is no matter."""
    base = write_layout(tmp_path / "base", image([layer]))
    side = write_layout(tmp_path / "side", sidecar())
    assert says in findings(composed(base, side), severity)
    assert not findings(composed(base, side, verify=False), severity), "--no-verify looks at no file"


def test_a_volume_over_our_files(tmp_path: Path) -> None:
    """It would hide them."""
    base = write_layout(tmp_path / "base", image(config={**DEFAULT_CONFIG, "Volumes": {"/opt": {}, "/data": {}}}))
    found = findings(composed(base, write_layout(tmp_path / "side", sidecar())), "S1")
    assert "VOLUME /opt" in found and "/data" not in found


def test_every_source_and_form_gives_one_image(tmp_path: Path) -> None:
    """The same config, and so the same image id, from a layout and an archive, into a layout and an archive."""
    backend = image()
    side = write_layout(tmp_path / "side", sidecar())
    sources = [write_layout(tmp_path / "base", backend), write_oci_archive(tmp_path / "base.tar", backend)]
    results = []
    for at, source in enumerate(sources):
        results.append(Result(built(source, side, tmp_path / f"{at}")))
        results.append(Result(read_archive(built(source, side, tmp_path / f"{at}.tar"))))
    assert len({result.descriptor["digest"] for result in results}) == 1


@pytest.mark.parametrize("compress", ["plain", "gzip"])
def test_a_docker_archive(tmp_path: Path, compress: str) -> None:
    """Layers plain or gzip, one that is a link to another, and a name."""
    layers = [BASE_LAYER, TOP_LAYER, BASE_LAYER]
    source = write_docker_archive(tmp_path / "base.tar", layers, compress=compress)
    side = write_layout(tmp_path / "side", sidecar())
    result = Result(built(source, side, tmp_path / "out"))
    assert result.config["rootfs"]["diff_ids"][:-1] == [sha256(layer) for layer in layers]
    assert Result(built(f"docker-archive:{source}:orders:1", side, tmp_path / "again")).descriptor == result.descriptor
    with pytest.raises(Refusal, match="orders:1"):
        composed(f"docker-archive:{source}:other", side)


def test_the_archive_is_for_docker_too(tmp_path: Path) -> None:
    """`manifest.json` names the same config and blobs as the index, and the same name."""
    side = write_layout(tmp_path / "side", sidecar())
    base = write_layout(tmp_path / "base", image())
    files = read_archive(built(base, side, tmp_path / "out.tar", full_name("orders", "build")))
    result = Result(files)
    (entry,) = json.loads(files["manifest.json"])
    assert entry["Config"] == f"blobs/sha256/{result.manifest['config']['digest'][7:]}"
    assert entry["Layers"] == [f"blobs/sha256/{digest[7:]}" for digest in result.digests]
    assert entry["RepoTags"] == ["localhost/orders:latest"]
    assert result.descriptor["annotations"]["io.containerd.image.name"] == "localhost/orders:latest"
    assert result.descriptor["annotations"]["org.opencontainers.image.ref.name"] == "latest"


def test_a_layout_takes_one_more_image(tmp_path: Path) -> None:
    """Beside what is there; the same tag is replaced."""
    base = write_layout(tmp_path / "base", image(), names=["v1"])
    side = write_layout(tmp_path / "side", sidecar())
    for _ in range(2):
        built(f"oci:{base}:v1", side, f"oci:{base}:combined")
    tags = [each["annotations"]["org.opencontainers.image.ref.name"] for each in Result(base).index["manifests"]]
    assert tags == ["v1", "combined"]
    assert not list(base.rglob(".*"))


@pytest.mark.parametrize("form", ["layer", "layer.gz", "archive"])
def test_forms_of_the_sidecar(tmp_path: Path, form: str) -> None:
    """The bare layer, plain or gzip, or an archive of the image."""
    base = write_layout(tmp_path / "base", image())
    if form == "archive":
        side = write_oci_archive(tmp_path / "side.tar", sidecar())
    else:
        built_image = sidecar(compress="gzip" if form == "layer.gz" else "plain")
        (digest,) = (
            layer["digest"] for layer in json.loads(built_image.blobs[built_image.descriptor["digest"]])["layers"]
        )
        side = tmp_path / form
        side.write_bytes(built_image.blobs[digest])
    result = Result(built(base, side, tmp_path / "out"))
    assert result.config["rootfs"]["diff_ids"][-1] == sha256(sidecar_layer())


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (tar("opt/", File("opt/pillion/x")), "has no /opt/pillion/bin/pillion"),
        (sidecar_layer(extra=[File("etc/passwd", b"x")]), "has /etc/passwd"),
        (sidecar_layer(extra=["opt/.wh.other"]), "has /opt/.wh.other"),
        (sidecar_layer(ELF_ARM64), "is for arm64"),
        (sidecar_layer(extra=[File("opt/pillion/../../x")]), "leads out of its root"),
    ],
)
def test_what_is_no_sidecar(tmp_path: Path, layer: bytes, why: str) -> None:
    """Nothing outside our prefix, the entry in it, for the machine it is said to be for."""
    base = write_layout(tmp_path / "base", image())
    with pytest.raises(Refusal, match=why):
        composed(base, write_layout(tmp_path / "side", sidecar(layer)))


def two_platforms(**options: Any) -> Any:
    attestation = {
        **image([TOP_LAYER]).descriptor,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    return index_of(image(), image(architecture="arm64", variant="v8"), extra=[attestation], **options)


def test_an_index_for_two_platforms(tmp_path: Path) -> None:
    """Each gets the sidecar of its own; attestations are dropped, as they attest to other bytes."""
    base = write_layout(tmp_path / "base", two_platforms())
    sides = index_of(sidecar(), sidecar(sidecar_layer(ELF_ARM64), architecture="arm64"))
    side = write_layout(tmp_path / "side", sides)
    result = Result(built(base, side, tmp_path / "out"))
    listed = result.json(result.descriptor)["manifests"]
    assert [each["platform"]["architecture"] for each in listed] == ["amd64", "arm64"]
    last = [result.json(result.json(each)["config"])["rootfs"]["diff_ids"][-1] for each in listed]
    assert last == [sha256(sidecar_layer()), sha256(sidecar_layer(ELF_ARM64))]
    assert "attestations: 1 dropped" in findings(composed(base, side), "S3")
    one = Result(built(base, side, tmp_path / "one", platform="linux/arm64"))
    assert one.config["architecture"] == "arm64"


def test_a_missing_architecture(tmp_path: Path) -> None:
    """Of the sidecar, or of the base."""
    base = write_layout(tmp_path / "base", two_platforms())
    side = write_layout(tmp_path / "side", sidecar())
    with pytest.raises(Refusal, match=r"sidecar is for linux/amd64, .* linux/arm64"):
        composed(base, side)
    with pytest.raises(Refusal, match=r"has no image for linux/s390x \(it has linux/amd64, linux/arm64\)"):
        composed(base, side, platform="linux/s390x")
    assert composed(base, side, platform="linux/amd64").composed[0].base.platform.architecture == "amd64"


@pytest.mark.parametrize("docker", [False, True])
def test_a_rebase_equals_a_fresh_composition(tmp_path: Path, docker: bool) -> None:
    """A new sidecar under the old backend, and a new backend under the old sidecar."""
    config = {**DEFAULT_CONFIG, "User": "app", "StopSignal": "SIGINT", "Env": ["LD_PRELOAD=x", "A=1", "BACKEND__B=2"]}
    said: dict[str, Any] = (
        {} if docker else {"manifest": {"annotations": {"org.opencontainers.image.base.name": "x/y:1", "k": "v"}}}
    )
    old = write_layout(tmp_path / "old", image(config=config, docker=docker, **said), names=["example.org/a/b:1"])
    new = write_layout(tmp_path / "new", image([BASE_LAYER, tar("srv/", File("srv/new"))], docker=docker))
    first = write_layout(tmp_path / "first", sidecar(docker=docker))
    second = write_layout(tmp_path / "second", sidecar(sidecar_layer(marker=b"2"), docker=docker))
    combined_image = built(old, first, tmp_path / "combined", env={"A": "9", "PROXY__X": "1"})

    fresh = Result(built(old, second, tmp_path / "fresh"))
    assert Result(built(combined_image, second, tmp_path / "r1", rebase=True)).descriptor == fresh.descriptor
    fresh = Result(built(new, first, tmp_path / "fresh2"))
    assert Result(built(new, combined_image, tmp_path / "r2")).descriptor == fresh.descriptor


def test_a_rebase_of_what_was_not_combined(tmp_path: Path) -> None:
    """And of what was built upon since; a combined image is not combined again."""
    side = write_layout(tmp_path / "side", sidecar())
    base = write_layout(tmp_path / "base", image())
    with pytest.raises(Refusal, match="is no combined image"):
        composed(base, side, rebase=True)
    twice = built(base, side, tmp_path / "combined")
    with pytest.raises(Refusal, match="is a combined image already"):
        composed(twice, side)
    other = write_layout(tmp_path / "arm", sidecar(sidecar_layer(ELF_ARM64), architecture="arm64"))
    with pytest.raises(Refusal, match="sidecar is for linux/arm64"):
        composed(twice, other, rebase=True)


@pytest.mark.parametrize(
    ("given", "full"), [("a", "localhost/a:latest"), ("x/a:1", "localhost/x/a:1"), ("r.io/a", "r.io/a:latest")]
)
def test_names(given: str, full: str) -> None:
    """So that docker and podman call it the same."""
    assert full_name(given, "build") == full
