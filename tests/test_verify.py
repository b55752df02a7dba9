"""Every fault of a copy or of a version in a store is found and named."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import bagit
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scidata.compare import shown
from scidata.digest import Digest
from scidata.errors import IntegrityError, StorageError
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.verifying import verify
from scidata.warning import ScidataWarning
from tests.damage import (
    CHUNK,
    MANIFEST,
    PART,
    STATISTICS,
    TABLE,
    flip,
    in_folder,
    in_memory,
    named,
    two_versions,
)
from tests.servers import faulty_proxy, folder_server

TAGS = "tagmanifest-sha256.txt"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tiny@1.0.0 and tiny@1.1.0, which differ in two files."""
    return two_versions(tmp_path_factory.mktemp("published"))


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """A copy of tiny@1.0.0 that a test may damage."""
    return Path(shutil.copytree(published / "tiny" / "v1.0.0", tmp_path / "copy"))


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(change(data.splitlines(keepends=True)))


# Single faults: what is done to which file, and what must be named.


EDITS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a flipped byte": (CHUNK, flip),
    "a truncated file": (TABLE, lambda data: data[:-1]),
    "an emptied file": (STATISTICS, lambda data: b""),
    "a longer file": (TABLE, lambda data: data + b"\0"),
    "other bytes of the same size": (STATISTICS, lambda data: bytes(len(data))),
    "an edited tag file": ("meta/record.yaml", lambda data: data + b"\n"),
    "an edited README": ("README.md", flip),
    "an edited declaration": ("bagit.txt", lambda data: data.replace(b"1.0", b"0.9")),
    "edited facts": ("meta/facts.json", lambda data: data.replace(b"tiny", b"tony")),
    "facts that are not JSON": ("meta/facts.json", lambda data: b"{"),
    "an edited index of sizes": ("manifest.parquet", flip),
    "`../` in the manifest": (MANIFEST, lambda data: data.replace(b"data/t", b"data/../t")),
    "an absolute path": (MANIFEST, lambda data: data.replace(b"  data/t", b"  /data/t")),
    "a duplicate line": (MANIFEST, lines(lambda text: [text[0], *text])),
    "an unsorted manifest": (MANIFEST, lines(lambda text: text[::-1])),
    "a byte order mark": (MANIFEST, lambda data: b"\xef\xbb\xbf" + data),
    "CRLF": (MANIFEST, lambda data: data.replace(b"\n", b"\r\n")),
    "a missing last line feed": (MANIFEST, lambda data: data[:-1]),
    "an upper-case digest": (MANIFEST, lines(lambda text: [text[0].upper(), *text[1:]])),
    "an empty manifest": (MANIFEST, lambda data: b""),
    "a manifest that is not UTF-8": (
        MANIFEST,
        lambda data: data.replace(b"table", b"t\xffble"),
    ),
    "one line less": (MANIFEST, lines(lambda text: text[1:])),
}


@pytest.mark.parametrize("fault", EDITS)
def test_verify_names_the_file_that_was_edited_in_a_copy(copy: Path, fault: str) -> None:
    path, edit = EDITS[fault]
    (copy / path).write_bytes(edit((copy / path).read_bytes()))
    assert ("bad", path) in named(verify(copy))


@pytest.mark.parametrize("fault", EDITS)
def test_verify_with_a_store_names_the_edited_file_and_nothing_else(
    copy: Path, published: Path, fault: str
) -> None:
    path, edit = EDITS[fault]
    (copy / path).write_bytes(edit((copy / path).read_bytes()))
    assert named(verify(copy, published, name="tiny@1.0.0")) == {("bad", path)}


@pytest.mark.parametrize("build", [in_folder, in_memory])
@pytest.mark.parametrize("fault", EDITS)
def test_verify_names_the_object_that_was_edited_in_a_store(
    published: Path, tmp_path: Path, fault: str, build: Callable[[Path, Path], Store]
) -> None:
    path, edit = EDITS[fault]
    store = build(published, tmp_path)
    key = f"tiny/v1.0.0/{path}"
    store.replace(key, edit(store.read(key)))
    assert named(verify("tiny@1.0.0", store)) == {("bad", path)}
    assert verify("tiny@1.1.0", store).sound


