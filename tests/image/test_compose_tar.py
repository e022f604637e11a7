"""Reading tars: the same entries as `tarfile` finds, in constant memory, and a clear word about damage."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillion.image.compose import layer_files
from pillion.image.compose.blob import Blob
from pillion.image.compose.layer_files import scan_layer, stack
from pillion.image.compose.tar_headers import Entry, entries
from pillion.image.compose.tar_stream import Chunked, Damaged, decompressed, open_tar
from tests.images import BASE_LAYER, PASSWD, File, compressed, tar

names = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=300)
files = st.lists(st.tuples(names, st.binary(max_size=1500), st.integers(0, 0o7777)), max_size=6)
forms = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])


def read(data: bytes, piece: int = 1 << 20) -> list[Entry]:
    pieces = iter([data[at : at + piece] for at in range(0, len(data), piece)])
    return list(entries(Chunked(pieces), lambda entry: entry.size))


def blob(path: Path, data: bytes) -> Blob:
    path.write_bytes(data)
    return Blob.of_file(path)


@given(files, forms, st.integers(1, 3000))
def test_every_entry_that_tarfile_finds(listed: list[tuple[str, bytes, int]], form: int, piece: int) -> None:
    """Names long and short, contents and modes, in both formats, however the stream is cut into pieces."""
    data = tar(*(File(name.rstrip("/") or "x", content, mode or 1) for name, content, mode in listed), form=form)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = [(each.name, each.mode, archive.extractfile(each).read()) for each in archive]  # type: ignore[union-attr]
    assert [(each.name, each.mode, each.content) for each in read(data, piece)] == expected


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_garbage_is_damage_or_entries_but_never_another_error(data: bytes, at: int) -> None:
    """Whatever the bytes are, and wherever they stand in a good archive."""
    try:
        read(BASE_LAYER[:at] + data + BASE_LAYER[at + len(data) :])
    except Damaged as error:
        assert str(error)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_files_of_more_than_eight_gigabytes(form: int) -> None:
    """Their size is base-256 or in a pax header."""
    info = tarfile.TarInfo("big")
    info.size = 9 << 30
    found = entries(Chunked(iter([info.tobuf(form)])))
    assert next(found).size == 9 << 30
    with pytest.raises(Damaged, match="in the middle of a file"):
        next(found)


def test_an_oversized_header_is_refused() -> None:
    """A pax header of gigabytes would be read into memory."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2 << 30
    with pytest.raises(Damaged, match="over the limit"):
        list(entries(Chunked(iter([info.tobuf(tarfile.USTAR_FORMAT)]))))


@pytest.mark.parametrize("cut", [100, 512, 700, 1300])
def test_a_truncated_tar(cut: int) -> None:
    """In a header or in a file; between two it ends as tars may."""
    data = tar(File("a", b"x" * 600), File("b"))[:cut]
    if cut == 512:
        data = data[:512]
    with pytest.raises(Damaged, match="in the middle"):
        read(data)


