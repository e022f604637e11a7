"""What every file of a layer is there for, and what it costs.

python3 image/layer/listing.py layer.tar.gz            sums by purpose
python3 image/layer/listing.py --files layer.tar.gz    every file
"""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# The first pattern that matches a path below /opt/pillion says its purpose.
PURPOSES = tuple(
    (purpose, re.compile(pattern))
    for purpose, pattern in (
        ("entry", r"bin/pillion|lib/start\.pyc?"),
        ("Python: interpreter", r"bin/python3|lib/libpython[^/]+"),
        ("C library and loader", r"lib/(ld-|libc\.|libm\.|libdl\.|libpthread\.|librt\.|libutil\.|libgcc_s\.)[^/]+"),
        ("TLS and hashes: OpenSSL", r"lib/lib(ssl|crypto)\.[^/]+|lib/python[^/]+/lib-dynload/_(ssl|hashlib)\.[^/]+"),
        ("C++ library, for greenlet", r"lib/libstdc\+\+\.[^/]+"),
        ("gevent", r"lib/python[^/]+/site-packages/(gevent|greenlet|zope)[^/]*/.+"),
        ("gunicorn", r"lib/python[^/]+/site-packages/(gunicorn|packaging)[^/]*/.+"),
        ("supervisor", r"lib/python[^/]+/site-packages/supervisor[^/]*/.+"),
        ("Pillion", r"lib/python[^/]+/site-packages/pillion[^/]*/.+"),
        ("Python: standard library in C", r"lib/python[^/]+/lib-dynload/[^/]+"),
        ("Python: libraries for it", r"lib/lib(z|bz2|lzma|expat|ffi|uuid)\.[^/]+"),
        ("Python: standard library", r"lib/python[^/]+/(?!site-packages/).+"),
        ("licences", r"share/licenses/.+"),
    )
)
PREFIX = "opt/pillion/"
UNKNOWN = "?"


class Listed(NamedTuple):
    """One file: its bytes, and those after gzip, alone."""

    purpose: str
    path: str
    size: int
    packed: int


def purpose_of(path: str) -> str:
    """Why a path below /opt/pillion is there; `UNKNOWN` if nobody said."""
    return next((purpose for purpose, pattern in PURPOSES if pattern.fullmatch(path)), UNKNOWN)


def listing(layer: Path) -> Iterator[Listed]:
    """Every file of a layer. Raises OSError, tarfile.TarError."""
    with tarfile.open(layer) as archive:
        for entry in archive:
            if content := archive.extractfile(entry):
                path = entry.name.removeprefix(PREFIX)
                yield Listed(purpose_of(path), path, entry.size, len(zlib.compress(content.read(), 9)))


def main() -> int:
    """The command line: exit code 1 if there is a file whose purpose nobody said."""
    parser = argparse.ArgumentParser(description="What every file of a sidecar layer is there for, and what it costs.")
    parser.add_argument("layer", type=Path)
    parser.add_argument("--files", action="store_true", help="every file, not only the sums")
    given = parser.parse_args()
    files = list(listing(given.layer))
    print(f"{'bytes':>10} {'gzip':>10} {'files':>5}  purpose")
    for purpose in [*(name for name, _ in PURPOSES), UNKNOWN]:
        group = sorted((file for file in files if file.purpose == purpose), key=lambda file: -file.size)
        if group:
            print(f"{sum(f.size for f in group):10} {sum(f.packed for f in group):10} {len(group):5}  {purpose}")
        if given.files:
            for file in group:
                print(f"{file.size:10} {file.packed:10}        {file.path}")
    print(f"{sum(f.size for f in files):10} {given.layer.stat().st_size:10} {len(files):5}  the layer")
    return int(any(file.purpose == UNKNOWN for file in files))


if __name__ == "__main__":
    sys.exit(main())
