"""Which variables a source file reads: Python by its syntax tree, other languages by how they spell it.

A scan and no proof: a name that is put together at run time is not seen, and what is read may never run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import PurePath

from pillion.image.environ.lint.program import Declaration, Place, Program, Source
from pillion.image.environ.readers import command_words, kinds_of

SHELL = "shell"
_NAME = r"[A-Za-z_]\w*"
_QUOTED = rf"""\(\s*["'](?P<name>{_NAME})["']"""
_SPELLINGS = {
    "node": rf"""process\.env(?:\.(?P<dot>{_NAME})|\[\s*["'](?P<name>{_NAME})["'])""",
    "jvm": rf"System\.getenv{_QUOTED}|\$\{{(?P<dot>{_NAME})(?::[^}}]*)?\}}",
    "go": rf"os\.(?:Getenv|LookupEnv){_QUOTED}",
    "ruby": rf"""ENV(?:\.fetch\(|\[)\s*["'](?P<name>{_NAME})["']""",
    "php": rf"""(?:getenv|env){_QUOTED}|\$_(?:ENV|SERVER)\[\s*["'](?P<dot>{_NAME})["']""",
    "rust": rf"env::var(?:_os)?{_QUOTED}",
    SHELL: rf"\$(?P<name>{_NAME})|\$\{{(?P<dot>{_NAME})",
}
_SPELLED = {kind: re.compile(pattern, re.ASCII) for kind, pattern in _SPELLINGS.items()}
_ENDINGS = {
    ".py": "python", ".js": "node", ".cjs": "node", ".mjs": "node", ".ts": "node", ".tsx": "node", ".jsx": "node",
    ".java": "jvm", ".kt": "jvm", ".properties": "jvm", ".go": "go", ".rb": "ruby", ".php": "php", ".rs": "rust",
    ".sh": SHELL, ".bash": SHELL,
}  # fmt: skip
_SHEBANG = re.compile(r"#!\S*/(?:env\s+)?(?P<name>(?:ba|da|k|z|a)?sh|python[\d.]*|node|ruby)\b")
_ASSIGNED = re.compile(
    rf"(?:^|[;&|\s])(?:export\s+|local\s+|readonly\s+|for\s+|read\s+(?:-\w+\s+)*)?(?P<name>{_NAME})(?==|\s+in\s)"
)
_LOOPS = re.compile(rf"\bfor\s+({_NAME})\s+in\b", re.ASCII)
_EXPORTED = re.compile(rf"(?:^|[;&|\s])export\s+(?P<name>{_NAME})=(?P<value>\S*)", re.ASCII)
_ALWAYS = frozenset(
    ("PATH", "HOME", "PWD", "OLDPWD", "IFS", "SHELL", "RANDOM", "SECONDS", "UID", "EUID", "BASH_SOURCE")
)
_BACKGROUND = re.compile(r"(?<![&>|])&(?![&>|\d])")
_DAEMONS = re.compile(r"(?:/etc/init\.d/|service\s+)(?P<name>[\w-]+)(?:\s+(?:re)?start)\b")
_PM2 = re.compile(r"\bpm2\s+start\b.*?(?:--name[= ]|-n )(?P<name>[\w-]+)")
# No longer script is one that starts programs.
_MOST_LINES = 20_000
_BEFORE = re.compile(rf"\s*(?P<name>{_NAME})=(?P<value>(?:[^\s'\"]|'[^']*'|\"[^\"]*\")*)(?=\s)", re.ASCII)
_BRANCHES = (
    "if",
    "then",
    "else",
    "elif",
    "while",
    "until",
    "do",
    "{",
    "(",
    "exec",
    "nohup",
    "sudo",
    "time",
    "!",
    "case",
)


def language(name: str, text: str) -> str:
    """The kind of program that a file is of, by its ending or its first line; "" if it is none."""
    ending = _ENDINGS.get(PurePath(name).suffix.lower(), "")
    if ending:
        return ending
    match = _SHEBANG.match(text)
    found = match["name"] if match else ""
    return SHELL if found.endswith("sh") else found.rstrip("0123456789.")


def read_source(text: str, file: str, kind: str) -> Source:
    """The variables that a file reads, each with the first place; none of a file that is not of its language."""
    reads: dict[str, Place] = {}
    for name, place in _python(text, file) if kind == "python" else _spelled(text, file, kind):
        reads.setdefault(name, place)
    return Source(file, kind, reads, _exports(text, file) if kind == SHELL else {})


def _exports(text: str, file: str) -> dict[str, Place]:
    """What a script hands on, but for names that it only gives a default."""
    found: dict[str, Place] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for match in _EXPORTED.finditer(line):
            if not re.match(rf"""["']?\$\{{?{match["name"]}\b""", match["value"]):
                found.setdefault(match["name"], Place(file, number, match.start("name") + 1))
    return found


def _python(text: str, file: str) -> Iterator[tuple[str, Place]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _is_environ(node.value) and isinstance(node.ctx, ast.Load):
            argument: ast.expr | None = node.slice
        elif isinstance(node, ast.Call) and _gets(node.func):
            argument = node.args[0] if node.args else None
        else:
            continue
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value, Place(file, argument.lineno, argument.col_offset + 1)


def _is_environ(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "environ") or (
        isinstance(node, ast.Name) and node.id == "environ"
    )


def _gets(node: ast.expr) -> bool:
    """`os.environ.get`, `os.getenv`, and the readers of django-environ and its like."""
    if isinstance(node, ast.Attribute):
        return node.attr == "getenv" or (node.attr in ("get", "pop", "setdefault") and _is_environ(node.value))
    return isinstance(node, ast.Name) and node.id in ("getenv", "env")


def _spelled(text: str, file: str, kind: str) -> Iterator[tuple[str, Place]]:
    pattern = _SPELLED.get(kind)
    if pattern is None:
        return
    assigned: set[str] = set(_ALWAYS) if kind == SHELL else set()
    for number, line in enumerate(text.splitlines(), 1):
        if kind == SHELL and line.lstrip().startswith("#"):
            continue
        if kind == SHELL:
            assigned.update(_LOOPS.findall(line))
        for match in pattern.finditer(line):
            name = match["name"] if "name" in pattern.groupindex and match["name"] else match["dot"]
            if name and name not in assigned:
                yield name, Place(file, number, match.start() + 1)
        if kind == SHELL:
            assigned.update(match["name"] for match in _ASSIGNED.finditer(line))


def launched(text: str, file: str) -> list[Program]:
    """The programs that a shell script starts and leaves running, and the one that it becomes at its end."""
    found: list[Program] = []
    for number, line in islice(_logical(text), _MOST_LINES):
        stripped = line.strip()
        place = Place(file, number, len(line) - len(line.lstrip()) + 1)
        if match := _DAEMONS.search(stripped):
            found.append(Program(match["name"], place, "", (match["name"],)))
        elif match := _PM2.search(stripped):
            found.append(Program(match["name"], place, "", ("pm2", *_words(stripped))))
        else:
            stays = _BACKGROUND.search(_without_quotes(stripped)) is not None or stripped.startswith("exec ")
            for part in _BACKGROUND.split(stripped) if "'" not in stripped and '"' not in stripped else [stripped]:
                words = _words(part.strip().rstrip("&"))
                if words and (kinds_of(words[:1], "") or (stays and _is_command(words[0]))):
                    given = _given(part, file, number, len(line) - len(line.lstrip()))
                    found.append(Program(words[0].rpartition("/")[2], place, "", words, given))
    return found


def _given(command: str, file: str, number: int, indent: int) -> dict[str, Declaration]:
    """What stands before a command as NAME=VALUE, for it alone; what a shell would expand has no known value."""
    found: dict[str, Declaration] = {}
    at = 0
    while match := _BEFORE.match(command, at):
        value = match["value"]
        known = None if re.search(r"[$`'\"\\]", value) else value
        place = Place(file, number, indent + match.start("name") + 1)
        found[match["name"]] = Declaration(match["name"], known, place, "command line")
        at = match.end()
    return found


def _is_command(word: str) -> bool:
    return re.fullmatch(r"[\w./-]+", word) is not None and word not in ("wait", "sleep", "tail", "read", "trap")


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines with what they are continued by, and the number of the first."""
    held, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        first = first or number
        held += line.rstrip("\\") if line.endswith("\\") else line
        if not line.endswith("\\"):
            yield first, held
            held, first = "", 0


def _without_quotes(line: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"", "", line)


def _words(command: str) -> tuple[str, ...]:
    words = list(command_words(command))
    while words and (words[0] in _BRANCHES or re.fullmatch(rf"{_NAME}=.*", words[0], re.ASCII | re.DOTALL)):
        words.pop(0)
    return tuple(words)
