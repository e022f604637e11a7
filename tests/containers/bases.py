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
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = Path(__file__).parent / "programs"
TOOLS = ("podman", "mmdebstrap", "musl-gcc", "gcc", "busybox")
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REPOSITORY = "localhost/pillion-test"
# The suite of the bases, and the Python it has.
SUITE, PYTHON = "bookworm", "3.11"
BUILDER = ("python3", "python3-pip", "python3-venv", "gcc", "libc6-dev", "binutils", "patchelf")
NOT_IN_CONTEXT = ("build", "dist", "results", "wheels", "tests", "benchmarks", "*.egg-info", "__pycache__", ".*")


def missing() -> str:
    """Why containers cannot be tested here; "" if they can."""
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"not installed: {', '.join(absent)}"
    if os.geteuid() != 0:
        return "needs root"
    answer = subprocess.run(["podman", "info"], check=False, capture_output=True, text=True)
    return f"podman info: {answer.stderr.strip()}" if answer.returncode else ""


def podman(*arguments: str | Path, check: bool = True, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    """Run podman. Fails with what it said."""
    command = ["podman", *map(str, arguments)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, errors="surrogateescape", timeout=timeout_s
    )
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done


def cache() -> Path:
    """Where files are kept from one run to the next."""
    folder = Path(os.environ.get("PILLION_TEST_CACHE") or Path.home() / ".cache" / "pillion-tests")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _hash(*parts: str | bytes) -> str:
    joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(joined).hexdigest()[:16]


def _there(image: str) -> bool:
    return podman("image", "exists", image, check=False).returncode == 0


@functools.cache
def debian(*packages: str) -> str:
    """A minimal Debian with these packages."""
    recipe = _hash(SUITE, *packages)
    image = f"{REPOSITORY}/debian:{recipe}"
    if not _there(image):
        tar = cache() / f"debian-{recipe}.tar"
        if not tar.exists():
            made = tar.with_suffix(".part")
            command = ["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", f"--include={','.join(packages)}"]
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
    image = f"{REPOSITORY}/backend:{_hash(text, *compiler, source.read_bytes())}"
    if not _there(image):
        folder = cache() / f"context-{os.getpid()}"
        folder.mkdir()
        try:
            subprocess.run([*compiler, "-O1", "-o", folder / "answer", source], check=True)
            for origin, name in files.items():
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copy(origin, folder / name)
            build(folder, text, image)
        finally:
            shutil.rmtree(folder)
    return image


def build(context: Path, containerfile: str | Path, image: str, *options: str) -> str:
    """podman build from a text or a file; gives the image's id, which is right whoever else builds meanwhile."""
    if isinstance(containerfile, str):
        written = context / "Containerfile"
        written.write_text(containerfile)
        containerfile = written
    made = podman("build", "--quiet", "--file", containerfile, "--tag", image, *options, context, timeout_s=500)
    return made.stdout.split()[-1]


def derived(base: str, lines: str) -> str:
    """An image `FROM` another with some more instructions."""
    text = f"FROM {base}\n{lines}\n"
    image = f"{REPOSITORY}/derived:{_hash(text)}"
    if not _there(image):
        folder = cache() / f"context-{os.getpid()}"
        folder.mkdir()
        try:
            build(folder, text, image)
        finally:
            shutil.rmtree(folder)
    return image


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
    return build(context(), ROOT / "Containerfile", image, *options, *([f"--target={target}"] if target else []))


@functools.cache
def sidecar() -> str:
    """The sidecar image."""
    return containerfile_target("sidecar", "sidecar")


@functools.cache
def combined(backend: str, command: str = '["/answer", "8000"]') -> str:
    """A backend and the sidecar in one image, by the Containerfile."""
    return containerfile_target("combined", f"combined-{_hash(backend, command)}", BACKEND=backend, BACKEND_CMD=command)
