"""Docker's store: the config from its files or out of what `docker save` streams, verified by the image's id; the few
files that matter from where its layers lie, or from a container that is never started; no more of the layers, unless
they are wanted elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from pillion.image.compose.blob import CHUNK
from pillion.image.compose.document import LONGEST_DOCUMENT, digest_of
from pillion.image.compose.image import Document, Image
from pillion.image.compose.layer_files import ENTRY, GROUP, PASSWD, PREFIX, LayerFiles
from pillion.image.compose.layer_files import LONGEST_ACCOUNTS as LONGEST
from pillion.image.compose.media_types import DOCKER, PLAIN
from pillion.image.compose.reference import DOCKER_ARCHIVE, Reference
from pillion.image.compose.stores.overlay import look_into_all
from pillion.image.compose.stores.stored import Inspected, Stored, full_name_of, image_of, tell
from pillion.image.compose.tar_headers import Entry, entries
from pillion.image.compose.tar_stream import Chunked, Damaged
from pillion.image.engine import DOCKER as DOCKER_ENGINE
from pillion.image.engine import Engine, check_engine, complaint, locate_engine
from pillion.image.refusal import Refusal

_ABSENT = ("could not find the file", "no such file", "not a directory")
_LOOKED_AT = ("opt", PREFIX, ENTRY, PASSWD, GROUP)


class DockerStore:
    """That of the daemon which the caller's docker talks to."""

    def __init__(self, engine: Engine, inspected: Inspected) -> None:
        self._engine, self._inspected = engine, inspected

    @classmethod
    def open(cls, what: str, expected: Sequence[str]) -> DockerStore:
        """`expected` are names that will be asked for. Raises Refusal if there is no docker that can be worked with."""
        engine = locate_engine(DOCKER_ENGINE, what, "name an image in a layout or an archive")
        inspected = Inspected(engine, expected)
        return cls(check_engine(engine, what), inspected)

    def find(self, reference: Reference, what: str) -> Stored:
        """Raises Refusal if it has no such image."""
        said = self._inspected.find(reference)
        if said is None:
            raise Refusal(what, f"docker has no image {reference.name}", "docker images lists those it has")
        return Stored(reference, str(said["Id"]), full_name_of(reference, said), said)

    def image(self, stored: Stored, what: str) -> Image | None:
        """Docker has no manifests: in this one the sizes of the layers are not known, and it is never written."""
        data = self._kept(stored) or self._streamed(stored)
        if data is None or not _is_config(data, stored):
            return None
        plain = DOCKER.layers[PLAIN]
        layers = [{"mediaType": plain, "digest": diff_id, "size": 0} for diff_id in stored.diff_ids]
        manifest: Document = {
            "schemaVersion": 2,
            "mediaType": DOCKER.manifest,
            "config": {"mediaType": DOCKER.config, "digest": stored.id, "size": len(data)},
            "layers": layers,
        }
        return image_of(stored, DOCKER, manifest, data, "", what)

    def _kept(self, stored: Stored) -> bytes | None:
        """Of a daemon on this machine whose files we may read."""
        root = self._engine.run("info", "--format", "{{.DockerRootDir}}").stdout.strip()
        driver = stored.driver.get("Name")
        if not root or not driver:
            return None
        kept = Path(root, "image", driver, "imagedb", "content", *stored.id.split(":"))
        try:
            with kept.open("rb") as file:
                data = file.read(LONGEST_DOCUMENT + 1)
        except OSError:
            return None
        return data if digest_of(data) == stored.id else None

    def _streamed(self, stored: Stored) -> bytes | None:
        """The daemon packs all of it, but no further is read than to the config."""
        name = stored.id.removeprefix("sha256:")
        with self._stream("save", stored.id) as stream, contextlib.suppress(Damaged):
            for entry in entries(stream, lambda entry: LONGEST_DOCUMENT if name in entry.name else 0):
                if entry.content and digest_of(entry.content) == stored.id:
                    return entry.content
        return None

    def look(self, stored: Stored, what: str) -> tuple[LayerFiles, ...] | None:
        """Directly, as root on the daemon's own machine; else through the daemon."""
        return look_into_all(stored.driver, len(stored.diff_ids)) or self._look_through_daemon(stored, what)

    def _look_through_daemon(self, stored: Stored, what: str) -> tuple[LayerFiles, ...] | None:
        """Each path is asked for by itself, and of a directory only the first header is read."""
        name = f"pillion-build-{os.urandom(6).hex()}"
        try:
            # An image without a command needs one; it is not run.
            done = self._engine.run("create", "--name", name, "--network", "none", stored.id, f"/{ENTRY}")
            if done.returncode:
                return None
            found = {path: self._first(f"{name}:/{path}", path, what) for path in _LOOKED_AT}
        finally:
            self._engine.run("rm", "--force", "--volumes", name)
        present = {path: entry for path, entry in found.items() if entry is not None}
        return (LayerFiles(present, inside=int(PREFIX in present)),)

    def _first(self, place: str, path: str, what: str) -> Entry | None:
        with self._stream("cp", place, "-") as stream:
            try:
                entry = next(entries(stream, lambda entry: LONGEST), None)
            except Damaged as error:
                raise Refusal(what, f"docker cp {place}: {error}", "try again") from error
        if entry is None and not any(absent in stream.said.lower() for absent in _ABSENT):
            raise Refusal(what, f"docker cp: {complaint(stream.said)}", "look at the daemon's own state")
        return entry._replace(name=path) if entry else None

    @contextlib.contextmanager
    def _stream(self, *arguments: str) -> Iterator[_Stream]:
        """What the client writes; it is ended when no more is wanted."""
        with subprocess.Popen(
            [self._engine.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            stream = _Stream(process.stdout)
            try:
                yield stream
                if not stream.read(1):
                    stream.said = process.stderr.read().decode("utf-8", "replace")
            finally:
                process.kill()

    def export(self, stored: Stored, place: Callable[[str], Path], what: str) -> Reference:
        """As `docker save` writes it, and by its name, if it has one."""
        archive = place("exported.tar")
        tell(self._engine, what, "save", stored.name or stored.id, "--output", file=archive)
        return Reference(DOCKER_ARCHIVE, archive)

    def load(self, archive: Path, what: str) -> None:
        """docker looks for the chain of layers in its store before it opens a layer's file."""
        tell(self._engine, what, "load", "--quiet", "--input", file=archive)


def _is_config(data: bytes, stored: Stored) -> bool:
    """With containerd's image store the id is a manifest's digest, and the image has to be exported."""
    try:
        rootfs = json.loads(data).get("rootfs") or {}
    except (ValueError, AttributeError):
        return False
    return bool(rootfs.get("diff_ids") == stored.diff_ids)


class _Stream(Chunked):
    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(iter(lambda: pipe.read(CHUNK // 16), b""))
        self.said = ""
