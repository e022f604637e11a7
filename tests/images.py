"""Small images for tests, written with `tarfile` and `json` only, so that nothing of ours vouches for itself."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Document = dict[str, Any]
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
ELF_AMD64 = b"\x7fELF\x02\x01\x01" + bytes(11) + b"\x3e\x00" + bytes(44)
ELF_ARM64 = b"\x7fELF\x02\x01\x01" + bytes(11) + b"\xb7\x00" + bytes(44)
PASSWD = b"root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/home/app:/bin/sh\n"
GROUP = b"root:x:0:\nstaff:x:50:app\n"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class File(NamedTuple):
    """One entry of a layer; a name that ends in / is a directory."""

    name: str
    data: bytes = b""
    mode: int = 0
    kind: bytes = b""
    link: str = ""


def tar(*files: File | str, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A plain tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for file in files:
            file = File(file) if isinstance(file, str) else file
            folder = file.name.endswith("/")
            info = tarfile.TarInfo(file.name.rstrip("/") if folder else file.name)
            info.type = file.kind or (tarfile.DIRTYPE if folder else tarfile.REGTYPE)
            info.mode = file.mode or (0o755 if folder else 0o644)
            info.linkname = file.link
            info.size = len(file.data)
            archive.addfile(info, io.BytesIO(file.data))
    return out.getvalue()


BASE_LAYER = tar(
    "./", "etc/", File("etc/passwd", PASSWD), File("etc/group", GROUP), "opt/", File("bin/app", b"app", 0o755)
)
TOP_LAYER = tar("srv/", File("srv/app.py", b"print(1)"))
DEFAULT_CONFIG: Document = {
    "Entrypoint": ["/bin/app"],
    "Cmd": ["--serve", "a b"],
    "Env": ["PATH=/usr/bin:/bin", "GREETING=a=b %s  x", "EMPTY="],
    "WorkingDir": "/srv",
    "ExposedPorts": {"8000/tcp": {}},
}


def sidecar_layer(elf: bytes = ELF_AMD64, extra: Sequence[File | str] = (), marker: bytes = b"") -> bytes:
    return tar(
        "opt/",
        "opt/pillion/",
        "opt/pillion/bin/",
        File("opt/pillion/bin/pillion", elf, 0o755),
        File("opt/pillion/marker", marker),
        *extra,
    )


class Built(NamedTuple):
    """One image's blobs by digest, and the descriptor of its manifest."""

    blobs: dict[str, bytes]
    descriptor: Document


def image(
    layers: Sequence[bytes] = (BASE_LAYER, TOP_LAYER),
    config: Document | None = None,
    *,
    docker: bool = False,
    compress: str = "gzip",
    architecture: str = "amd64",
    variant: str = "",
    top: Mapping[str, Any] = {},
    manifest: Mapping[str, Any] = {},
    types: Sequence[str] = (),
) -> Built:
    """An image of these plain layers; `top` and `manifest` are more members of the config and the manifest."""
    blobs: dict[str, bytes] = {}
    descriptors = []
    for at, layer in enumerate(layers):
        data, suffix = compressed(layer, compress)
        if docker:
            suffix = suffix.replace("+", ".")
        media_type = types[at] if types else (DOCKER_LAYER if docker else OCI_LAYER) + suffix
        blobs[sha256(data)] = data
        descriptors.append({"mediaType": media_type, "digest": sha256(data), "size": len(data)})
    document = {
        "architecture": architecture,
        "os": "linux",
        **({"variant": variant} if variant else {}),
        "config": DEFAULT_CONFIG if config is None else config,
        "created": "2024-05-06T07:08:09Z",
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        "history": [{"created_by": f"step {at}"} for at in range(len(layers))],
        **top,
    }
    config_data = json.dumps(document, indent=1).encode()
    blobs[sha256(config_data)] = config_data
    written = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        "config": {
            "mediaType": DOCKER_CONFIG if docker else OCI_CONFIG,
            "digest": sha256(config_data),
            "size": len(config_data),
        },
        "layers": descriptors,
        **manifest,
    }
    data = json.dumps(written, indent=1).encode()
    blobs[sha256(data)] = data
    platform = {"architecture": architecture, "os": "linux", **({"variant": variant} if variant else {})}
    return Built(
        blobs, {"mediaType": written["mediaType"], "digest": sha256(data), "size": len(data), "platform": platform}
    )


def compressed(layer: bytes, how: str) -> tuple[bytes, str]:
    if how == "gzip":
        return gzip.compress(layer, mtime=0), "+gzip"
    if how == "zstd":
        zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
        return zstd.compress(layer), "+zstd"
    return layer, ""


