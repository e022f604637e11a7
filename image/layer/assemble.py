"""Assemble the sidecar layer's tree: the Python that runs this, the wheels it is given, every shared library they need.

    python3 image/layer/assemble.py --wheels wheels --output tree

The tree is what is to stand under /opt/pillion. Needs gcc, patchelf, strip and ldd; takes no configuration from the
environment. `prune.txt` says what is left out.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

HERE = Path(__file__).parent
PREFIX = PurePosixPath("/opt/pillion")
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
# The C library and its loader belong together and stay as their distribution built them.
UNTOUCHED = re.compile(r"(ld-linux.*|ld-musl.*|ld64|libc)\.so(\.\d+)?")
# Files of the base that the loader obeys: what is preloaded there, or found by that cache, may need another C library.
LOADER_READS = (b"/etc/ld.so.preload", b"/etc/ld.so.cache")
NOT_THERE = b"/opt/pillion/no"
# The loader opens this one by itself when a thread is ended (pthread_exit), so nothing names it.
OPENED_LATE = "libgcc_s.so.1"
CFLAGS = (
    *("-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-nostdlib", "-nostartfiles", "-ffreestanding"),
    *("-fno-pie", "-no-pie", "-fno-stack-protector", "-fno-tree-loop-distribute-patterns"),
    *("-fno-asynchronous-unwind-tables", "-Wl,--build-id=none", "-Wl,-z,noseparate-code", "-s"),
)


class Prune:
    """The patterns of `prune.txt`: globs over paths below `lib/pythonX.Y`; one that ends in a slash is a directory."""

    def __init__(self, text: str) -> None:
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        self._patterns = [line for line in lines if line]

    def drops(self, path: str) -> bool:
        """Whether a path is left out. A directory's path ends in a slash."""
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self._patterns)


def assemble(wheels: Path, output: Path, cc: str, sources: bool) -> None:
    """Make the tree in `output`, which must not be there yet. Raises OSError, CalledProcessError."""
    prune = Prune((HERE / "prune.txt").read_text())
    library = output / "lib" / VERSION
    site = library / "site-packages"
    _copy_tree(Path(sysconfig.get_path("stdlib")), library, prune, "")
    _copy_tree(Path(sysconfig.get_config_var("DESTSHARED")), library / "lib-dynload", prune, "lib-dynload/")
    for wheel in sorted(wheels.glob("*.whl")):
        _unpack(wheel, site, prune)
    interpreter = output / "bin" / "python3"
    interpreter.parent.mkdir()
    shutil.copyfile(_own_executable(), interpreter)
    shutil.copyfile(HERE / "start.py", output / "lib" / "start.py")
    loader = _collect_libraries(output, interpreter)
    _make_deaf(output / "lib" / loader)
    for elf in _elves(output):
        if not UNTOUCHED.fullmatch(elf.name):
            _run("strip", "--strip-all", "--remove-section=.comment", str(elf))
            _run("patchelf", "--remove-rpath", str(elf))
    libraries = str(PREFIX / "lib")
    _run("patchelf", "--set-interpreter", f"{libraries}/{loader}", str(interpreter))
    # The executable's own search path, the old kind, is asked for every library that is opened in the process.
    _run("patchelf", "--force-rpath", "--set-rpath", libraries, str(interpreter))
    _compile(output, sources)
    _run(cc, *CFLAGS, "-o", str(output / "bin" / "pillion"), str(HERE / "entry.c"))
    _normalise(output)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=_clean()).stdout


def _clean() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _own_executable() -> Path:
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _copy_tree(source: Path, target: Path, prune: Prune, prefix: str) -> None:
    for folder, folders, files in os.walk(source):
        inside = "" if folder == str(source) else Path(folder).relative_to(source).as_posix() + "/"
        folders[:] = sorted(name for name in folders if not prune.drops(f"{prefix}{inside}{name}/"))
        for name in sorted(files):
            if not prune.drops(f"{prefix}{inside}{name}"):
                (target / inside).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(folder, name), target / inside / name)


