"""What the sidecar's layer weighs, and what an update ships: bytes that a registry lacks which has the build before.

    python -m benchmarks.layer

Nothing here is timed, so there is one round. The peer is a Containerfile with FROM, COPY --from and ENTRYPOINT, built
by podman with its cache. Layers are gzip, as skopeo pushes them. The backend's changed layer is a small one.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import pillion
from benchmarks.engines import COMBINE, ENTRY, PODMAN, REPOSITORY, engines, versions
from benchmarks.measured import run
from benchmarks.rounds import Figures, Reach, arguments, keep, report, show, table
from benchmarks.sidecars import sidecars
from tests.containers import bases

SIZE = "sidecar layer"
OURS, BY_HAND = "pillion build", "Containerfile"
SIDECAR, BACKEND = "new sidecar", "new backend"
UPDATES = {SIDECAR: ("backend-1", "sidecar-2"), BACKEND: ("backend-2", "sidecar-1")}
_BACKEND = "FROM {base}\nCOPY app.py /srv/app/\n"


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", rounds=None)
    parser.add_argument("--sidecar", metavar="REFERENCE", help="skopeo's name for another than is built from the tree")
    given = parser.parse_args()
    if PODMAN not in engines():
        parser.error("podman is not there, or does not work: podman info")
    with tempfile.TemporaryDirectory(prefix="pillion-bench-") as folder, sidecars(given.sidecar, [PODMAN]) as sidecar:
        work = Path(folder)
        layer = _layer(work, sidecar)
        listed = list(_listing().listing(layer))
        samples: dict[str, list[Figures]] = {SIZE: [{"bytes": layer.stat().st_size, "files": len(listed)}]}
        samples.update({name: [figures] for name, figures in _updates(work, sidecar, layer).items()})
    reaches = [Reach(SIZE, "bytes", 15_000_000)]
    for update in UPDATES:
        name = f"{OURS}, {update}"
        reaches += [Reach(name, "layers", 1), Reach(name, "documents", 2)]
    # A new sidecar ships the same in both ways.
    reaches.append(Reach(f"{OURS}, {BACKEND}", "bytes", 0.1, peer=f"{BY_HAND}, {BACKEND}"))
    purposes = Counter[str]()
    for each in listed:
        purposes[each.purpose] += each.packed
    document = report("The sidecar's layer, and what updates ship", samples, reaches, versions([PODMAN]))
    document["purposes"] = dict(purposes.most_common())
    document["unaccounted"] = [each.path for each in listed if each.purpose == _listing().UNKNOWN]
    show(document)
    table(
        [
            ["purpose", "MB, each file packed alone"],
            *([name, f"{size / 1e6:.2f}"] for name, size in purposes.most_common()),
        ]
    )
    print(f"\n  files whose purpose nobody said: {len(document['unaccounted'])}")
    keep(document, given, "layer")
    return 0


def _layer(work: Path, sidecar: str) -> Path:
    """The one blob of the sidecar's image that is a layer."""
    run("skopeo", "copy", "--quiet", f"containers-storage:{sidecar}", f"oci:{work}/sidecar-1")
    (digest,) = (each["digest"] for each in _manifest(work / "sidecar-1")["layers"])
    return work / "sidecar-1" / "blobs" / str(digest).replace(":", "/")


def _listing() -> ModuleType:
    """The layer's own listing, a script of the build and in no package."""
    specification = importlib.util.spec_from_file_location("listing", bases.ROOT / "image" / "layer" / "listing.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules.setdefault("listing", module)
    specification.loader.exec_module(module)
    return module


def _updates(work: Path, sidecar: str, layer: Path) -> dict[str, Figures]:
    """What every update ships, built in both ways."""
    made = {name: f"{REPOSITORY}/{name}:{os.getpid()}" for name in ("backend-1", "backend-2", "sidecar-2", "combined")}
    made["sidecar-1"] = sidecar
    try:
        _build_inputs(work, layer, made)
        for name in ("backend-1", "backend-2", "sidecar-2"):
            run("skopeo", "copy", "--quiet", f"containers-storage:{made[name]}", f"oci:{work}/{name}")
        found = {}
        for way, combine in ((OURS, _ours), (BY_HAND, _by_hand)):
            before = combine(work, "backend-1", "sidecar-1", made)
            for update, parts in UPDATES.items():
                found[f"{way}, {update}"] = _lacking(before, combine(work, *parts, made))
        return found
    finally:
        PODMAN.remove(*(name for key, name in made.items() if key != "sidecar-1"))


def _build_inputs(work: Path, layer: Path, made: dict[str, str]) -> None:
    """Two backends whose application differs, and a second sidecar with a file that differs."""
    context = work / "context"
    context.mkdir()
    containerfile = work / "Containerfile"
    containerfile.write_text(_BACKEND.format(base=bases.scratch_backend()))
    for number in (1, 2):
        (context / "app.py").write_text(f"ANSWER = {number}\n" * 4000)
        PODMAN.rebuild(containerfile, made[f"backend-{number}"], context)
    (context / "app.py").unlink()
    _change(layer, context / "layer.tar")
    containerfile.write_text(f'FROM scratch\nADD layer.tar /\nENTRYPOINT ["{ENTRY}", "proxy"]\n')
    PODMAN.rebuild(containerfile, made["sidecar-2"], context)
    (context / "layer.tar").unlink()


def _change(layer: Path, changed: Path) -> None:
    """The same layer with one byte more in one module of ours."""
    with tarfile.open(layer) as old, tarfile.open(changed, "w") as new:
        for entry in old:
            content = old.extractfile(entry).read() if entry.isfile() else b""  # type: ignore[union-attr]
            if "/pillion/proxy/settings" in entry.name:
                content += b"\0"
                entry.size += 1
            new.addfile(entry, io.BytesIO(content))


def _ours(work: Path, backend: str, sidecar: str, _: dict[str, str]) -> Path:
    out = work / f"ours-{backend}-{sidecar}"
    pillion.build(f"oci:{work}/{backend}", f"oci:{work}/{sidecar}", f"oci:{out}", work / "cache")
    return out


def _by_hand(work: Path, backend: str, sidecar: str, made: dict[str, str]) -> Path:
    out = work / f"by-hand-{backend}-{sidecar}"
    containerfile = work / "Containerfile"
    containerfile.write_text(COMBINE.format(backend=made[backend], sidecar=made[sidecar], entry=ENTRY))
    PODMAN.rebuild(containerfile, made["combined"], work / "context")
    run("skopeo", "copy", "--quiet", f"containers-storage:{made['combined']}", f"oci:{out}")
    return out


def _lacking(before: Path, after: Path) -> Figures:
    """What a registry lacks that has the one: every blob is there by its digest or is not."""
    old, new = ({each.name: each.stat().st_size for each in (of / "blobs/sha256").iterdir()} for of in (before, after))
    layers = {each["digest"].removeprefix("sha256:") for each in _manifest(after)["layers"]}
    shipped = new.keys() - old.keys()
    return {
        "bytes": sum(new[name] for name in shipped),
        "layers": len(shipped & layers),
        "documents": len(shipped - layers),
    }


def _manifest(layout: Path) -> dict[str, Any]:
    (listed,) = json.loads((layout / "index.json").read_text())["manifests"]
    found: dict[str, Any] = json.loads((layout / "blobs" / listed["digest"].replace(":", "/")).read_text())
    return found


if __name__ == "__main__":
    sys.exit(main())