def sidecar(layer: bytes | None = None, **options: Any) -> Built:
    settings = {"Entrypoint": ["/opt/pillion/bin/pillion"], "Labels": {"org.opencontainers.image.version": "1.2"}}
    return image([sidecar_layer() if layer is None else layer], settings, **options)


def index_of(*images: Built, extra: Sequence[Document] = ()) -> Built:
    """A multi-platform image."""
    listed = [each.descriptor for each in images] + list(extra)
    data = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()
    blobs = {digest: blob for each in images for digest, blob in each.blobs.items()}
    return Built({**blobs, sha256(data): data}, {"mediaType": OCI_INDEX, "digest": sha256(data), "size": len(data)})


def layout_files(*images: Built, names: Sequence[str] = ()) -> dict[str, bytes]:
    """Name to bytes of an OCI layout."""
    descriptors = [dict(each.descriptor) for each in images]
    for descriptor, name in zip(descriptors, names, strict=False):
        descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    for each in images:
        files |= {f"blobs/{digest.replace(':', '/')}": data for digest, data in each.blobs.items()}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": descriptors}).encode()
    return files


def write_layout(path: Path, *images: Built, names: Sequence[str] = ()) -> Path:
    for name, data in layout_files(*images, names=names).items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path


def write_oci_archive(path: Path, *images: Built) -> Path:
    path.write_bytes(tar(*(File(f"./{name}", data) for name, data in layout_files(*images).items())))
    return path


def write_docker_archive(
    path: Path, layers: Sequence[bytes] = (BASE_LAYER, TOP_LAYER), name: str = "orders:1", compress: str = "plain"
) -> Path:
    """As docker before 25 wrote it, a layer that is there twice as a symbolic link."""
    built = image(layers, docker=True)
    config = next(data for data in built.blobs.values() if b'"rootfs"' in data)
    files: list[File | str] = []
    paths: list[str] = []
    for at, layer in enumerate(layers):
        data, _ = compressed(layer, compress)
        paths.append(f"{at:064d}/layer.tar")
        same = layers.index(layer)
        if same != at:
            files.append(File(paths[-1], kind=tarfile.SYMTYPE, link=f"../{paths[same]}"))
        else:
            files.append(File(paths[-1], data))
    config_name = f"{sha256(config)[7:]}.json"
    listed = [{"Config": config_name, "RepoTags": [name], "Layers": paths}]
    path.write_bytes(tar(*files, File(config_name, config), File("manifest.json", json.dumps(listed).encode())))
    return path


class Result:
    """A layout that was written, read back without our code; every blob in it is verified."""

    def __init__(self, root: Path | Mapping[str, bytes]) -> None:
        self.files = (
            {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
            if isinstance(root, Path)
            else dict(root)
        )
        for name, data in self.files.items():
            if name.startswith("blobs/"):
                assert name == f"blobs/{sha256(data).replace(':', '/')}"
        self.index = json.loads(self.files["index.json"])
        assert self.files["oci-layout"] == b'{"imageLayoutVersion":"1.0.0"}'

    def json(self, descriptor: Mapping[str, Any]) -> Document:
        data = self.blob(descriptor)
        assert len(data) == descriptor["size"]
        document: Document = json.loads(data)
        return document

    def blob(self, descriptor: Mapping[str, Any]) -> bytes:
        return self.files[f"blobs/{descriptor['digest'].replace(':', '/')}"]

    @property
    def descriptor(self) -> Document:
        (descriptor,) = self.index["manifests"]
        found: Document = descriptor
        return found

    @property
    def manifest(self) -> Document:
        return self.json(self.descriptor)

    @property
    def config(self) -> Document:
        config = self.json(self.manifest["config"])
        assert len(config["rootfs"]["diff_ids"]) == len(self.manifest["layers"])
        return config

    @property
    def settings(self) -> Document:
        settings: Document = self.config["config"]
        return settings

    @property
    def env(self) -> list[str]:
        return [entry for entry in self.settings["Env"] if not entry.startswith("PILLION_PAIR=")]

    @property
    def record(self) -> Document:
        (text,) = (entry.partition("=")[2] for entry in self.settings["Env"] if entry.startswith("PILLION_PAIR="))
        record: Document = json.loads(text)
        return record

    @property
    def digests(self) -> list[str]:
        return [layer["digest"] for layer in self.manifest["layers"]]


def read_archive(path: Path) -> dict[str, bytes]:
    """The members of a tar."""
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
