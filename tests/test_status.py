"""What becomes of a version once it is published: said once, never hidden, told to readers."""

import json
import warnings
from pathlib import Path

import pytest

import scidata
from scidata.errors import ConflictError, InvalidError, NotFoundError, StorageError
from scidata.index import rebuild
from scidata.inventory import read_history
from scidata.listing import read_listing
from scidata.marking import Mark, Marked, MarkOptions, history_of, mark
from scidata.resolve import resolve
from scidata.show import show
from scidata.status import History, Status, parse_status, status_bytes, status_key
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, FaultyStore
from scidata.version import VersionNumber
from scidata.warning import ScidataWarning
from tests.test_publish_races import race
from tests.versions import write_version

FIRST = "bare/versions/1.0.0.status-0001.json"
ONE = VersionNumber(1, 0, 0)
FAULTY_STATUS = [b"", b"{", b"[]", b"x" * 20_000, b'{"state": "withdrawn"}', b"\xff\xfe"]


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, bare: Path, tmp_path: Path) -> Store:
    """A store with bare 1.0.0 and 1.1.0, without catalogs."""
    store = MemoryStore() if request.param == "memory" else open_store(tmp_path / "store")
    for version in ("1.0.0", "1.1.0"):
        write_version(store, bare, version)
    return store


def withdraw(store: Store, name: str = "bare@1.1.0", **fields: str) -> Marked:
    return mark(name, Mark(state="withdrawn", reason="labels swapped", **fields), store)


def history(store: Store, version: VersionNumber = ONE) -> History:
    return read_history(store, "bare", version)


def test_a_version_nothing_was_said_of_is_active_and_opens_silently(store: Store) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve("bare@1.0.0", store).version == "1.0.0"
    assert history(store).state == "active"


def test_a_deprecated_version_is_the_newest_still_and_warns_with_its_successor(
    store: Store,
) -> None:
    said = Mark(state="deprecated", reason="use SI units.", replaced_by="bare@1.0.0")
    marked = mark("bare@1.1.0", said, store)
    assert (marked.number, marked.already) == (1, False)
    with pytest.warns(
        ScidataWarning, match=r"1\.1\.0 is deprecated since .*: use SI units; use"
    ):
        assert resolve("bare", store).version == "1.1.0"


def test_a_name_means_the_newest_version_that_is_not_withdrawn(store: Store) -> None:
    withdraw(store)
    assert resolve("bare", store).version == "1.0.0"
    with pytest.warns(ScidataWarning, match="withdrawn"):
        pinned = resolve("bare@1.1.0", store)
    assert pinned.version == "1.1.0"


def test_a_digest_of_a_withdrawn_version_still_resolves_with_a_warning(
    store: Store, bare: Path
) -> None:
    (bare / "data" / "one.txt").write_text("other\n")
    commit = write_version(store, bare, "1.2.0")
    withdraw(store, "bare@1.2.0")
    with pytest.warns(ScidataWarning, match=r"1\.2\.0 is withdrawn"):
        assert resolve(f"bare@{commit.digest}", store).version == "1.2.0"


def test_a_digest_that_an_offered_version_has_too_means_that_one(store: Store) -> None:
    withdraw(store)
    digest = resolve("bare@1.0.0", store).digest
    assert resolve(f"bare@{digest}", store).version == "1.0.0"


def test_when_every_version_is_withdrawn_the_reason_and_a_way_on_are_told(
    store: Store,
) -> None:
    withdraw(store, "bare@1.0.0")
    withdraw(store)
    with pytest.raises(NotFoundError, match="labels swapped") as caught:
        resolve("bare", store)
    assert "no successor is named" in caught.value.fix
    assert "bare@1.1.0" in caught.value.fix