def test_verify_names_every_damaged_object_on_s3(published: Path, s3_url: str) -> None:
    store = open_store(s3_url)
    for facts in LocalStore(published).list("tiny/"):
        store.create(facts.key, published / facts.key)
    assert verify("tiny@1.0.0", s3_url).sound
    store.replace(f"tiny/v1.0.0/{CHUNK}", flip(store.read(f"tiny/v1.0.0/{CHUNK}")))
    store.delete(f"tiny/v1.0.0/{TABLE}")
    store.create("tiny/v1.0.0/data/new.bin", b"new")
    store.replace("tiny/catalog-1.0.0.yaml", b"version: 2\n")
    assert named(verify("tiny@1.0.0", s3_url)) == {
        ("bad", CHUNK),
        ("missing", TABLE),
        ("extra", "data/new.bin"),
        ("bad", "catalog-1.0.0.yaml"),
    }


def test_verify_asks_for_each_object_once(published: Path) -> None:
    with folder_server(published) as server, faulty_proxy(server) as proxy:
        assert verify("tiny@1.0.0", proxy.url).sound
    data = [request for request in proxy.seen if "/data/" in request]
    files = [p for p in (published / "tiny" / "v1.0.0" / "data").rglob("*") if p.is_file()]
    assert len(data) == len(files)


def test_verify_of_a_store_that_refuses_to_list_fails(
    published: Path, s3_endpoint: str, s3_url: str
) -> None:
    whole = open_store(s3_url)
    for facts in LocalStore(published).list("tiny/"):
        whole.create(facts.key, published / facts.key)
    with faulty_proxy(s3_endpoint) as proxy:
        store = open_store(s3_url, endpoint_url=proxy.url)
        proxy.method, proxy.path, proxy.fault, proxy.times = "GET", "list-type", "forbidden", 9
        with (
            pytest.warns(ScidataWarning, match="status of tiny@1.0.0 cannot be read"),
            pytest.raises(StorageError, match="403 Forbidden"),
        ):
            verify("tiny@1.0.0", store)


