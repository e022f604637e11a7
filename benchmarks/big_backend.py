"""A big backend's image that is the same on every machine, and as compressible as real software.

Four layers, as an image has that grew by instructions: an operating system, packages on it, the dependencies of an
application, the application. Only the names, sizes and compressibility of files matter here: nothing in it runs.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

MIB = 1 << 20
# Raised when the bytes change, so that no cached image passes for the new one.
VERSION = 1
# Name of the layer, where its files are, its share of all files, its share of all bytes.
LAYERS = (
    ("operating system", ("usr/bin", "usr/lib/x86_64-linux-gnu", "usr/share", "var/lib"), 0.04, 0.04),
    ("packages", ("usr/lib", "usr/include", "usr/share/doc"), 0.26, 0.31),
    ("dependencies", ("usr/local/lib/python3/site-packages", "srv/node_modules"), 0.66, 0.59),
    ("application", ("srv/app",), 0.04, 0.06),
)
ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\napp:x:10001:10001::/srv/app:/bin/sh\n",
    "etc/group": b"root:x:0:\napp:x:10001:\n",
}
CONFIG = {
    "Entrypoint": ["/srv/app/start"],
    "Cmd": ["--serve"],
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "APP_MODE=production"],
    "User": "10001:10001",
    "ExposedPorts": {"8000/tcp": {}},
    "WorkingDir": "/srv/app",
}
_LARGEST_POOL = 16 * MIB
_FILES_A_FOLDER = 24


class Size(NamedTuple):
    """How much there is of it."""

    files: int
    mib: int

    @property
    def tag(self) -> str:
        """Tells images of different sizes and recipes apart."""
        return f"v{VERSION}-{self.files}-{self.mib}"


def write(folder: Path, size: Size) -> None:
    """An OCI layout with uncompressed layers in `folder`, which must not be there."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    pools = _pools(random.Random(VERSION), min(_LARGEST_POOL, size.mib * MIB))
    layers = []
    for number, (_, places, files, share) in enumerate(LAYERS):
        beside = folder / "layer"
        with beside.open("wb") as file:
            hashing = _Hashing(file)
            chance = random.Random(f"{VERSION} {number}")
            _layer(hashing, number, places, int(files * size.files), int(share * size.mib * MIB), pools, chance)
        digest = hashing.sha256.hexdigest()
        layers.append(
            {
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": f"sha256:{digest}",
                "size": beside.stat().st_size,
            }
        )
        beside.rename(blobs / digest)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": CONFIG,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": name} for name, *_ in LAYERS],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _document(blobs, "application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    }
    listed = _document(blobs, manifest["mediaType"], manifest)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [listed]}))


def _document(blobs: Path, media_type: Any, document: Any) -> dict[str, Any]:
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


class _Hashing(io.RawIOBase):
    """A file that knows the digest of what was written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return self._file.write(data)


def _layer(
    file: _Hashing,
    number: int,
    places: tuple[str, ...],
    count: int,
    total: int,
    pools: tuple[bytes, ...],
    chance: random.Random,
) -> None:
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 18) as archive:
        if number == 0:
            for name in ("etc", "opt", "usr", "srv"):
                archive.addfile(_entry(name, tarfile.DIRTYPE))
            for name, data in ACCOUNTS.items():
                archive.addfile(_entry(name, tarfile.REGTYPE, len(data)), io.BytesIO(data))
        folder = ""
        for at, size in enumerate(_sizes(count, total, chance)):
            if at % _FILES_A_FOLDER == 0:
                folder = f"{chance.choice(places)}/part{at // _FILES_A_FOLDER:04}-{chance.getrandbits(24):06x}"
                archive.addfile(_entry(folder, tarfile.DIRTYPE))
            # Large files are binaries more often than small ones; one in twenty is compressed already.
            binary = 0.15 if size < 16_000 else 0.6
            drawn = chance.random()
            pool = pools[2 if drawn > 0.95 else 1 if drawn < binary else 0]
            name = f"{folder}/file{at:05}{('.py', '.so', '.png')[pools.index(pool)]}"
            archive.addfile(_entry(name, tarfile.REGTYPE, size), _Slices(pool, chance))


def _entry(name: str, kind: bytes, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.mtime = kind, size, 1_700_000_000
    entry.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return entry


def _sizes(count: int, total: int, chance: random.Random) -> list[int]:
    """Many small files and a few large ones, as in real trees."""
    drawn = [chance.lognormvariate(0, 1.7) for _ in range(count)]
    scale = total / sum(drawn)
    return [int(each * scale) for each in drawn]


class _Slices(io.RawIOBase):
    """Bytes without end, from random places of a pool."""

    def __init__(self, pool: bytes, chance: random.Random) -> None:
        self._pool, self._chance = pool, chance

    def read(self, size: int = -1) -> bytes:
        at = self._chance.randrange(len(self._pool) - size) if size < len(self._pool) else 0
        return self._pool[at : at + size]


def _pools(chance: random.Random, size: int) -> tuple[bytes, bytes, bytes]:
    """Like source text, like machine code, and like what is compressed already."""
    return b"".join(_text(chance, size)), b"".join(_code(chance, size)), chance.randbytes(size)


def _text(chance: random.Random, size: int) -> Iterator[bytes]:
    letters = "etaoinshrdlucmfwypvbgkqjxz_"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 10))) for _ in range(3000)]
    weights = [1 / (rank + 2) for rank in range(len(words))]
    ends = (" ", " ", " ", "(", ") ", ".", " = ", ":\n    ", "\n", '"', ", ")
    made = 0
    while made < size:
        line = "".join(f"{word}{chance.choice(ends)}" for word in chance.choices(words, weights, k=4000)).encode()
        # Text repeats itself: imports, licences, idioms.
        for _ in range(chance.randint(2, 8)):
            at = chance.randrange(len(line) - 2000)
            line += line[at : at + chance.randint(100, 2000)]
        made += len(line)
        yield line


def _code(chance: random.Random, size: int) -> Iterator[bytes]:
    tokens = [chance.randbytes(chance.randint(2, 7)) for _ in range(1500)]
    weights = [1 / (rank + 2) for rank in range(len(tokens))]
    made = 0
    while made < size:
        block = b"".join(
            token + chance.randbytes(chance.random() < 0.3) for token in chance.choices(tokens, weights, k=4000)
        )
        block += bytes(chance.randint(0, len(block) // 2))
        made += len(block)
        yield block
