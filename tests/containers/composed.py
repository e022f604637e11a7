"""Combined images as `pillion build` writes them, without a daemon and into one archive for both engines, and other
archives that a test makes; what they put into the engines' stores is taken out again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import ENTRY
from tests.containers.backends import saved
from tests.containers.bases import REPOSITORY, cache, sidecar
from tests.containers.engines import PODMAN, Engine, carry
from tests.images import File, read_archive, sha256, tar


class Built(NamedTuple):
    """An archive, the name of its image, and what `pillion build --json` said."""

    archive: Path
    name: str
    said: dict[str, Any]

    @property
    def image_id(self) -> str:
        """What the engines will call it."""
        return str(self.said["images"][0]["id"])


def pillion_build(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Whatever comes of it; what layers hold is remembered beside the bases."""
    environ = {**os.environ, "XDG_CACHE_HOME": str(cache())}
    command = [str(ENTRY), "build", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120, check=False)


class Combine:
    """Builds and loads, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[tuple[Path, tuple[str, ...]], Built] = {}
        self._loaded: set[tuple[Engine, str]] = set()

    def __call__(self, image: str, engine: Engine = PODMAN, options: Sequence[str] = ()) -> str:
        """The name, in the engine's store, of the combined image of an image in podman's."""
        if engine is not PODMAN:
            # Its layers, once for all.
            carry(image, engine)
        return self.load(self.build(saved(image), *options), engine)

    def build(self, base: Path, *options: str) -> Built:
        """The combined image of an archive."""
        key = (base, options)
        if key not in self._built:
            number = len(self._built)
            archive, name = self._folder / f"{number}.tar", f"{REPOSITORY}/composed-{os.getpid()}:{number}"
            given: list[str | Path] = [
                base,
                "--sidecar",
                self.sidecar(),
                "-o",
                archive,
                "--name",
                name,
                "--json",
                *options,
            ]
            done = pillion_build(*given)
            assert done.returncode == 0, done.stderr
            self._built[key] = Built(archive, name, json.loads(done.stdout))
        return self._built[key]

    def sidecar(self) -> Path:
        """The sidecar's image as an archive."""
        archive = self._folder / "sidecar.tar"
        if not archive.exists():
            PODMAN("save", "--quiet", "--format=docker-archive", "--output", archive, sidecar())
        return archive

    def load(self, built: Built, engine: Engine) -> str:
        """Its name in the engine's store."""
        return self.keep(built.archive, built.name, engine)

    def keep(self, archive: Path, name: str, engine: Engine) -> str:
        """Load an archive whose image has the name, and take it out at the end."""
        if (engine, name) not in self._loaded:
            said = engine.load(archive)
            assert name in said, said
            self._loaded.add((engine, name))
        return name

    def forget(self) -> None:
        """Take everything out of the stores again."""
        for engine, name in self._loaded:
            with suppress(AssertionError):
                engine("rmi", "--force", name)

    def edited(self, image: str, change: Callable[[dict[str, Any]], object]) -> Built:
        """The archive of a small image with another config, which `change` is given as it was."""
        number = len(list(self._folder.iterdir()))
        archive, name = self._folder / f"edited-{number}.tar", f"{REPOSITORY}/edited-{os.getpid()}:{number}"
        files = read_archive(saved(image))
        (entry,) = json.loads(files["manifest.json"])
        config = json.loads(files.pop(entry["Config"]))
        change(config)
        written = json.dumps(config).encode()
        entry |= {"Config": f"{sha256(written)[7:]}.json", "RepoTags": [name]}
        del files["repositories"]
        kept = [File(path, data) for path, data in files.items() if path != "manifest.json" and path.endswith(".tar")]
        listed = [File(entry["Config"], written), File("manifest.json", json.dumps([entry]).encode())]
        archive.write_bytes(tar(*kept, *listed))
        return Built(archive, name, {"images": [{"id": sha256(written)}]})


@contextmanager
def composing() -> Iterator[Combine]:
    """Combined images and archives, which are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="composed-", dir=cache()))
    combine = Combine(folder)
    try:
        yield combine
    finally:
        combine.forget()
        shutil.rmtree(folder)
