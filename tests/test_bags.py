"""Bags as BagIt 0.97 and 1.0 (RFC 8493) allow and forbid them, made here, and two judges.

Each case says what the rules say and what `scidata verify` says. bagit-python judges, too;
where it says something else, the case tells why.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import bagit
import pytest

from scidata.errors import InvalidError
from scidata.verifying import verify

MANIFEST, TAGS = "manifest-sha256.txt", "tagmanifest-sha256.txt"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write(bag: Path, path: str, data: bytes) -> None:
    (bag / path).parent.mkdir(parents=True, exist_ok=True)
    (bag / path).write_bytes(data)


def line(path: str, data: bytes = b"hello") -> bytes:
    return f"{sha(data)}  {path}\n".encode()


def plain(bag: Path, version: str = "1.0") -> None:
    """Write a bag of one file."""
    declaration = f"BagIt-Version: {version}\nTag-File-Character-Encoding: UTF-8\n"
    write(bag, "bagit.txt", declaration.encode())
    write(bag, "data/hello.txt", b"hello")
    write(bag, MANIFEST, line("data/hello.txt"))


def edited(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def edit(bag: Path) -> None:
        write(bag, path, change((bag / path).read_bytes()))

    return edit


def adding(path: str, data: bytes) -> Callable[[Path], None]:
    return lambda bag: write(bag, path, data)


def all_of(*edits: Callable[[Path], None]) -> Callable[[Path], None]:
    def edit(bag: Path) -> None:
        for each in edits:
            each(bag)

    return edit


class Case(NamedTuple):
    """A bag, and what is said of it."""

    edit: Callable[[Path], None]
    valid: bool
    bagit_says: bool | None = None
    """If something else than `valid`; see `why`."""
    why: str = ""


def named(path: str) -> Callable[[Path], None]:
    return all_of(adding(path, b"hello"), edited(MANIFEST, lambda text: text + line(path)))


def pointing(path: str) -> Callable[[Path], None]:
    """Let the manifest name a path that leaves the bag, where such a file even exists."""

    def edit(bag: Path) -> None:
        (bag.parent / "outside.txt").write_bytes(b"hello")
        write(bag, MANIFEST, (bag / MANIFEST).read_bytes() + line(path))

    return edit


CASES = {
    "a plain bag": Case(lambda bag: None, True),
    "an empty file": Case(
        all_of(
            adding("data/empty", b""),
            edited(MANIFEST, lambda text: text + line("data/empty", b"")),
        ),
        True,
    ),
    "a folder in the payload": Case(named("data/a/b/c.txt"), True),
    "blanks in a name": Case(named("data/two words.txt"), True),
    "a name beyond ASCII": Case(named("data/grüße.txt"), True),
    "a hidden file": Case(named("data/.hidden"), True),
    "a tag manifest": Case(
        lambda bag: write(
            bag,
            TAGS,
            b"".join(line(p, (bag / p).read_bytes()) for p in ("bagit.txt", MANIFEST)),
        ),
        True,
    ),
    "tag files that no manifest names": Case(adding("notes/extra.txt", b"x"), True),
    "bag-info.txt": Case(adding("bag-info.txt", b"Source-Organization: us\n"), True),
    "an upper-case digest": Case(
        edited(MANIFEST, lambda text: text[:64].upper() + text[64:]), True
    ),
    "CRLF in the manifest": Case(
        edited(MANIFEST, lambda text: text.replace(b"\n", b"\r\n")), True
    ),
    "a tabulator before the path": Case(
        edited(MANIFEST, lambda text: text.replace(b"  ", b"\t")), True
    ),
    "an asterisk as md5sum writes it": Case(
        edited(MANIFEST, lambda text: text.replace(b"  ", b" *")), True
    ),
    "a path that begins with ./": Case(
        edited(MANIFEST, lambda text: text.replace(b"data/", b"./data/")), True
    ),
    "a missing payload file": Case(lambda bag: (bag / "data/hello.txt").unlink(), False),
    "a changed payload file": Case(adding("data/hello.txt", b"hullo"), False),
    "an extra payload file": Case(adding("data/extra.txt", b"x"), False),
    "a digest that is too short": Case(edited(MANIFEST, lambda text: text[1:]), False),
    "a line without a path": Case(
        edited(MANIFEST, lambda text: text + b"0" * 64 + b"\n"),
        False,
        bagit_says=True,
        why="bagit-python skips lines that it cannot read, with a warning",
    ),
    "a payload path outside data/": Case(
        all_of(adding("hello.txt", b"hello"), pointing("hello.txt")),
        False,
        bagit_says=True,
        why="bagit-python checks that a path stays in the bag, not that it is payload",
    ),
    "two digests of one file": Case(
        edited(MANIFEST, lambda text: text + b"0" * 64 + text[64:]), False
    ),
    "a wrong tag manifest": Case(adding(TAGS, line("bagit.txt", b"other")), False),
    "a tag file that is missing": Case(adding(TAGS, line("gone.txt")), False),
}
ESCAPES = ["../outside.txt", "data/../../outside.txt", "/etc/passwd", "~/x", "~root/x"]
CASES |= {f"a manifest that names {path}": Case(pointing(path), False) for path in ESCAPES}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """An empty folder in another, so that something lies outside it."""
    (tmp_path / "bag").mkdir()
    return tmp_path / "bag"


@pytest.mark.parametrize("version", ["0.97", "1.0"])
@pytest.mark.parametrize("name", CASES)
def test_a_bag_is_judged_by_the_rules(bag: Path, name: str, version: str) -> None:
    plain(bag, version)
    CASES[name].edit(bag)
    try:
        sound = verify(bag).sound
    except InvalidError:
        sound = False
    assert sound == CASES[name].valid


@pytest.mark.parametrize("version", ["0.97", "1.0"])
@pytest.mark.parametrize("name", CASES)
def test_bagit_python_judges_alike_where_it_is_not_said_otherwise(
    bag: Path, name: str, version: str
) -> None:
    plain(bag, version)
    CASES[name].edit(bag)
    try:
        valid = bagit.Bag(str(bag)).is_valid()
    except bagit.BagError:
        valid = False
    other = CASES[name].bagit_says
    assert valid == (CASES[name].valid if other is None else other), CASES[name].why