def test_verify_over_http_names_damage_but_cannot_look_for_extra_files(
    published: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    shutil.copytree(published, folder, dirs_exist_ok=True)
    (folder / "tiny/v1.0.0" / CHUNK).unlink()
    (folder / "tiny/v1.0.0/data/new.bin").write_text("new")
    found = verify("tiny@1.0.0", url)
    assert named(found) == {("missing", CHUNK)}
    assert any("not looked for" in note for note in found.notes)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_verify_names_the_file_whose_byte_was_flipped(copy: Path, data: st.DataObject) -> None:
    files = sorted(p for p in copy.rglob("*") if p.is_file())
    file = data.draw(st.sampled_from(files))
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    file.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
    try:
        found = named(verify(copy))
        path = file.relative_to(copy).as_posix()
        if path == TAGS and file.read_bytes().lower() == whole.lower():
            pass  # another tool's bag may write digests in upper case: it says the same
        elif path == TAGS:
            assert found & told_by_tags(whole, file.read_bytes(), place)
        else:
            assert ("bad", path) in found
    finally:
        file.write_bytes(whole)


def told_by_tags(whole: bytes, flipped: bytes, place: int) -> set[tuple[str, str]]:
    """What a flip in the tag manifest may name: nothing in the folder vouches for this file.

    A line that still reads as one names the file that it is about, which then differs or is no
    longer named by any line; or another file, which is not there. Where the line's end was
    flipped, that goes for the following line, too.
    """
    first = whole.count(b"\n", 0, place)
    paths = [line.decode().split("  ")[1] for line in whole.splitlines()[first : first + 2]]
    line = flipped.split(b"\n")[first].decode(errors="replace")
    return {
        ("bad", TAGS),
        *(("bad", path) for path in paths[:1]),
        *(("extra", path) for path in paths),
        ("missing", shown(line[64:].lstrip(" *\t"))),
    }


def test_verify_finds_nothing_wrong_with_a_sound_copy(copy: Path, published: Path) -> None:
    for found in (verify(copy), verify(copy, published), verify("tiny@1.0.0", published)):
        assert found.sound
        assert found.name == "tiny@1.0.0"
        assert found.digest == Digest.of((copy / MANIFEST).read_bytes())
    bagit.Bag(str(copy)).validate()


def test_verify_without_a_digest_says_that_the_manifest_itself_was_not_checked(
    copy: Path,
) -> None:
    found = verify(copy)
    assert found.against == ""
    assert "--digest" in found.notes[0]
    assert "--store" in found.notes[0]
    assert verify(copy, digest=str(found.digest)).notes == ()


def test_verify_names_missing_files(copy: Path) -> None:
    (copy / CHUNK).unlink()
    (copy / "README.md").unlink()
    shutil.rmtree(copy / "data/splits")
    assert named(verify(copy)) == {
        ("missing", CHUNK),
        ("missing", "README.md"),
        ("missing", "data/splits/sample/train.txt"),
        ("missing", "data/splits/sample/validation.txt"),
    }


@pytest.mark.parametrize("path", [MANIFEST, "tagmanifest-sha256.txt", "bagit.txt"])
def test_verify_names_a_missing_tag_file(copy: Path, published: Path, path: str) -> None:
    (copy / path).unlink()
    assert ("missing", path) in named(verify(copy))
    assert named(verify(copy, published)) == {("missing", path)}


@pytest.mark.parametrize(
    "path", ["data/extra.bin", "data/array.zarr/wave/c/9/0/0", "notes.txt", "data/t.part"]
)
def test_verify_names_extra_files(copy: Path, published: Path, path: str) -> None:
    (copy / path).parent.mkdir(parents=True, exist_ok=True)
    (copy / path).write_text("extra")
    assert named(verify(copy)) == {("extra", path)}
    assert named(verify(copy, published)) == {("extra", path)}


def test_verify_names_both_of_two_files_that_were_swapped(copy: Path) -> None:
    other = CHUNK.replace("/1/", "/2/")
    (copy / CHUNK).rename(copy / "data/x")
    (copy / other).rename(copy / CHUNK)
    (copy / "data/x").rename(copy / other)
    assert named(verify(copy)) == {("bad", CHUNK), ("bad", other)}


def test_verify_names_a_twin_that_differs_by_case_only(copy: Path) -> None:
    shutil.copy(copy / TABLE, copy / "data/TABLE.parquet")
    assert named(verify(copy)) == {("extra", "data/TABLE.parquet")}


def test_verify_names_links_and_pipes_and_does_not_follow_them(
    copy: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (copy / "data/folder").symlink_to(outside)
    os.mkfifo(copy / "data/pipe")
    (copy / TABLE).rename(tmp_path / "moved")
    (copy / TABLE).symlink_to(tmp_path / "moved")
    found = verify(copy)
    assert named(found) == {
        ("extra", "data/folder"),
        ("extra", "data/pipe"),
        ("bad", TABLE),
    }
    told = {item.path: item.found for item in found.damage}
    assert told["data/folder"] == told[TABLE] == "a symbolic link"
    assert told["data/pipe"] == "a special file"


def test_verify_does_not_wait_for_a_pipe_in_place_of_the_manifest(copy: Path) -> None:
    (copy / MANIFEST).unlink()
    os.mkfifo(copy / MANIFEST)
    assert ("missing", MANIFEST) in named(verify(copy))


def test_verify_shows_names_that_a_terminal_cannot(copy: Path) -> None:
    (copy / "data/\x1b[31mred").write_text("")
    Path(os.fsdecode(os.fsencode(copy) + b"/data/\xff")).write_text("")
    paths = {item.path for item in verify(copy).damage}
    assert paths == {"data/\\x1b[31mred", "data/\\udcff"}


def test_data_and_manifest_edited_together_differ_from_the_record(
    copy: Path, published: Path
) -> None:
    cited = str(verify(copy).digest)
    forge(copy)
    assert ("bad", MANIFEST) in named(verify(copy, digest=cited))
    assert {("bad", MANIFEST), ("bad", STATISTICS)} <= named(verify(copy, published))


def test_data_and_manifest_edited_together_in_a_store_are_both_named(
    published: Path, tmp_path: Path
) -> None:
    store = in_folder(published, tmp_path)
    forge(tmp_path / "store/tiny/v1.0.0")
    found = verify("tiny@1.0.0", store)
    assert {("bad", MANIFEST), ("bad", STATISTICS)} <= named(found)


def forge(bag: Path) -> None:
    """Change a file, and everything in the bag itself that could tell."""
    old = Digest.of((bag / STATISTICS).read_bytes()).hex
    (bag / STATISTICS).write_text("{}\n")
    new = Digest.of((bag / STATISTICS).read_bytes()).hex
    manifest = (bag / MANIFEST).read_text()
    (bag / MANIFEST).write_text(manifest.replace(old, new))
    tags = bag / "tagmanifest-sha256.txt"
    before = Digest.of(manifest.encode()).hex
    after = Digest.of((bag / MANIFEST).read_bytes()).hex
    tags.write_text(tags.read_text().replace(before, after))


def test_a_folder_that_holds_another_version_than_claimed_is_recognised(
    copy: Path, published: Path
) -> None:
    found = verify(copy, published, name="tiny@1.1.0")
    assert {("bad", MANIFEST), ("bad", PART), ("bad", STATISTICS)} <= named(found)
    assert any("holds tiny@1.0.0" in note and "not tiny@1.1.0" in note for note in found.notes)
    newest = Digest.of((published / "tiny/v1.1.0" / MANIFEST).read_bytes())
    found = verify(copy, digest=newest)
    assert named(found) == {("bad", MANIFEST)}
    assert any("holds tiny@1.0.0" in note for note in found.notes)


def test_a_new_version_synced_over_an_old_one_is_not_sound(copy: Path, published: Path) -> None:
    newer = published / "tiny/v1.1.0"
    for file in newer.rglob("*"):
        there = copy / file.relative_to(newer)
        # A sync keeps files of the same size, the old manifest among them.
        if file.is_file() and there.stat().st_size != file.stat().st_size:
            shutil.copy(file, there)
    assert ("bad", MANIFEST) in named(verify(copy, published, name="tiny@1.1.0"))
    assert not verify(copy).sound


def test_a_digest_that_is_not_the_versions_in_the_store_is_refused(
    copy: Path, published: Path
) -> None:
    wrong = "sha256:" + "0" * 64
    with pytest.raises(IntegrityError, match="has the digest"):
        verify(copy, published, digest=wrong)
    assert named(verify("tiny@1.0.0", published, digest=wrong)) == {
        ("bad", "versions/1.0.0.json")
    }


def test_a_malformed_version_beside_it_does_not_hide_the_damage_of_a_folder(
    copy: Path, published: Path, tmp_path: Path
) -> None:
    store = in_folder(published, tmp_path)
    store.replace("tiny/versions/1.2.0.json", b"{}")
    (copy / MANIFEST).write_bytes((copy / MANIFEST).read_bytes()[:-1])
    assert named(verify(copy, store)) == {("bad", MANIFEST)}


PARTIAL = "partial-sha256.txt"


@pytest.mark.parametrize("text", ["", "\n", "nonsense\n", "\r\n\r\n"])
def test_a_copy_that_says_it_holds_nothing_is_not_sound(
    copy: Path, published: Path, text: str
) -> None:
    shutil.rmtree(copy / "data")
    (copy / "bagit.txt").unlink()
    (copy / PARTIAL).write_text(text)
    for found in (verify(copy), verify(copy, published), verify(copy, fast=True)):
        assert ("bad", PARTIAL) in named(found)


def test_a_partial_copy_says_how_much_of_the_version_it_is(copy: Path) -> None:
    whole = verify(copy)
    assert (whole.partial, whole.held, whole.payload) == (False, 11, 11)
    lines = (copy / MANIFEST).read_text().splitlines(keepends=True)
    (copy / PARTIAL).write_text(next(line for line in lines if TABLE in line))
    for line in lines:
        if TABLE not in line:
            (copy / line.split("  ")[1].strip()).unlink()
    (copy / "bagit.txt").unlink()
    found = verify(copy)
    assert found.sound
    assert (found.partial, found.held, found.payload) == (True, 1, 11)
