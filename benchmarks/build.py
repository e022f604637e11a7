"""`pillion build` against `podman build` and `docker build`: one more layer and an entrypoint on a big backend.

    python -m benchmarks.build

Both sides get what they like best: the engines the backend in their own stores, `pillion build` an OCI layout of it
with gzip layers, as `skopeo copy` and `buildah push` write them. The engines build `FROM` + `COPY --from` +
`ENTRYPOINT` with no cache of that step. Everything has been read before: what is measured is not the disk.
Then both within one store, where `pillion build` need not move the backend's layers either.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

from benchmarks import big_backend, pillion
from benchmarks.big_backend import Size
from benchmarks.engines import COMBINE, ENTRY, PODMAN, REPOSITORY, Engine, engines, versions
from benchmarks.measured import run
from benchmarks.rounds import Contender, Figures, Reach, arguments, interleaved, keep, report, show
from benchmarks.sidecars import sidecars
from tests.containers import bases

FIRST, NEXT, TRUSTING = "pillion build, base never seen", "pillion build, base known", "pillion build --no-verify"
BUILDS = {"podman": "podman build", "docker": "docker build", "docker BuildKit": "docker build, BuildKit"}
IN_STORE = {"podman": "pillion build in podman's store", "docker": "pillion build in docker's store"}


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--files", type=int, default=100_000, help="of the backend (%(default)s)")
    parser.add_argument("--mib", type=int, default=2048, help="of the backend, uncompressed (%(default)s)")
    parser.add_argument("--sidecar", metavar="REFERENCE", help="skopeo's name for another than is built from the tree")
    given = parser.parse_args()
    size = Size(given.files, given.mib)
    found = engines()
    if PODMAN not in found:
        parser.error("podman is not there, or does not work: podman info")
    base = prepare(size, found)
    with tempfile.TemporaryDirectory(prefix="pillion-bench-") as folder, sidecars(given.sidecar, found) as sidecar:
        work = Path(folder)
        run("skopeo", "copy", "--quiet", f"containers-storage:{sidecar}", f"oci:{work}/sidecar")
        peers, ours = _peers(found, _image(size), sidecar, work), _ours(base, work / "sidecar", work)
        contenders = [*peers, *ours, *_in_stores(found, _image(size), sidecar, work)]
        samples = interleaved(contenders, given.rounds, given.warm_up)
    reaches = [
        Reach(ours, "seconds", most, peer=peer)
        for peer in BUILDS.values()
        for ours, most in ((FIRST, 0.5), (NEXT, 0.5), (TRUSTING, 0.1))
    ]
    reaches += [
        Reach(ours, "seconds", 0.3, peer=BUILDS[engine.name])
        for store, ours in IN_STORE.items()
        for engine in found
        if engine.name.startswith(store)
    ]
    reaches += [Reach(ours, "peak_mib", 100) for ours in (FIRST, NEXT, TRUSTING, *IN_STORE.values())]
    about = {
        "backend": f"{size.files} files, {size.mib} MiB, {len(big_backend.LAYERS)} layers, {_weight(base)} MiB as gzip",
        **versions(found),
        "inflating": _inflating(),
    }
    document = report("pillion build against the engines' builds", samples, reaches, about)
    show(document)
    keep(document, given, "build")
    return 0


def _image(size: Size) -> str:
    return f"{REPOSITORY}/backend:{size.tag}"


def prepare(size: Size, found: list[Engine]) -> Path:
    """The backend in every store, and the layout; made once and kept beside the images of the tests."""
    image, layout = _image(size), bases.cache() / f"bench-backend-{size.tag}"
    missing = [engine for engine in found if not engine.has(image)]
    if missing or not layout.exists():
        plain = bases.cache() / f"bench-plain-{os.getpid()}"
        try:
            # In a process of its own: a child's peak memory counts from what its parent has.
            writer = get_context("spawn").Process(target=big_backend.write, args=(plain, size))
            writer.start()
            writer.join()
            if writer.exitcode:
                raise RuntimeError("the backend could not be written")
            for engine in missing:
                engine.take(f"oci:{plain}", image)
            if not layout.exists():
                beside = layout.with_suffix(f".{os.getpid()}")
                run("skopeo", "copy", "--quiet", f"containers-storage:{image}", f"oci:{beside}")
                beside.rename(layout)
        finally:
            shutil.rmtree(plain, ignore_errors=True)
    return layout


def _peers(found: list[Engine], backend: str, sidecar: str, work: Path) -> list[Contender]:
    context = work / "context"
    context.mkdir()
    containerfile = work / "Containerfile"
    containerfile.write_text(COMBINE.format(backend=backend, sidecar=sidecar, entry=ENTRY))
    made = f"{REPOSITORY}/combined:{os.getpid()}"

    def contender(engine: Engine) -> Contender:
        def build() -> Figures:
            try:
                # The client's memory says nothing of a daemon's.
                return {"seconds": engine.build(containerfile, made, context).seconds}
            finally:
                engine.remove(made)

        return Contender(BUILDS[engine.name], build)

    return [contender(engine) for engine in found]


def _ours(base: Path, sidecar: Path, work: Path) -> list[Contender]:
    def build(cache: Path, *options: str) -> Figures:
        out = work / "out"
        try:
            return pillion.build(f"oci:{base}", f"oci:{sidecar}", f"oci:{out}", cache, *options)._asdict()
        finally:
            shutil.rmtree(out)

    def first() -> Figures:
        cache = Path(tempfile.mkdtemp(dir=work))
        try:
            return build(cache)
        finally:
            shutil.rmtree(cache)

    return [
        Contender(FIRST, first),
        Contender(NEXT, lambda: build(work / "cache")),
        Contender(TRUSTING, lambda: build(work / "cache", "--no-verify")),
    ]


def _in_stores(found: list[Engine], backend: str, sidecar: str, work: Path) -> list[Contender]:
    made = f"{REPOSITORY}/in-store:{os.getpid()}"

    def contender(engine: Engine) -> Contender:
        def build() -> Figures:
            base, side, out = (f"{engine.store}:{name}" for name in (backend, sidecar, made))
            try:
                return pillion.build(base, side, out, work / "cache")._asdict()
            finally:
                engine.remove(made)

        return Contender(IN_STORE[engine.name], build)

    return [contender(engine) for engine in found if engine.name in IN_STORE]


def _weight(layout: Path) -> int:
    return sum(each.stat().st_size for each in (layout / "blobs" / "sha256").iterdir()) >> 20


def _inflating() -> str:
    return "isal" if importlib.util.find_spec("isal") else "zlib"


if __name__ == "__main__":
    sys.exit(main())
