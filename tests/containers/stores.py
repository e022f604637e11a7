"""An engine's store for tests: small images put into it, the engine's client watched or tampered with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

from tests.conftest import ENTRY, eventually
from tests.images import Built, layout_files, tar
from tests.images import File as TarFile

PREFIXES = {"podman": "containers-storage", "docker": "docker-daemon"}


class Store:
    """One engine's, and the names that a test has given in it; `calls` is what the client was told by pillion."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.client = shutil.which(engine) or engine
        self._names: list[str] = []
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._log = folder / "calls"
        self.tamper("")

    def tamper(self, script: str) -> None:
        """Lines of shell that stand before the call of the real client."""
        shim = self.folder / "bin" / self.engine
        shim.parent.mkdir(exist_ok=True)
        shim.write_text(f'#!/bin/sh\necho "$*" >> {self._log}\nreal={self.client}\n{script}\nexec "$real" "$@"\n')
        shim.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """Since the last time."""
        calls = self._log.read_text().splitlines() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        return calls

    def new(self) -> str:
        """A name of its own; what has it in the end is removed."""
        name = f"localhost/pillion-test-{uuid.uuid4().hex[:8]}:1"
        self._names.append(name)
        return name

    def ref(self, name: str) -> str:
        """As pillion is told it."""
        return f"{PREFIXES[self.engine]}:{name}"

    def run(self, *arguments: str | Path) -> str:
        """The real client."""
        ended = subprocess.run([self.client, *arguments], capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def add(self, built: Built) -> str:
        """Load an image under a name of its own."""
        name, archive = self.new(), self.folder / f"{uuid.uuid4().hex}.tar"
        archive.write_bytes(tar(*(TarFile(*each) for each in _both_forms(built, name).items())))
        self.run("load", "--input", archive)
        archive.unlink()
        return name

    def inspect(self, name: str) -> dict[str, Any]:
        """What it says of an image; the id with its algorithm."""
        found: dict[str, Any] = json.loads(self.run("image", "inspect", name))[0]
        return {**found, "Id": f"sha256:{found['Id'].removeprefix('sha256:')}"}

    def pillion(self, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        """pillion build, with the watched client and a place of its own for temporary files."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        cache = str(self.folder / "cache")
        env = {**os.environ, "PATH": path, "TMPDIR": str(self.temporary), "XDG_CACHE_HOME": cache, **environ}
        command = [ENTRY, "build", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=100, check=False
        )

    def built(self, *arguments: str | Path) -> dict[str, Any]:
        """It works; what it says as JSON."""
        ended = self.pillion(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        self.check_nothing_left()
        said: dict[str, Any] = json.loads(ended.stdout)
        return said

    def refused(self, *arguments: str | Path, **environ: str) -> str:
        """The one line, nothing left."""
        ended = self.pillion(*arguments, **environ)
        assert ended.returncode == 2, ended.stderr + ended.stdout
        (line,) = ended.stderr.splitlines()
        assert line.startswith("pillion: cannot ")
        self.check_nothing_left()
        return line

    def check_nothing_left(self) -> None:
        """No temporary file, no container, no mount of an image of ours."""
        left = list(self.temporary.rglob("*"))
        assert left == [], left
        # Those of another test that builds right now are soon gone.
        eventually(lambda: "pillion-build-" not in self.run("ps", "--all", "--format", "{{.Names}}"))
        if self.engine == "podman":
            # Not with `run`: podman fails when somebody else removes an image meanwhile.
            mounted = subprocess.run(
                [self.client, "image", "mount"], capture_output=True, text=True, timeout=60, check=False
            )
            assert not any(name in mounted.stdout for name in self._names)

    def remove(self) -> None:
        """All that has a name of the test, and what had it before."""
        for name in self._names:
            subprocess.run([self.client, "rmi", "--force", name], capture_output=True, timeout=60, check=False)


def _both_forms(built: Built, name: str) -> dict[str, bytes]:
    """An archive that is a layout for podman and a `docker save` for docker."""
    files = layout_files(built, names=[name])
    path = f"blobs/{built.descriptor['digest'].replace(':', '/')}"
    manifest = json.loads(files[path])
    blobs = [f"blobs/{each['digest'].replace(':', '/')}" for each in (manifest["config"], *manifest["layers"])]
    listed = [{"Config": blobs[0], "RepoTags": [name], "Layers": blobs[1:]}]
    return {**files, "manifest.json": json.dumps(listed).encode()}
