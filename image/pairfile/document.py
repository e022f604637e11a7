"""A YAML file as plain values: strict where YAML is lenient, bounded where it is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from pillion.image.refusal import Refusal

MAX_BYTES = 1 << 20  # a Kubernetes object cannot be larger
MAX_VALUES = 100_000  # aliases counted as often as they are used
MAX_DEPTH = 64


def read_documents(path: Path, what: str) -> list[Any]:
    """The documents of a YAML (or JSON) file as dicts with text keys, lists and scalars; empty ones are left out.

    Duplicate keys, unknown tags, and aliases that multiply are refused. Errors never quote the file: it holds secrets.
    """
    text = read_text(path, what)
    documents = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            documents.append(_Builder(what).document(loader.get_node()))
    except yaml.MarkedYAMLError as error:
        mend = "render the template first (helm template)" if "{{" in text else "correct the YAML"
        raise Refusal(what, f"it is not YAML: {_where(error)}{_problem(error)}", mend) from None
    except yaml.YAMLError:
        raise Refusal(what, "it holds control characters", "give a text file") from None
    documents = [document for document in documents if document is not None]
    if not documents:
        raise Refusal(what, "it is empty", "give a Pod or a Compose file")
    return documents


def read_text(path: Path, what: str) -> str:
    """The text of a file of at most 1 MiB. Raises Refusal."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Refusal(what, "there is no such file", "check the path") from None
    except IsADirectoryError:
        raise Refusal(what, "it is a directory", "name the file in it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Refusal(what, reason or "it is not readable", "check the path") from None
    if len(data) > MAX_BYTES:
        raise Refusal(what, f"it is larger than {MAX_BYTES} bytes", "keep only the pair's own documents in it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(what, f"it is not UTF-8 text (byte {error.start})", "give a text file") from None


class _Loader(yaml.BaseLoader):
    """Resolves plain scalars as Go's YAML does, which kubectl and Compose use: no timestamps and no base 60."""

    depth = count = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH or self.count > MAX_VALUES:
            deep = self.depth > MAX_DEPTH
            problem = f"nested deeper than {MAX_DEPTH} levels" if deep else f"more than {MAX_VALUES} values"
            raise yaml.composer.ComposerError(problem=problem, problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_TAG = "tag:yaml.org,2002:"
_NUMBER = r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
for _name, _pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)",
    "int": r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)",
    "float": _NUMBER,
    "merge": "<<",
}.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), None)


def reads_as_text(text: str) -> bool:
    """Whether this text, written without quotes, is read as text and not as a number, a truth value or nothing."""
    tag: str = _Loader("").resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return tag == f"{_TAG}str"


class _Builder:
    """Turns one document's nodes into values, counting them."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.count = 0
        self.old_booleans = True

    def document(self, root: yaml.Node | None) -> Any:
        if isinstance(root, yaml.MappingNode):
            # Kubernetes reads YAML 1.1, where `yes` and `on` are booleans; Compose reads 1.2, where they are words.
            self.old_booleans = any(key.value == "kind" for key, _ in root.value)
        return self.build(root, 0)

    def build(self, node: yaml.Node | None, depth: int) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            raise self.refuse(node, f"holds more than {MAX_VALUES} values", "use fewer aliases")
        if depth > MAX_DEPTH:
            raise self.refuse(node, f"holds values nested deeper than {MAX_DEPTH} levels", "use no alias in itself")
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self.mapping(node, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.build(entry, depth + 1) for entry in node.value]
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        raise self.refuse(node, "has a tag that has no meaning here", "remove the tag, or quote the text after it")

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self.refuse(key, "has a key that is no text", "give it a name")
            built = self.build(value, depth + 1)
            if key.tag == f"{_TAG}merge":
                # https://yaml.org/type/merge.html: own keys win, then earlier mappings.
                for mapping in built if isinstance(built, list) else [built]:
                    if not isinstance(mapping, dict):
                        raise self.refuse(value, "merges what is no mapping", "merge only mappings")
                    merged = {**mapping, **merged}
                continue
            if key.value in own:
                raise self.refuse(key, f'gives the key "{key.value[:60]}" a second time', "keep one of the two")
            own[self.text(key)] = built
        return {**merged, **own}

    def scalar(self, node: yaml.ScalarNode) -> Any:
        tag, text = node.tag.removeprefix(_TAG), node.value
        if tag == "null":
            return None
        if tag == "bool" and (self.old_booleans or text.lower() in ("true", "false")):
            return text.lower() in ("y", "yes", "true", "on")
        if tag in ("int", "float"):
            try:
                return _number(text.replace("_", "").lower(), whole=tag == "int")
            except ValueError:
                raise self.refuse(node, "has a number that is none", "write digits") from None
        if tag not in ("str", "bool", "merge"):
            raise self.refuse(node, "has a tag that has no meaning here", "remove the tag, or quote the text after it")
        return self.text(node)

    def text(self, node: yaml.ScalarNode) -> str:
        text: str = node.value
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self.refuse(node, "holds half a surrogate pair, which is no character", "remove it") from None
        return text

    def refuse(self, node: yaml.Node | None, why: str, mend: str) -> Refusal:
        return Refusal(self.what, f"line {node.start_mark.line + 1 if node else 1} {why}", mend)


def _number(text: str, *, whole: bool) -> int | float:
    if not whole or len(text) > 40:  # longer ones are no port and no count; int() takes quadratic time over them
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    digits = text.lstrip("+-")
    if digits[:1] == "0" and digits.isdigit() and not set(digits) & set("89"):
        return int(text, 8)
    return int(text, 10 if digits.isdigit() else 0)


def _where(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""


def _problem(error: yaml.MarkedYAMLError) -> str:
    """The parser's complaint up to the first word of the file that it quotes: `*word` may be an unquoted password."""
    problem = error.problem or "syntax error"
    harmless = re.match(r"""(?:[^'"]|'<[^'>]*>'|'\\?.')*""", problem)
    return harmless[0].rstrip() if harmless else ""