def test_a_version_can_become_active_again_and_all_of_it_stays_on_record(store: Store) -> None:
    withdraw(store, "bare@1.0.0")
    mark("bare@1.0.0", Mark(state="active", reason="it was a mistake"), store)
    _, found = history_of("bare@1.0.0", store)
    assert [e.status.state for e in found.entries if e.status] == ["withdrawn", "active"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve("bare@1.0.0", store)


def test_saying_the_same_again_writes_nothing(store: Store) -> None:
    first = withdraw(store)
    again = withdraw(store)
    assert (again.already, again.number) == (True, first.number)
    assert history(store, VersionNumber(1, 1, 0)).last == 1


def test_a_dry_run_writes_nothing(store: Store) -> None:
    before = [facts.key for facts in store.list()]
    what = Mark(state="withdrawn", reason="r")
    assert mark("bare@1.0.0", what, store, options=MarkOptions(dry_run=True)).number == 1
    assert [facts.key for facts in store.list()] == before


@pytest.mark.parametrize(
    ("name", "fields", "error"),
    [
        ("bare", {"reason": "r"}, InvalidError),
        ("bare@3.0.0", {"reason": "r"}, NotFoundError),
        ("bare@1.0.0", {"reason": "  "}, InvalidError),
        ("bare@1.0.0", {"reason": "x" * 2001}, InvalidError),
        ("bare@1.0.0", {"reason": "r", "replaced_by": "bare@1.0.0"}, InvalidError),
        ("bare@1.0.0", {"reason": "r", "replaced_by": "bare"}, InvalidError),
        ("bare@1.0.0", {"reason": "r", "replaced_by": "bare@9.0.0"}, NotFoundError),
    ],
)
def test_what_readers_could_not_use_is_not_said(
    store: Store, name: str, fields: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        mark(name, Mark(state="withdrawn", **fields), store)
    assert not [f for f in store.list() if "status" in f.key]


def test_a_withdrawn_version_is_no_successor(store: Store) -> None:
    withdraw(store)
    with pytest.raises(InvalidError, match=r"bare@1\.1\.0 is withdrawn itself"):
        withdraw(store, "bare@1.0.0", replaced_by="bare@1.1.0")


@pytest.mark.parametrize("data", FAULTY_STATUS)
def test_a_damaged_status_hides_nothing_and_is_told(store: Store, data: bytes) -> None:
    store.create(FIRST, data)
    with pytest.warns(ScidataWarning, match="cannot be read .*, so it may be withdrawn"):
        assert resolve("bare@1.0.0", store).version == "1.0.0"
    listed = read_listing(store)
    assert [c.version for c in listed.versions["bare"]] == ["1.0.0", "1.1.0"]
    assert listed.cautions
    assert not listed.damaged


def test_a_damaged_status_does_not_undo_the_one_before(store: Store) -> None:
    withdraw(store)
    store.create("bare/versions/1.1.0.status-0002.json", b"{")
    assert resolve("bare", store).version == "1.0.0"
    with pytest.warns(ScidataWarning, match="last that can be read: bare@1.1.0 is withdrawn"):
        resolve("bare@1.1.0", store)
    assert withdraw(store).number == 3


def test_the_status_of_another_version_under_this_name_is_not_believed(store: Store) -> None:
    withdraw(store)
    data = store.read("bare/versions/1.1.0.status-0001.json")
    store.create(FIRST, data)
    assert history(store).state == "active"
    assert "it is that of bare@1.1.0" in history(store).fault


def test_show_and_list_tell_the_status(store: Store) -> None:
    withdraw(store, "bare@1.1.0", replaced_by="bare@1.0.0")
    with pytest.warns(ScidataWarning):
        assert show("bare@1.1.0", store).history.state == "withdrawn"
    listed = read_listing(store, "bare")
    assert listed.history(listed.versions["bare"][1]).state == "withdrawn"
    newest = listed.newest("bare")
    assert newest is not None
    assert newest.version == "1.0.0"


def test_open_warns_where_it_is_called(store: Store) -> None:
    withdraw(store)
    with pytest.warns(ScidataWarning) as caught:
        scidata.open("bare@1.1.0", store)
    assert caught[0].filename == __file__


def test_the_catalogs_say_what_became_of_each_version(store: Store) -> None:
    withdraw(store, replaced_by="bare@1.0.0")
    catalog = store.read("bare/catalog.yaml").decode()
    assert "newest: 1.0.0" in catalog
    assert "state: withdrawn" in catalog
    collection = json.loads(store.read("bare/collection.json"))
    items = {link["title"]: link for link in collection["links"] if link["rel"] == "item"}
    assert items["1.1.0"]["deprecated"]
    assert items["1.1.0"]["href"] == "./item-1.1.0.json"
    assert items["1.0.0"]["href"] == "./v1.0.0/meta/item.json"
    assert collection["version"] == "1.0.0"
    item = json.loads(store.read("bare/item-1.1.0.json"))
    assert item["properties"]["deprecated"]
    links = {link["rel"]: link["href"] for link in item["links"]}
    assert links["successor-version"] == "./v1.0.0/meta/item.json"
    assert links["collection"] == "./collection.json"
    for asset in item["assets"].values():
        prefix = "bare/" + asset["href"].removeprefix("./")
        assert next(iter(store.list(prefix)), None), asset


def test_the_item_with_a_status_is_valid_stac(store: Store) -> None:
    pystac = pytest.importorskip("pystac")
    withdraw(store, replaced_by="bare@1.0.0")
    document = json.loads(store.read("bare/item-1.1.0.json"))
    with pytest.warns(pystac.errors.DeprecatedWarning, match=r"bare-1\.1\.0"):
        pystac.Item.from_dict(document)


def test_catalogs_of_a_version_that_nothing_was_said_of_are_as_before(store: Store) -> None:
    rebuild(store)
    before = {f.key: store.read(f.key) for f in store.list()}
    assert "bare/item-1.0.0.json" not in before
    rebuild(store)
    assert {f.key: store.read(f.key) for f in store.list()} == before


def test_a_crash_at_any_operation_of_a_status_leaves_it_said_or_not_said(
    store: Store, bare: Path
) -> None:
    counting = FaultyStore(MemoryStore())
    for version in ("1.0.0", "1.1.0"):
        write_version(counting.store, bare, version)
    withdraw(counting)
    for fault in ("crash-before", "crash-after"):
        for at in range(1, counting.count + 1):
            memory = MemoryStore()
            for facts in store.list():
                memory.create(facts.key, store.read(facts.key))
            with pytest.raises(Crash):
                withdraw(FaultyStore(memory, at=at, fault=fault))
            assert history(memory, VersionNumber(1, 1, 0)).fault == ""
            withdraw(memory)
            found = history(memory, VersionNumber(1, 1, 0))
            assert (found.state, found.last) == ("withdrawn", 1), (fault, at)
            rebuild(memory)
            assert resolve("bare", memory).version == "1.0.0"


def test_a_lost_answer_is_looked_up_and_a_refusal_is_an_error(store: Store) -> None:
    lossy = FaultyStore(store, at=1, fault="lost-response", only=("create",), key="status")
    assert withdraw(lossy).number == 1
    busy = FaultyStore(store, at=1, fault="refused", only=("create",), key="status")
    with pytest.raises(StorageError):
        withdraw(busy, "bare@1.0.0")
    assert history(store).last == 0


def test_whoever_loses_a_number_takes_the_next(store: Store) -> None:
    class Rival(FaultyStore):
        """Writes number 1 just before the one who was about to."""

        def create(self, key: str, source: bytes | Path, **options: object) -> bool:
            if key == FIRST:
                other = Status(
                    dataset="bare",
                    version="1.0.0",
                    state="deprecated",
                    reason="of the rival",
                    by="rival",
                    date="2026-01-01T00:00:00Z",
                )
                self.store.create(FIRST, status_bytes(other))
            return super().create(key, source)

    assert withdraw(Rival(store), "bare@1.0.0").number == 2
    assert history(store).state == "withdrawn"


def test_a_store_that_ignores_conditions_is_refused(bare: Path, rclone_url: str) -> None:
    store = open_store(rclone_url)
    write_version(store, bare)
    with pytest.raises(StorageError, match="destroy each other's work"):
        withdraw(store, "bare@1.0.0")
    mark(
        "bare@1.0.0",
        Mark(state="withdrawn", reason="r"),
        store,
        options=MarkOptions(single_writer=True),
    )
    assert history(store).state == "withdrawn"


def test_readers_on_the_web_are_told_too(bare: Path, http_folder: tuple[str, Path]) -> None:
    url, folder = http_folder
    store = open_store(folder)
    for version in ("1.0.0", "1.1.0"):
        write_version(store, bare, version)
    withdraw(store)
    assert resolve("bare", url).version == "1.0.0"
    with pytest.warns(ScidataWarning, match="labels swapped"):
        resolve("bare@1.1.0", url)
    assert [c.version for c in read_listing(url).versions["bare"]] == ["1.0.0", "1.1.0"]


def test_a_status_survives_being_written_and_read() -> None:
    status = Status(
        dataset="bare", version="1.0.0", state="purged", reason="é", by="a", date="2026"
    )
    data = status_bytes(status)
    assert parse_status(data, dataset="bare", version="1.0.0") == status
    later = data.replace(b'"by"', b'"from a later release": 1, "by"')
    assert parse_status(later, dataset="bare", version="1.0.0") == status
    assert status_key("bare", "1.0.0", 12) == "bare/versions/1.0.0.status-0012.json"


WRITER = """
import sys, time
from pathlib import Path
import obstore, scidata.marking, scidata.cli.status
from scidata.cli import main
Path(sys.argv[1] + "." + sys.argv[2]).touch()
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
main(["status", "bare@1.0.0", "deprecated", "--reason", "writer " + sys.argv[2], *sys.argv[3:]])
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_of_racing_processes_each_gets_a_number_of_its_own(
    request: pytest.FixtureRequest, bare: Path, tmp_path: Path, kind: str
) -> None:
    url = str(tmp_path / "store") if kind == "folder" else request.getfixturevalue("s3_url")
    write_version(open_store(url), bare)
    ends = race(WRITER, [["--store", url]] * 4, tmp_path / "start")
    assert [code for code, _ in ends] == [0] * 4, ends
    found = history(open_store(url))
    assert [e.number for e in found.entries] == [1, 2, 3, 4]
    reasons = sorted(e.status.reason for e in found.entries if e.status)
    assert reasons == [f"writer {n}" for n in range(4)]


def test_a_purged_version_takes_no_other_status(store: Store) -> None:
    status = Status(
        dataset="bare", version="1.0.0", state="purged", reason="r", by="a", date="2026"
    )
    store.create(FIRST, status_bytes(status))
    with pytest.raises(ConflictError, match="final"):
        withdraw(store, "bare@1.0.0")
    with pytest.raises(NotFoundError, match="was purged on 2026: r"):
        resolve("bare@1.0.0", store)
