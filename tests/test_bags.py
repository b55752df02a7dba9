"""Bags as BagIt 0.97 and 1.0 (RFC 8493) allow and forbid them, made here, and two judges.

Each case says what the rules say and what `scidata verify` says. bagit-python judges, too;
where it says something else, the case tells why.
"""

import hashlib
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import bagit
import pytest

from scidata.errors import InvalidError, NotFoundError
from scidata.verifying import verify
from tests.damage import command

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


Edit: TypeAlias = Callable[[Path], None]


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


def other(
    algorithm: str, *, path: str = "data/hello.txt", data: bytes = b"hello", kind: str = ""
) -> Callable[[Path], None]:
    """Add a manifest of another algorithm."""
    value = hashlib.new(algorithm, data).hexdigest()
    name = f"{kind}manifest-{algorithm}.txt"
    return lambda bag: write(bag, name, f"{value}  {path}\n".encode())


def without_sha256(bag: Path) -> None:
    (bag / MANIFEST).unlink()


def to_fetch(path: str, *, url: str = "https://example.org/x", size: str = "5") -> Edit:
    return adding("fetch.txt", f"{url} {size} {path}\n".encode())


def holey(bag: Path) -> None:
    (bag / "data/hello.txt").unlink()
    to_fetch("data/hello.txt")(bag)


def declared(text: bytes) -> Callable[[Path], None]:
    return adding("bagit.txt", text)