@pytest.fixture(params=["isal", "zlib"])
def inflating(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the faster library and without it."""
    if request.param == "isal":
        pytest.importorskip("isal")
    else:
        monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    return str(request.param)


@pytest.mark.parametrize("how", ["plain", "gzip", "zstd"])
def test_layers_of_every_compression(tmp_path: Path, how: str, inflating: str) -> None:
    """The content that is asked for arrives through each."""
    found = scan_layer(blob(tmp_path / "layer", compressed(BASE_LAYER, how)[0]))
    assert found.present["etc/passwd"].content == PASSWD
    assert found.present["opt"].mode == 0o755


def test_gzip_of_many_members(tmp_path: Path, inflating: str) -> None:
    """As estargz has them; each is a piece of the same tar."""
    data = b"".join(gzip.compress(BASE_LAYER[at : at + 100]) for at in range(0, len(BASE_LAYER), 100))
    assert scan_layer(blob(tmp_path / "layer", data)).present["etc/passwd"].content == PASSWD


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_a_damaged_or_truncated_stream(tmp_path: Path, how: str, inflating: str) -> None:
    """Said in words."""
    good = compressed(tar(*(File(f"f{at}", random.Random(at).randbytes(999)) for at in range(99))), how)[0]
    for data in (good[: len(good) // 2], good[:12] + b"\xff" * 60 + good[72:]):
        with pytest.raises(Damaged, match=r"damaged|early|middle"):
            scan_layer(blob(tmp_path / "layer", data))


@pytest.mark.parametrize("tail", [b"x" * 40, bytes(12), gzip.compress(b"", mtime=0)[:9]])
def test_gzip_that_goes_on_with_something_else(tmp_path: Path, tail: bytes, inflating: str) -> None:
    """Whichever library inflates refuses it."""
    with pytest.raises(Damaged, match=r"gzip stream (is damaged|ends early)"):
        list(decompressed(blob(tmp_path / "layer", gzip.compress(BASE_LAYER) + tail)))


def test_a_wrong_checksum_of_gzip(tmp_path: Path, inflating: str) -> None:
    """Found when all is inflated."""
    good = gzip.compress(BASE_LAYER)
    with pytest.raises(Damaged, match="gzip stream is damaged"):
        list(decompressed(blob(tmp_path / "layer", good[:-8] + b"\0\0\0\0" + good[-4:])))


tops = st.sampled_from(["usr", "srv", "opt", "etc", "./usr", "./opt", "optional", "etcetera", ".wh.opt", "opt/pillion"])
below = st.sampled_from(["", "/a", "/passwd", "/.wh.passwd", "/.wh..wh..opq", "/pillion", "/pillion/bin/pillion"])
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.AREGTYPE])
long = st.sampled_from(["", "/" + "n" * 90, "/" + "m" * 120 + "/" + "n" * 90])
formats = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])


@given(
    st.lists(st.tuples(tops, below, long, kinds, st.binary(max_size=700)), max_size=12),
    formats,
    st.one_of(st.none(), st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=20))),
)
def test_what_is_passed_by_changes_nothing(
    listed: list[tuple[str, str, str, bytes, bytes]], form: int, damage: tuple[float, bytes] | None
) -> None:
    """A layer says the same whether entries of no interest are read in full or passed by, also where it is damaged."""
    members = [
        File(f"{top}{rest}{more}", content if kind in (tarfile.REGTYPE, tarfile.AREGTYPE) else b"", 0o644, kind, "to")
        for top, rest, more, kind, content in listed
    ]
    data = tar(*members, form=form)
    if damage:
        at = int(damage[0] * (len(data) - 1))
        data = data[:at] + damage[1] + data[at + len(damage[1]) :]

    def seen(passing: re.Pattern[bytes] | None) -> object:
        try:
            return layer_files._scan(entries(Chunked(iter([data])), layer_files._wanted, passing))
        except Damaged as error:
            return str(error)

    assert seen(layer_files._ELSEWHERE) == seen(None)


@pytest.mark.parametrize("name", ["../etc/shadow", "opt/../../x", "a/.."])
def test_an_entry_that_leads_out(tmp_path: Path, name: str) -> None:
    """Path traversal is refused with the name."""
    with pytest.raises(Damaged, match="leads out of its root"):
        scan_layer(blob(tmp_path / "layer", tar(File(name))))


def stacked(tmp_path: Path, *layers: bytes) -> dict[str, bytes]:
    found = stack([scan_layer(blob(tmp_path / f"{at}", data)) for at, data in enumerate(layers)])
    return {
        **{path: entry.content for path, entry in found.present.items()},
        "occupied": b"1" if found.occupied else b"",
    }


@pytest.mark.parametrize(
    ("upper", "left"),
    [
        ([], True),
        (["etc/.wh.passwd"], False),
        (["etc/.wh..wh..opq"], False),
        ([".wh.etc"], False),
        ([".wh..wh..opq"], False),
        ([File("etc", kind=tarfile.SYMTYPE, link="usr/etc")], False),
        (["etc/.wh.passw", "srv/.wh.passwd", "./etc/"], True),
    ],
)
def test_whiteouts(tmp_path: Path, upper: list[File | str], left: bool) -> None:
    """A lower layer's file is gone when an upper one takes it or its directory away."""
    assert ("etc/passwd" in stacked(tmp_path, BASE_LAYER, tar(*upper))) is left


def test_a_whiteout_spares_its_own_layer(tmp_path: Path) -> None:
    """Whatever comes first in the tar: it hides lower layers only."""
    for upper in (["etc/.wh..wh..opq", File("etc/passwd", b"new")], [File("etc/passwd", b"new"), "etc/.wh..wh..opq"]):
        assert stacked(tmp_path, BASE_LAYER, tar(*upper))["etc/passwd"] == b"new"


@pytest.mark.parametrize(
    ("upper", "occupied"),
    [([], True), (["opt/.wh.pillion"], False), (["opt/.wh..wh..opq"], False), ([".wh.opt", "opt/"], False)],
)
def test_our_prefix_is_free_again_when_it_was_taken_away(
    tmp_path: Path, upper: list[File | str], occupied: bool
) -> None:
    """By a whiteout of it or of a directory above."""
    lower = tar("opt/", "opt/pillion/", File("opt/pillion/x"))
    assert bool(stacked(tmp_path, lower, tar(*upper))["occupied"]) is occupied


@pytest.mark.parametrize("form", ["plain", "gzip"])
def test_memory_does_not_grow_with_the_layer(tmp_path: Path, form: str) -> None:
    """40,000 files and one of 300 MB, sparse on disk and all zeros in gzip."""
    header = tarfile.TarInfo("big")
    header.size = 300 << 20
    many = tar(*(File(f"srv/{at}") for at in range(40_000)))
    path = tmp_path / "layer"
    if form == "plain":
        with path.open("wb") as file:
            file.write(header.tobuf())
            file.seek(header.size, io.SEEK_CUR)
            file.write(many)
    else:
        with gzip.open(path, "wb", compresslevel=1) as packed:
            packed.write(header.tobuf())
            for _ in range(300):
                packed.write(bytes(1 << 20))
            packed.write(many)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from pillion.image.compose.blob import Blob; from pillion.image.compose.layer_files import scan_layer\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "scan_layer(Blob.of_file(Path(sys.argv[1])))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    grown = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    assert int(grown) < 16 << 10, f"{grown} KiB"


def test_a_plain_tar_is_skipped_through(tmp_path: Path) -> None:
    """The bytes of its files are never read: here there are none on disk."""
    header = tarfile.TarInfo("big")
    header.size = 1 << 40
    path = tmp_path / "layer"
    with path.open("wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.truncate(512 + header.size)
        file.seek(0, io.SEEK_END)
        file.write(tar(File("after")))
    with contextlib.closing(open_tar(Blob.of_file(path))) as stream:
        assert [entry.name for entry in entries(stream)] == ["big", "after"]
