"""podman and docker as peers: images in their own stores, and builds without a cache of the step that is compared."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.measured import Measured, measure, run

# Images and containers of benchmarks, all of them.
REPOSITORY = "localhost/pillion-bench"
ENTRY = "/opt/pillion/bin/pillion"
COMBINE = """FROM {backend}
COPY --from={sidecar} /opt/pillion /opt/pillion
ENTRYPOINT ["{entry}", "enter", "--"]
"""


class Engine(NamedTuple):
    """`store` is what skopeo calls its image store; `environ` chooses the builder."""

    name: str
    program: str
    store: str
    environ: Mapping[str, str]
    build_options: tuple[str, ...] = ()

    def build(self, containerfile: Path, image: str, context: Path) -> Measured:
        """Without its build cache."""
        return measure(self._building(containerfile, image, context, "--no-cache"), self.environ)

    def rebuild(self, containerfile: Path, image: str, context: Path) -> Measured:
        """With its build cache, as in daily work. Again if an image went away while podman looked through its cache."""
        for _ in range(4):
            try:
                return measure(self._building(containerfile, image, context), self.environ)
            except RuntimeError as error:
                if "layer not known" not in str(error):
                    raise
        return measure(self._building(containerfile, image, context), self.environ)

    def _building(self, containerfile: Path, image: str, context: Path, *more: str) -> list[str | Path]:
        options = ("--quiet", *self.build_options, *more)
        return [self.program, "build", *options, "--file", containerfile, "--tag", image, context]

    def has(self, image: str) -> bool:
        """Whether the image is in its store."""
        command = [self.program, "image", "inspect", image]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0

    def remove(self, *images: str) -> None:
        """Also where it is not there."""
        subprocess.run([self.program, "rmi", "--force", *images], capture_output=True, check=False, timeout=120)

    def take(self, reference: str, image: str) -> None:
        """Copy an image into its store, once: skopeo's name for it, and the name that it gets."""
        if not self.has(image):
            run("skopeo", "copy", "--quiet", reference, f"{self.store}:{image}")


PODMAN = Engine("podman", "podman", "containers-storage", {}, ("--pull=never",))


def engines() -> list[Engine]:
    """Those that work here; docker once with each of its builders that works."""
    found = [PODMAN] if _works("podman") else []
    for client in dict.fromkeys(filter(None, (shutil.which("docker"), "/usr/bin/docker"))):
        if not Path(client).exists() or not _works(client):
            continue
        for name, chosen in (("docker", "0"), ("docker BuildKit", "1")):
            if name not in [each.name for each in found] and _builds(client, chosen):
                found.append(Engine(name, client, "docker-daemon", {"DOCKER_BUILDKIT": chosen}))
    return found


def _works(program: str) -> bool:
    if not shutil.which(program):
        return False
    return subprocess.run([program, "info"], capture_output=True, check=False, timeout=60).returncode == 0


def _builds(client: str, chosen: str) -> bool:
    """BuildKit needs a client that has it, or its plug-in."""
    done = subprocess.run(
        [client, "build", "--quiet", "-"],
        input=b"FROM scratch\nLABEL pillion=bench\n",
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "DOCKER_BUILDKIT": chosen},
    )
    if done.returncode:
        return False
    subprocess.run([client, "rmi", done.stdout.decode().strip()], capture_output=True, check=False, timeout=60)
    return True


def versions(found: Sequence[Engine]) -> dict[str, str]:
    """For the report."""
    said = {}
    for each in found:
        template = "{{.Server.Version}}" if each.program != "podman" else "{{.Client.Version}}"
        said[each.name] = run(each.program, "version", "--format", template)
    return said
