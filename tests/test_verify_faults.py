"""Every single fault is named: by `--full` all, by `--fast` what names and sizes can show.

Of a full version and of a delta, which inherits all files but one; in a copy, in a store that
is a folder, and in a bucket.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import bagit
import pytest

from scidata.compare import shown
from scidata.errors import IntegrityError
from scidata.materializing import materialize
from scidata.publishing import PublishOptions, Surroundings, publish
from scidata.pulling import pull
from scidata.repairing import repair
from scidata.storage import open_store
from scidata.storage.local import LocalStore
from scidata.storage.s3 import S3Store
from scidata.verifying import verify
from tests.damage import flip, named
from tests.faults import (
    DEEP,
    FAULTS,
    FILES,
    ONE,
    SAME_SIZE,
    Bag,
    Fault,
    InBucket,
    InFolder,
    Objects,
    added,
    edited,
    removed,
)
from tests.samples import write_bare
from tests.servers import folder_server

VERSIONS = ("1.0.0", "1.1.0")
KINDS = {"a full version": "1.0.0", "a delta": "1.1.0"}
PLACES = ("copy", "folder", "bucket")
INHERITED = {path: "bare/v1.0.0/" for path in FILES if path != "data/own.txt"}


@dataclass(frozen=True)
class Somewhere:
    """Two versions in one kind of place."""

    objects: Objects
    store: LocalStore | S3Store
    copies: Path | None = None
    """Folders that hold copies, by version, if these are what is verified."""

    def target(self, version: str) -> str | Path:
        return self.copies / version if self.copies else f"bare@{version}"

    def bag(self, version: str) -> Bag:
        if self.copies:
            return Bag(self.objects, f"{version}/")
        return Bag(self.objects, f"bare/v{version}/", INHERITED if version == "1.1.0" else {})


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bare@1.0.0, and bare@1.1.0, a delta in which one file changed."""
    root = tmp_path_factory.mktemp("published")
    staged = write_bare(root / "staged")
    shutil.rmtree(staged / "data")
    for path, data in FILES.items():
        InFolder(staged).write(path, data)
    around = Surroundings(memory=root / "state" / "stores.json")
    options = PublishOptions(surroundings=around)
    publish(staged, root / "store", version="1.0.0", options=options)
    InFolder(staged).write("data/own.txt", b"as in 1.1.0 alone\n")
    done = publish(
        staged, root / "store", version="1.1.0", options=replace(options, layout="delta")
    )
    assert done.commit.prefixes == ("v1.0.0", "v1.1.0")
    assert done.commit.new_files == 1
    return root / "store"


@pytest.fixture(scope="module")
def places(published: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Somewhere]:
    """Where the two versions lie; each test undoes what it did."""
    root = tmp_path_factory.mktemp("places")
    shutil.copytree(published, root / "store")
    for version in VERSIONS:
        pull(f"bare@{version}", root / "copies" / version, published)
    folder, beside = LocalStore(root / "store"), LocalStore(published)
    return {
        "copy": Somewhere(InFolder(root / "copies"), beside, root / "copies"),
        "folder": Somewhere(InFolder(root / "store"), folder),
    }


@pytest.fixture
def somewhere(
    request: pytest.FixtureRequest, places: dict[str, Somewhere], published: Path, place: str
) -> Somewhere:
    if place == "bucket":
        url = request.getfixturevalue("s3_url")  # and the environment that reaches it
        if place not in places:
            places[place] = bucket_at(url, published)
    return places[place]


def bucket_at(url: str, published: Path) -> Somewhere:
    store = open_store(url)
    assert isinstance(store, S3Store)
    for facts in LocalStore(published).list("bare/"):
        store.create(facts.key, published / facts.key)
    return Somewhere(InBucket(store), store)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_full_names_every_single_fault_and_fast_what_a_listing_shows(
    somewhere: Somewhere, kind: str, fault: str
) -> None:
    check(somewhere, KINDS[kind], FAULTS[fault])


def check(somewhere: Somewhere, version: str, fault: Fault) -> None:
    target, store = somewhere.target(version), somewhere.store
    with somewhere.bag(version).restored() as bag:
        fault.do(bag)
        assert named(verify(target, store)) == fault.named
        assert named(verify(target, store, fast=True)) == (fault.named if fault.fast else set())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_single_fault_is_repaired_from_a_sound_store_but_extra_files_which_stay(
    somewhere: Somewhere, published: Path, kind: str, fault: str
) -> None:
    version = KINDS[kind]
    target, store = somewhere.target(version), somewhere.store
    with somewhere.bag(version).restored() as bag:
        FAULTS[fault].do(bag)
        if somewhere.copies:
            done = repair(target, published)
        else:
            done = repair(target, published, store, replace_damaged=True)
        mended = {path for state, path in FAULTS[fault].named if state != "extra"}
        extra = FAULTS[fault].named - {("bad", path) for path in mended}
        extra -= {("missing", path) for path in mended}
        assert set(done.repaired) == mended
        assert named(verify(target, store)) == extra
        for other in set(VERSIONS) - {version}:
            assert verify(somewhere.target(other), store).sound