def _unpack(wheel: Path, site: Path, prune: Prune) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            # A wheel may keep modules in NAME.data/purelib or platlib (binary distribution format, ".data directory").
            place = re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", name)
            if name.endswith("/") or re.match(r"[^/]+\.data/", place) or ".." in PurePosixPath(place).parts:
                continue
            parents = [f"site-packages/{parent}/" for parent in PurePosixPath(place).parents if str(parent) != "."]
            if any(map(prune.drops, [*parents, f"site-packages/{place}"])):
                continue
            (site / place).parent.mkdir(parents=True, exist_ok=True)
            (site / place).write_bytes(archive.read(name))


def _elves(tree: Path) -> list[Path]:
    return sorted(path for path in tree.rglob("*") if path.is_file() and path.open("rb").read(4) == b"\x7fELF")


def _collect_libraries(output: Path, interpreter: Path) -> str:
    """Copy what the tree's ELF files need, and what that needs, into `lib`; gives the loader's file name."""
    target = output / "lib"
    loader = Path(_run("patchelf", "--print-interpreter", str(interpreter)).strip())
    needed = {loader.name: loader}
    for elf in _elves(output):
        for name, path in _needs(elf):
            needed.setdefault(name, path)
    libc = next(path for name, path in needed.items() if name.startswith("libc.so"))
    for folder in {libc.parent, libc.resolve().parent, Path("/usr") / libc.parent.relative_to("/")}:
        if (folder / OPENED_LATE).is_file():
            needed.setdefault(OPENED_LATE, folder / OPENED_LATE)
    for name, path in sorted(needed.items()):
        shutil.copyfile(path, target / name)
    return loader.name


_NEED = re.compile(r"\s*(\S+) => (\S+)")


def _needs(elf: Path) -> Iterator[tuple[str, Path]]:
    """The closure as the loader of this machine finds it. A library beside the tree's files stays where it is found."""
    search = sysconfig.get_config_var("LIBDIR") or ""
    command = subprocess.run(
        ["ldd", str(elf)], check=True, stdout=subprocess.PIPE, text=True, env={**_clean(), "LD_LIBRARY_PATH": search}
    )
    for line in command.stdout.splitlines():
        if found := _NEED.match(line):
            name, path = found.groups()
            if path == "not":
                raise FileNotFoundError(f"{elf} needs {name}, which is not on this machine")
            yield Path(name).name, Path(path)


def _make_deaf(loader: Path) -> None:
    """Let the loader look for the base's files where there are none."""
    data = loader.read_bytes()
    for name in LOADER_READS:
        if data.count(name + b"\0") != 1:
            raise ValueError(f"{loader.name} does not name {name.decode()} once: a C library this was not written for")
        data = data.replace(name + b"\0", NOT_THERE.ljust(len(name) + 1, b"\0"))
    loader.write_bytes(data)


def _compile(output: Path, sources: bool) -> None:
    """Byte code beside or in place of each source, the same whatever the clock and the place of the tree."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for source in sorted(output.rglob("*.py")):
        name = str(PREFIX / source.relative_to(output))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target = Path(py_compile.compile(str(source), dfile=name, doraise=True, invalidation_mode=mode) or "")
        if not sources or source.name == "start.py":
            target.replace(source.with_suffix(".pyc"))
            source.unlink()
    for cache in sorted(output.rglob("__pycache__")):
        if not any(cache.iterdir()):
            cache.rmdir()


def _normalise(output: Path) -> None:
    """Modes by kind alone, and no times: what is read is the same for every builder."""
    for path in [output, *sorted(output.rglob("*"))]:
        runs = path.is_dir() or path.parent.name == "bin" or path.name.startswith("ld-")
        path.chmod(0o755 if runs else 0o644)
    for path in [*sorted(output.rglob("*"), reverse=True), output]:
        os.utime(path, (0, 0))


def main(arguments: Iterable[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Assemble the sidecar layer's tree (/opt/pillion).")
    parser.add_argument(
        "--wheels", type=Path, required=True, help="a directory with Pillion's wheel and its requirements'"
    )
    parser.add_argument("--output", type=Path, required=True, help="where to make the tree; must not be there yet")
    parser.add_argument("--cc", default="gcc", help="C compiler for the entry (gcc)")
    parser.add_argument("--sources", action="store_true", help="keep the Python sources beside the byte code")
    given = parser.parse_args(arguments if arguments is None else list(arguments))
    assemble(given.wheels, given.output, given.cc, given.sources)


if __name__ == "__main__":
    main()
