"""Images for tests without a registry: bases from Debian's packages, built once and kept, and what is built on them.

What is kept stands in podman's store under localhost/pillion-test, each with a tag that is the hash of its recipe, and
in $PILLION_TEST_CACHE (by default ~/.cache/pillion-tests).
"""

from __future__ import annotations

import atexit
import configparser
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.containers import engines
from tests.containers.engines import PODMAN

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = Path(__file__).parent / "programs"
TOOLS = ("podman", "mmdebstrap", "musl-gcc", "gcc", "busybox")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REPOSITORY = "localhost/pillion-test"
# The suite of the bases, and the Python it has.
SUITE, PYTHON = "bookworm", "3.11"
BUILDER = ("python3", "python3-pip", "python3-venv", "gcc", "libc6-dev", "binutils", "patchelf")
NOT_IN_CONTEXT = ("build", "dist", "results", "wheels", "tests", "benchmarks", "*.egg-info", "__pycache__", ".*")


# The client, under the name that most tests call it by.
podman = PODMAN


def missing() -> str:
    """Why images cannot be built, and containers not be tested, here; "" if they can."""
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"not installed: {', '.join(absent)}"
    return engines.missing(PODMAN)


def cache() -> Path:
    """Where files are kept from one run to the next."""
    folder = Path(os.environ.get("PILLION_TEST_CACHE") or Path.home() / ".cache" / "pillion-tests")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _hash(*parts: str | bytes) -> str:
    joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(joined).hexdigest()[:16]


@functools.cache
def debian(*packages: str, options: Sequence[str] = ()) -> str:
    """A minimal Debian with these packages, made with these more options of mmdebstrap."""
    recipe = _hash(SUITE, *packages, *options)
    image = f"{REPOSITORY}/debian:{recipe}"
    if not PODMAN.has(image):
        tar = cache() / f"debian-{recipe}.tar"
        if not tar.exists():
            made = tar.with_suffix(".part")
            command = ["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", f"--include={','.join(packages)}"]
            command += options
            subprocess.run([*command, SUITE, made], check=True, capture_output=True, timeout=500)
            made.replace(tar)
        podman("import", "--quiet", "--change", f"ENV {PATH}", tar, image)
    return image


def builder() -> str:
    """What stands for the public Python image: Debian with Python and the tools that the layer is built with."""
    return debian(*BUILDER)


@functools.cache
def scratch_backend() -> str:
    """A static binary and nothing else; the engine alone could not even open a shell in it."""
    return _backend("FROM scratch\n", ("musl-gcc", "-static"), {})


@functools.cache
def musl_backend() -> str:
    """musl's loader, busybox with a shell, and a backend that is linked to musl."""
    files = {
        Path("/usr/lib/x86_64-linux-musl/libc.so"): "lib/ld-musl-x86_64.so.1",
        Path(_which("busybox")): "bin/busybox",
    }
    start = 'FROM scratch\nCOPY bin /bin\nCOPY lib /lib\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n'
    return _backend(start, ("musl-gcc",), files)


@functools.cache
def debian_backend() -> str:
    """Debian with a backend that is linked to its C library."""
    return _backend(f"FROM {builder()}\n", ("gcc",), {})


def _which(tool: str) -> str:
    return shutil.which(tool) or tool


def _backend(start: str, compiler: Sequence[str], files: dict[Path, str]) -> str:
    source = PROGRAMS / "answer.c"
    text = f'{start}COPY answer /answer\nUSER 1000:1000\nEXPOSE 8000\nENTRYPOINT ["/answer"]\nCMD ["8000"]\n'

    def compile_it(folder: Path) -> None:
        subprocess.run([*compiler, "-O1", "-o", folder / "answer", source], check=True)

    return kept("backend", text, files, compile_it, *compiler, source.read_bytes())