ENCODED = b"Tag-File-Character-Encoding: UTF-8\n"
CASES |= {
    # Manifests of other algorithms
    **{
        f"{name} alone": Case(all_of(other(name), without_sha256), True)
        for name in ("md5", "sha1", "sha512")
    },
    "sha512 beside sha256": Case(other("sha512"), True),
    "md5, sha1 and sha512 alone": Case(
        all_of(other("md5"), other("sha1"), other("sha512"), without_sha256), True
    ),
    "sha512 of other bytes beside sha256": Case(other("sha512", data=b"x"), False),
    "md5 of other bytes alone": Case(all_of(other("md5", data=b"x"), without_sha256), False),
    "md5 alone, and a file too many": Case(
        all_of(other("md5"), without_sha256, adding("data/more", b"x")), False
    ),
    "md5 alone, and a file that is missing": Case(
        all_of(other("md5"), without_sha256, lambda bag: (bag / "data/hello.txt").unlink()),
        False,
    ),
    "md5 alone, with a path that escapes": Case(
        all_of(other("md5", path="../outside.txt"), without_sha256), False
    ),
    "a digest of another length": Case(
        all_of(
            edited(MANIFEST, lambda text: text[32:]),
        ),
        False,
    ),
    "a manifest of no known algorithm alone": Case(
        all_of(without_sha256, adding("manifest-crc8.txt", b"00  data/hello.txt\n")), False
    ),
    "an md5 tag manifest": Case(
        lambda bag: other("md5", path=MANIFEST, data=(bag / MANIFEST).read_bytes(), kind="tag")(
            bag
        ),
        True,
    ),
    "a wrong md5 tag manifest": Case(other("md5", path=MANIFEST, kind="tag"), False),
    # Holes
    "a file to be fetched that is there": Case(to_fetch("data/hello.txt"), True),
    "a file to be fetched of unknown size": Case(to_fetch("data/hello.txt", size="-"), True),
    "a file to be fetched that is not there yet": Case(holey, False),
    "a file to be fetched that no manifest names": Case(
        to_fetch("data/other.txt"),
        False,
        bagit_says=True,
        why="bagit-python compares fetch.txt with no manifest",
    ),
    "a line to be fetched without a size": Case(
        adding("fetch.txt", b"https://example.org/x data/hello.txt\n"), False
    ),
    # The declaration
    "no declaration": Case(lambda bag: (bag / "bagit.txt").unlink(), False),
    "an empty declaration": Case(declared(b""), False),
    "a declaration without an encoding": Case(declared(b"BagIt-Version: 1.0\n"), False),
    "a declaration without a version": Case(declared(ENCODED), False),
    "a declaration with a byte order mark": Case(
        declared(b"\xef\xbb\xbfBagIt-Version: 1.0\n" + ENCODED), False
    ),
    "a declaration in another order": Case(
        declared(ENCODED + b"BagIt-Version: 1.0\n"),
        False,
        bagit_says=True,
        why="bagit-python reads its lines in any order",
    ),
    "a declaration with CRLF": Case(
        edited("bagit.txt", lambda text: text.replace(b"\n", b"\r\n")), True
    ),
    "a version that is no number": Case(declared(b"BagIt-Version: one\n" + ENCODED), False),
    "tag files in UTF-16": Case(
        declared(b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-16\n"), False
    ),
    # The payload
    "no payload folder": Case(
        all_of(
            lambda bag: (bag / "data/hello.txt").unlink(),
            lambda bag: (bag / "data").rmdir(),
            adding(MANIFEST, b""),
        ),
        False,
    ),
    "bytes and files as stated": Case(adding("bag-info.txt", b"Payload-Oxum: 5.1\n"), True),
    "fewer bytes than stated": Case(adding("bag-info.txt", b"Payload-Oxum: 6.1\n"), False),
    "fewer files than stated": Case(adding("bag-info.txt", b"Payload-Oxum: 5.2\n"), False),
    "CR alone between lines": Case(
        edited(MANIFEST, lambda text: text.replace(b"\n", b"\r")), True
    ),
    "a bag in a bag": Case(
        all_of(*(named(f"data/bag/{name}") for name in ("bagit.txt", "manifest-md5.txt"))), True
    ),
    "two files that differ by case": Case(named("data/HELLO.txt"), True),
    "a percent sign that is escaped": Case(
        all_of(
            adding("data/100%.txt", b"hello"),
            edited(MANIFEST, lambda text: text + line("data/100%25.txt")),
        ),
        True,
        bagit_says=False,
        why="bagit-python writes and reads % as it is",
    ),
    "a line feed that is escaped": Case(
        all_of(
            adding("data/two\nlines", b"hello"),
            edited(MANIFEST, lambda text: text + line("data/two%0Alines")),
        ),
        True,
    ),
}
ESCAPES = ["../outside.txt", "data/../../outside.txt", "/etc/passwd", "~/x", "~root/x"]
CASES |= {f"a manifest that names {path}": Case(pointing(path), False) for path in ESCAPES}
CASES |= {f"a fetch.txt that names {path}": Case(to_fetch(path), False) for path in ESCAPES}


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
    except (bagit.BagError, ValueError):  # the latter where it did not expect a bad line
        valid = False
    other = CASES[name].bagit_says
    assert valid == (CASES[name].valid if other is None else other), CASES[name].why


def test_a_bag_with_holes_is_named_file_by_file_and_where_they_are_to_be_had(bag: Path) -> None:
    plain(bag)
    holey(bag)
    for fast in (False, True):
        found = verify(bag, fast=fast)
        assert [(d.state, d.path) for d in found.damage] == [("missing", "data/hello.txt")]
        assert any("fetch.txt says where 1 missing file can be" in note for note in found.notes)
    (bag / "data").mkdir(exist_ok=True)
    (bag / "data/hello.txt").write_bytes(b"hello")
    assert verify(bag).sound
    assert not any("fetch.txt" in note for note in verify(bag).notes)


def test_a_bag_without_sha256_is_compared_and_it_is_said_with_what(bag: Path) -> None:
    plain(bag)
    other("md5")(bag)
    without_sha256(bag)
    found = verify(bag)
    assert (found.sound, found.digest, found.files, found.bytes) == (True, None, 1, 5)
    assert "compared with manifest-md5.txt" in found.notes[0]
    assert found.notes[1] == "md5 shows faults, not forgery"
    line = command("verify", bag)
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0]) == (0, "sound")
    assert "no sha256 manifest" in done.stdout
    (bag / "data/hello.txt").write_bytes(b"hullo")
    (damage,) = verify(bag).damage
    assert damage.expected == f"md5:{hashlib.md5(b'hello', usedforsecurity=False).hexdigest()}"
    assert verify(bag, fast=True).sound
    for asked in (
        partial(verify, digest="sha256:" + "0" * 64),
        partial(verify, name="tiny@1.0.0"),
        partial(verify, remote=True),
    ):
        with pytest.raises((InvalidError, NotFoundError)):
            asked(bag)


def test_a_link_in_a_bag_without_sha256_is_not_followed(bag: Path) -> None:
    plain(bag)
    all_of(other("sha512"), without_sha256)(bag)
    (bag / "data/hello.txt").rename(bag.parent / "outside.txt")
    (bag / "data/hello.txt").symlink_to(bag.parent / "outside.txt")
    assert [(d.state, d.found) for d in verify(bag).damage] == [("bad", "a symbolic link")]


def test_manifests_of_one_bag_must_name_the_same_files_since_1_0(bag: Path) -> None:
    for version, sound in (("0.97", True), ("1.0", False)):
        plain(bag, version)
        write(bag, "data/more.txt", b"more")
        other("sha512", path="data/more.txt", data=b"more")(bag)
        found = verify(bag)
        assert found.sound == sound
        assert {d.path for d in found.damage} == (
            set() if sound else {"data/more.txt", "manifest-sha512.txt"}
        )
