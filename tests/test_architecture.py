"""The rules of the house: which way the arrows run, what must start fast, what is installed where."""

from __future__ import annotations

import ast
import configparser
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("proxy", "image", "compare", "cli")
ARROWS = {"proxy": set(), "image": set(), "compare": {"image"}, "cli": {"compare", "image", "proxy"}}
# What builds the sidecar layer: scripts for the builder's Python, in no package and in no wheel.
BUILD_INPUTS = ROOT / "image" / "layer"
# What stands before every start in a container.
EARLY = (
    "image/environ",
    "image/account.py",
    "image/boundary.py",
    "image/division.py",
    "image/enter.py",
    "image/launch.py",
    "image/limiting.py",
    "image/limits.py",
    "image/log_format.py",
    "image/orphans.py",
    "image/pair.py",
    "image/ports.py",
    "image/refusal.py",
    "image/control.py",
    "image/run_directory.py",
    "image/sidecar.py",
    "image/stop_signal.py",
    "image/supervision.py",
    "image/usage.py",
)


def modules(*places: str) -> list[Path]:
    """Every Python file of these folders and files."""
    found = [ROOT / place for place in places]
    files = {file for place in found for file in (place.rglob("*.py") if place.is_dir() else [place])}
    return sorted(file for file in files if BUILD_INPUTS not in file.parents)


def imported(file: Path) -> Iterator[str]:
    """The full names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield str(node.module)


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_run_one_way(room: str) -> None:
    """cli -> compare -> image; proxy imports none of them and only cli imports proxy."""
    allowed = {f"pillion.{other}" for other in ARROWS[room] | {room}}
    for file in modules(room):
        for name in imported(file):
            if name.split(".")[0] == "pillion":
                assert ".".join(name.split(".")[:2]) in allowed, f"{file.relative_to(ROOT)} imports {name}"


def test_what_starts_first_needs_the_standard_library_only() -> None:
    """And of Pillion only what needs no more itself."""
    early = {str(file.relative_to(ROOT).with_suffix("")).replace("/", ".") for file in modules(*EARLY)}
    allowed = {f"pillion.{name}" for name in early}
    for file in modules(*EARLY):
        for name in imported(file):
            assert name.split(".")[0] in sys.stdlib_module_names or name in allowed, f"{file} imports {name}"


def test_entering_loads_nothing_installed() -> None:
    """Measured, not read: the modules that are there after the import all come from the standard library or us."""
    imports = "import pillion.cli.enter, pillion.cli.exec"
    code = f"import sys; before = set(sys.modules); {imports}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names
    assert foreign <= {"pillion"}


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_reads_the_environment_when_imported(room: str) -> None:
    """A mapping is passed in: `os.environ` stands inside functions only."""
    for file in modules(room):
        tree = ast.parse(file.read_text())
        inside = {
            id(node)
            for function in ast.walk(tree)
            if isinstance(function, (ast.FunctionDef, ast.Lambda))
            for node in ast.walk(function)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"):
                assert id(node) in inside, f"{file}:{node.lineno}"


def test_the_packages_listed_are_those_in_the_tree() -> None:
    """setup.cfg lists them one a line; a folder that is missing there would not be installed."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    there = {
        f"pillion.{str(file.parent.relative_to(ROOT)).replace('/', '.')}"
        for file in modules(*ROOMS)
        if file.name == "__init__.py"
    }
    assert sorted(there) == listed if listed == sorted(listed) else there == set(listed)
    assert len(listed) == len(set(listed))
    homeless = [file for file in modules(*ROOMS) if not (file.parent / "__init__.py").is_file()]
    assert homeless == []


@pytest.mark.timeout(300)  # pip fetches the build backend
def test_only_pillion_is_installed(tmp_path: Path) -> None:
    """A wheel holds `pillion/` and its metadata, every module and supervisord.conf; no top-level `image` or `proxy`."""
    tree = tmp_path / "tree"
    skipped = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "results")
    shutil.copytree(ROOT, tree, symlinks=True, ignore=skipped)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, tree]
    subprocess.run(command, check=True, capture_output=True, timeout=280)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"pillion"}
    expected = {f"pillion/{file.relative_to(ROOT)}" for file in modules(*ROOMS)}
    assert expected <= names and "pillion/image/supervisord.conf" in names
    assert zipfile.ZipFile(wheel).read("pillion/image/supervisord.conf") == (ROOT / "supervisord.conf").read_bytes()


def test_the_readme_begins_with_its_two_commands() -> None:
    """The first two fenced blocks: one line each, nothing else, so that they can be copied and CI can run them."""
    blocks = (ROOT / "README.md").read_text().split("```")[1::2][:2]
    assert "latency p50, ms" in (ROOT / "README.md").read_text(), "the table of a real run"
    for block, ends in zip(
        blocks, ("pillion compare examples/orders/pod.yaml", "pytest -n 3 --dist loadfile"), strict=True
    ):
        _, *lines = block.splitlines()
        assert len(lines) == 1 and lines[0].rstrip().endswith(ends)
