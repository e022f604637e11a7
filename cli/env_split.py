"""The environments that the commands of `pillion env` tell of: of a pair in a layout, or of the caller's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pillion.compare.layouts import Place, plan
from pillion.image.account import own_identity
from pillion.image.environ.classes import variable_class
from pillion.image.environ.secrets import is_secret
from pillion.image.environ.split import Facts, Split, split
from pillion.image.lint.locate import lines_of
from pillion.image.pair import RECORD_VARIABLE, Pair, PairRecord, read_record
from pillion.image.sidecar import read_sidecar


def split_pair(pair: Pair, place: Place) -> Split:
    """As `pillion enter` will do it in layout shared."""
    shared = plan(pair, "shared", place).processes[0]
    return _split(dict(shared.environ), read_record(shared.environ[RECORD_VARIABLE]), place)


def split_caller(environ: Mapping[str, str], place: Place) -> Split:
    """As `pillion run -- CMD` would do it from here."""
    return _split(environ, PairRecord(), place)


def _split(environ: Mapping[str, str], record: PairRecord, place: Place) -> Split:
    who = own_identity()
    return split(environ, record, Facts(who, who, who, place.path), lambda path: Path(path).read_bytes())


def fields_of(pair: Pair) -> dict[str, dict[str, str]]:
    """Where in the file each program's variables stand: the field, and its line where the file itself has it."""
    fields = {"proxy": read_sidecar(pair.proxy).fields, "backend": pair.backend.env_fields}
    lines = lines_of(Path(pair.source), (field for each in fields.values() for field in each.values()))
    return {
        program: {name: f"{field}, line {lines[field]}" if field in lines else field for name, field in each.items()}
        for program, each in fields.items()
    }


def class_of(name: str, value: str) -> str:
    """What a variable is, in a word: a secret, or its class in the policy."""
    return "secret" if is_secret(name, value) else variable_class(name)
