"""Which single faults `--full` names, all of them, and which of these `--fast` can see."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scidata.verifying import verify
from tests.damage import CHUNK, MANIFEST, STATISTICS, TABLE, flip, named, two_versions

OTHER = CHUNK.replace("/1/", "/2/")


def edit(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda bag: void((bag / path).write_bytes(change((bag / path).read_bytes())))


def void(result: object) -> None:
    """Drop a result."""


def swap(bag: Path) -> None:
    """Exchange two files, whose sizes differ."""
    first, second = (bag / CHUNK).read_bytes(), (bag / OTHER).read_bytes()
    (bag / CHUNK).write_bytes(second)
    (bag / OTHER).write_bytes(first)


def add(path: str) -> Callable[[Path], None]:
    return lambda bag: void((bag / path).write_bytes(b"x"))


def rename(bag: Path) -> None:
    (bag / TABLE).rename(bag / "data/tables.parquet")


BAD = "bad"
# What is done; what must be named; whether names, sizes and tag files are enough to see it.
FAULTS: dict[str, tuple[Callable[[Path], None], set[tuple[str, str]], bool]] = {
    "flip": (edit(CHUNK, flip), {(BAD, CHUNK)}, False),
    "other bytes of the same size": (
        edit(STATISTICS, lambda data: bytes(len(data))),
        {(BAD, STATISTICS)},
        False,
    ),
    "swap two files of other sizes": (swap, {(BAD, CHUNK), (BAD, OTHER)}, True),
    "truncate": (edit(TABLE, lambda data: data[:-1]), {(BAD, TABLE)}, True),
    "extend": (edit(TABLE, lambda data: data + b"\0"), {(BAD, TABLE)}, True),
    "remove": (lambda bag: (bag / STATISTICS).unlink(), {("missing", STATISTICS)}, True),
    "add": (add("data/new"), {("extra", "data/new")}, True),
    "rename": (rename, {("missing", TABLE), ("extra", "data/tables.parquet")}, True),
    "case twin": (add("data/TABLE.parquet"), {("extra", "data/TABLE.parquet")}, True),
    "Unicode twin": (add("data/tab\u0142e\u0301"), {("extra", "data/tab\u0142e\u0301")}, True),
    "a line twice": (edit(MANIFEST, lambda text: text[:90] + text), {(BAD, MANIFEST)}, True),
    "unsorted": (
        edit(MANIFEST, lambda text: b"".join(text.splitlines(keepends=True)[::-1])),
        {(BAD, MANIFEST)},
        True,
    ),
    "BOM": (edit(MANIFEST, lambda text: b"\xef\xbb\xbf" + text), {(BAD, MANIFEST)}, True),
    "CRLF": (
        edit(MANIFEST, lambda text: text.replace(b"\n", b"\r\n")),
        {(BAD, MANIFEST)},
        True,
    ),
    "../": (
        edit(MANIFEST, lambda text: text.replace(b"data/t", b"data/../t")),
        {(BAD, MANIFEST)},
        True,
    ),
    "an absolute path": (
        edit(MANIFEST, lambda text: text.replace(b"  data/t", b"  /data/t")),
        {(BAD, MANIFEST)},
        True,
    ),
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tiny@1.0.0."""
    return two_versions(tmp_path_factory.mktemp("published"))


@pytest.mark.parametrize("where", ["folder", "store"])
@pytest.mark.parametrize("fault", FAULTS)
def test_full_names_every_single_fault_and_fast_what_a_listing_shows(
    published: Path, tmp_path: Path, fault: str, where: str
) -> None:
    store = Path(shutil.copytree(published, tmp_path / "store"))
    copy = Path(shutil.copytree(published / "tiny/v1.0.0", tmp_path / "copy"))
    spoil, expected, visible = FAULTS[fault]
    spoil(copy if where == "folder" else store / "tiny/v1.0.0")
    target = copy if where == "folder" else "tiny@1.0.0"
    assert named(verify(target, store)) == expected
    assert named(verify(target, store, fast=True)) == (expected if visible else set())