def kept(
    name: str,
    text: str,
    files: dict[Path, str],
    prepare: Callable[[Path], object] = lambda context: None,
    *recipe: str | bytes,
) -> str:
    """An image built from a Containerfile's text with these files in its context, unless one of the same recipe is
    there; `recipe` is what else its content follows from."""
    image = f"{REPOSITORY}/{name}:{_hash(text, *recipe)}"
    if not PODMAN.has(image):
        folder = Path(tempfile.mkdtemp(prefix="context-", dir=cache()))
        try:
            prepare(folder)
            for origin, target in files.items():
                (folder / target).parent.mkdir(exist_ok=True)
                shutil.copy(origin, folder / target)
            build(folder, text, image)
        finally:
            shutil.rmtree(folder)
    return image


def build(context: Path, containerfile: str | Path, image: str, *options: str) -> str:
    """podman build from a text or a file; gives the image's id, which is right whoever else builds meanwhile."""
    if isinstance(containerfile, str):
        written = context / "Containerfile"
        written.write_text(containerfile)
        if containerfile.count("FROM ") == 1:
            # What is built from a text is built once: no look for each of its steps in the store. With several stages
            # podman 4.3 would then remove the images of the first ones, also one that is only named there.
            options = ("--layers=false", *options)
        containerfile = written
    made = podman("build", "--quiet", "--file", containerfile, "--tag", image, *options, context, timeout_s=500)
    return made.stdout.split()[-1]


def derived(base: str, lines: str) -> str:
    """An image `FROM` another with some more instructions."""
    return kept("derived", f"FROM {base}\n{lines}\n", {})


def _requirements() -> list[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    sample = (ROOT / "examples" / "orders" / "requirements.txt").read_text()
    lines = [*setup["options"]["install_requires"].splitlines(), *sample.splitlines(), "setuptools >= 77"]
    return sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")})


@functools.cache
def wheels() -> Path:
    """A wheel for each requirement, for the Python of the bases."""
    requirements = _requirements()
    folder = cache() / f"wheels-{_hash(PYTHON, *requirements)}"
    if not folder.exists():
        made = folder.with_suffix(".part")
        shutil.rmtree(made, ignore_errors=True)
        glibc = [f"--platform=manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28, 31, 34)]
        legacy = ["--platform=manylinux1_x86_64", "--platform=manylinux2014_x86_64"]
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--only-binary=:all:",
            f"--python-version={PYTHON}",
        ]
        subprocess.run([*command, *glibc, *legacy, "--dest", made, *requirements], check=True, capture_output=True)
        made.rename(folder)
    return folder


@functools.cache
def context() -> Path:
    """The project as a build context, with the wheels in it."""
    folder = Path(tempfile.mkdtemp(prefix="project-", dir=cache())) / "project"
    atexit.register(shutil.rmtree, folder.parent)
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*NOT_IN_CONTEXT))
    shutil.copy2(ROOT / ".dockerignore", folder / ".dockerignore")
    shutil.copytree(wheels(), folder / "wheels")
    return folder


def containerfile_target(target: str, name: str, **arguments: str) -> str:
    """The image that a target of the Containerfile makes ("" for the last one)."""
    image = f"{REPOSITORY}/{name}:latest"
    given = {"PYTHON_IMAGE": builder(), "WHEELS": "wheels", **arguments}
    options = [f"--build-arg={key}={value}" for key, value in given.items()]
    made = build(context(), ROOT / "Containerfile", image, *options, *([f"--target={target}"] if target else []))
    # It must keep a name while we need it, also when another run gives that one to its own.
    ours = f"{REPOSITORY}/{name}:{os.getpid()}"
    PODMAN("tag", made, ours)
    atexit.register(lambda: PODMAN("untag", made, ours, check=False))
    return made


@functools.cache
def sidecar() -> str:
    """The sidecar image."""
    return containerfile_target("sidecar", "sidecar")


@functools.cache
def combined(backend: str, command: str = '["/answer", "8000"]') -> str:
    """A backend and the sidecar in one image, by the Containerfile."""
    return containerfile_target("combined", f"combined-{_hash(backend, command)}", BACKEND=backend, BACKEND_CMD=command)
