"""Attack: names of files that leave their folder, or that are two names for one place.

Promise: no manifest, commit record, bag or key makes scidata read or write outside the folder
it works in, and no version holds two files that some disk takes for one.
"""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidata.bag import parse_lines
from scidata.digest import Digest
from scidata.errors import ScidataError
from scidata.manifest import Manifest
from scidata.paths import path_fault
from scidata.pulling import pull
from scidata.resolve import resolve
from scidata.storage import open_store
from scidata.storage.memory import MemoryStore
from scidata.version import commit_bytes
from tests.security.attack import run
from tests.versions import write_version

EMPTY = Digest.of(b"")
LEAVING = [
    "data/../../etc/passwd",
    "data/..",
    "data//etc/passwd",
    "/etc/passwd",
    "data/./x",
    "../data/x",
    "data\\..\\x",
    "C:/x",
    "data/c:x",
    "data/%2e%2e/x",
    "data/x\0",
    "data/x\n",
    "~/x",
]
DISGUISED = [
    "data/a\u200bb",  # zero width
    "data/a\u202egnp.exe",  # reads backwards
    "data/\ufeffa",
    "data/a\u00adb",
    "data/a\u2028b",
    "data/\U000e0041",
    "data/e\u0301",  # decomposed: the twin of é
    "data/\udc80",
    "data/con",
    "data/NUL.txt",
    "data/com1.csv",
    "data/COM\u00b9",
    "data/CONIN$",
    "data/aux .txt",
    "data/a.",
    "data/a ",
    "data/ a",
    "data/x.part",
]
TWINS = [
    ("data/a", "data/A"),
    ("data/a", "data/a/b"),
    ("data/A", "data/a/b"),
    ("data/a/x", "data/A/y"),
    ("data/a-b", "data/a", "data/a/b"),
    ("data/q/r/s", "data/Q/r/t"),
    ("data/ss", "data/\u00df"),
    ("data/fi", "data/\ufb01"),
    ("data/k", "data/\u212a"),  # the Kelvin sign
]


@pytest.mark.parametrize("path", LEAVING + DISGUISED, ids=ascii)
def test_no_manifest_names_such_a_path(path: str) -> None:
    line = f"{EMPTY.hex}  {path}\n".encode("utf-8", "surrogatepass")
    with pytest.raises(ScidataError):
        Manifest.parse(line)
    if path.startswith("data/"):
        assert path_fault(path) is not None
        with pytest.raises(ScidataError):
            Manifest({path: EMPTY})


@pytest.mark.parametrize("paths", TWINS, ids=ascii)
def test_no_manifest_holds_twins(paths: tuple[str, ...]) -> None:
    text = "".join(f"{EMPTY.hex}  {p}\n" for p in sorted(paths, key=str.encode)).encode()
    with pytest.raises(ScidataError):
        Manifest.parse(text)
    with pytest.raises(ScidataError):
        Manifest(dict.fromkeys(paths, EMPTY))


NAMES = st.sampled_from(["a", "A", "b", "a-", "a.b", "\u00e9"])


@given(st.sets(st.lists(NAMES, min_size=1, max_size=3).map(lambda p: "data/" + "/".join(p))))
def test_a_manifest_is_admitted_if_and_only_if_a_disk_without_case_can_hold_it(
    paths: set[str],
) -> None:
    folders: dict[str, set[str]] = {}
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            folders.setdefault(folder.casefold(), set()).add(folder)
    files = {path.casefold() for path in paths}
    holds = (
        len(files) == len(paths)
        and not files & folders.keys()
        and all(len(spellings) == 1 for spellings in folders.values())
    )
    text = "".join(f"{EMPTY.hex}  {p}\n" for p in sorted(paths, key=str.encode)).encode()
    with nullcontext() if holds else pytest.raises(ScidataError):
        Manifest.parse(text)
    with nullcontext() if holds else pytest.raises(ScidataError):
        Manifest(dict.fromkeys(paths, EMPTY))


@pytest.mark.parametrize("path", LEAVING, ids=ascii)
def test_no_key_leaves_a_store_and_no_bag_its_folder(path: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    for store in (open_store(tmp_path / "store"), MemoryStore()):
        if path == "~/x":
            assert store.create(path, b"x")  # a name like another: no shell reads it
            continue
        with pytest.raises(ScidataError):
            store.create(path, b"x")
    for payload in (True, False):
        files, _ = parse_lines(f"{EMPTY.hex}  {path}\n".encode(), payload=payload)
        for used in files:  # what is left is a plain name inside
            assert not (tmp_path / "bag" / used).resolve().is_relative_to("/etc")
            assert (tmp_path / "bag" / used).resolve().is_relative_to(tmp_path / "bag")


@pytest.mark.parametrize("path", ["../../x", "/etc/passwd", "v1.0.0/../../x"])
@pytest.mark.parametrize("place", ["tag", "asset path", "asset href", "prefix"])
def test_no_commit_record_leads_out_of_its_dataset(path: str, place: str, staged: Path) -> None:
    store = MemoryStore()
    record = json.loads(commit_bytes(write_version(store, staged)))
    if place == "tag":
        record["tags"][path] = record["tags"].popitem()[1]
    elif place == "prefix":
        record["prefixes"] = [path]
    else:
        record["assets"][0][place.removeprefix("asset ")] = path
    store.replace("tiny/versions/1.0.0.json", json.dumps(record).encode())
    with pytest.raises(ScidataError):
        resolve("tiny@1.0.0", store)


def test_pulling_a_version_whose_manifest_leaves_its_folder_writes_nothing_outside(
    staged: Path, tmp_path: Path
) -> None:
    store = MemoryStore()
    commit = write_version(store, staged)
    key = "tiny/v1.0.0/manifest-sha256.txt"
    hostile = store.read(key) + f"{EMPTY.hex}  data/../../../../outside\n".encode()
    store.replace(key, hostile)
    forged = commit.model_copy(update={"digest": str(Digest.of(hostile))})
    store.replace("tiny/versions/1.0.0.json", commit_bytes(forged))
    store.create("tiny/outside", b"")
    target = tmp_path / "deep" / "er" / "copy"
    with pytest.raises(ScidataError):
        pull("tiny@1.0.0", target, store)
    assert list(tmp_path.rglob("outside")) == []


if __name__ == "__main__":
    run(__file__)