OF_A_DELTA = {
    "an edited fetch.txt": edited("fetch.txt", lambda text: text[1:], fast=True),
    "no fetch.txt": removed("fetch.txt"),
    "no word that it is partial": removed("PARTIAL-VERSION.txt"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", OF_A_DELTA)
def test_what_a_delta_alone_has_is_looked_at_too(somewhere: Somewhere, fault: str) -> None:
    check(somewhere, "1.1.0", OF_A_DELTA[fault])


KEYS = {
    **dict.fromkeys(["data//x", "data/../x", "data/./x", "data//", "data/x%2Fy"]),
    **dict.fromkeys(["data/%2e%2e/x", "data/pair/a.bin ", "data/a\\b", "data/a:b", "data/con"]),
    "data/\u202egpj.exe": shown("data/\u202egpj.exe"),
    "data/pair/": "data/pair",  # what consoles call a folder
}
"""And how they are named, if not as they are."""


@pytest.mark.parametrize("place", ["bucket"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_no_version_could_have_is_named_as_any_other(
    somewhere: Somewhere, kind: str, key: str
) -> None:
    """Consoles, sync tools and enemies write such keys."""
    check(somewhere, KINDS[kind], added(key)._replace(named={("extra", KEYS[key] or key)}))


# Deltas, reached in other ways


@pytest.fixture
def synced(published: Path, tmp_path: Path) -> Path:
    """What `aws s3 sync` makes of the delta's own folder: a bag with holes."""
    return Path(shutil.copytree(published / "bare/v1.1.0", tmp_path / "synced"))


def test_a_folder_of_a_delta_alone_lacks_what_is_inherited_until_it_is_repaired(
    synced: Path, published: Path
) -> None:
    holes = {("missing", path) for path in INHERITED}
    assert named(verify(synced)) == named(verify(synced, published, fast=True)) == holes
    with folder_server(published) as web:
        assert named(verify(synced, web)) == holes
        assert set(repair(synced, web).repaired) == INHERITED.keys()
    assert verify(synced, published).sound
    bagit.Bag(str(synced)).validate()


def test_a_delta_on_the_web_is_compared_where_each_file_lies(
    published: Path, http_folder: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = http_folder
    shutil.copytree(published, folder, dirs_exist_ok=True)
    place = Somewhere(InFolder(folder), LocalStore(folder))
    with place.bag("1.1.0").restored() as bag:
        bag.edit(ONE, flip)
        bag.remove(DEEP)
        assert named(verify("bare@1.1.0", url)) == {("bad", ONE), ("missing", DEEP)}
        assert named(verify("bare@1.0.0", url)) == {("bad", ONE), ("missing", DEEP)}
        part = verify("bare@1.1.0", url, globs=["data/own.txt"])
        assert part.sound
        with pytest.raises(IntegrityError):
            pull("bare@1.1.0", tmp_path / "copy", url)
    assert verify("bare@1.1.0", url).sound
    pull("bare@1.1.0", tmp_path / "copy", url)
    assert verify(tmp_path / "copy", url).sound


def test_part_of_a_delta_is_pulled_verified_and_repaired(
    published: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    pull("bare@1.1.0", copy, published, globs=["data/pair/*"])
    found = verify(copy, published)
    assert (found.sound, found.partial, found.held, found.payload) == (True, True, 3, 5)
    (copy / ONE).write_bytes(flip((copy / ONE).read_bytes()))
    (copy / SAME_SIZE).unlink()
    assert named(verify(copy, published)) == {("bad", ONE), ("missing", SAME_SIZE)}
    assert named(verify(copy, published, fast=True)) == {("missing", SAME_SIZE)}
    assert set(repair(copy, published).repaired) == {ONE, SAME_SIZE}
    assert verify(copy, published).sound


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_what_a_delta_inherits_is_repaired_for_both_or_made_its_own(
    published: Path, tmp_path: Path, s3_url: str, place: str
) -> None:
    """After `materialize` what happens to the older version is no longer its concern."""
    root = Path(shutil.copytree(published, tmp_path / "store"))
    folder = Somewhere(InFolder(root), LocalStore(root))
    somewhere = bucket_at(s3_url, published) if place == "bucket" else folder
    with somewhere.bag("1.1.0").restored() as bag:
        bag.remove(ONE)
        assert repair("bare@1.1.0", published, somewhere.store).repaired == (ONE,)
        assert verify("bare@1.0.0", somewhere.store).sound
    materialize("bare@1.1.0", somewhere.store)
    with somewhere.bag("1.0.0").restored() as bag:
        bag.remove(ONE)
        bag.edit(DEEP, flip)
        assert named(verify("bare@1.0.0", somewhere.store)) == {("missing", ONE), ("bad", DEEP)}
        for fast in (True, False):
            assert verify("bare@1.1.0", somewhere.store, fast=fast).sound
        done = repair("bare@1.0.0", published, somewhere.store, replace_damaged=True)
        assert set(done.repaired) == {ONE, DEEP}
