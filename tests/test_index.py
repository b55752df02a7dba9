"""The catalogs of a store: rebuilt from what is committed, and from nothing else."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from scidata.cli.index import command
from scidata.errors import NotFoundError, StorageError
from scidata.index import rebuild
from scidata.resolve import list_versions
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.testing.faults import FaultyStore
from tests.samples import record_fields
from tests.versions import write_version

ALL = ("tiny/catalog.yaml", "tiny/collection.json", "index.yaml", "catalog.json")


@pytest.fixture
def store(staged: Path, tmp_path: Path) -> Store:
    """A store with tiny@1.9.0 and tiny@1.10.0, without catalogs."""
    opened = open_store(tmp_path / "store")
    write_version(opened, staged, "1.9.0")
    write_version(opened, staged, "1.10.0", parent="1.9.0")
    return opened


def catalogs(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) for key in ALL}


def add_second_dataset(store: Store, staged: Path) -> None:
    fields = {**record_fields(), "id": "second", "title": "Second waves"}
    (staged / "record.yaml").write_text(yaml.safe_dump(fields))
    write_version(store, staged, "0.1.0")


def damage(store: Store, key: str, data: bytes = b"{}\n") -> None:
    store.delete(key)
    store.create(key, data)


def test_the_newest_version_is_the_greatest_number_not_the_greatest_text(store: Store) -> None:
    report = rebuild(store)
    assert report.datasets[0].versions == ("1.9.0", "1.10.0")
    catalog = yaml.safe_load(store.read("tiny/catalog.yaml"))
    assert catalog["metadata"]["scidata"]["newest"] == "1.10.0"
    url = catalog["data"]["array__data"]["kwargs"]["url"]
    assert url == "{CATALOG_DIR}/v1.10.0/data/array.zarr"
    assert {"v1.9.0", "v1.10.0"} < set(catalog["aliases"])


def test_rebuilding_twice_writes_nothing_the_second_time(store: Store) -> None:
    assert rebuild(store).written == ALL
    before = catalogs(store)
    report = rebuild(store)
    assert (report.written, report.unchanged) == ((), ALL)
    assert catalogs(store) == before


def test_lost_and_edited_catalogs_come_back_the_same(store: Store) -> None:
    rebuild(store)
    before = catalogs(store)
    store.delete("index.yaml")
    store.replace("tiny/collection.json", b"edited")
    store.replace("catalog.json", before["catalog.json"] + b" ")
    assert set(rebuild(store).written) == {"index.yaml", "tiny/collection.json", "catalog.json"}
    assert catalogs(store) == before


def test_a_dry_run_says_the_same_and_writes_nothing(store: Store) -> None:
    foreseen = rebuild(store, dry_run=True)
    assert not [found.key for found in store.list() if found.key in ALL]
    assert rebuild(store) == foreseen


def test_an_uncommitted_version_is_never_listed(store: Store) -> None:
    store.delete("tiny/versions/1.10.0.json")
    report = rebuild(store)
    assert report.datasets[0].versions == ("1.9.0",)
    assert report.damaged == ()
    assert not any(b"1.10.0" in data for data in catalogs(store).values())


@pytest.mark.parametrize(
    "key",
    [
        "versions/1.10.0.json",
        "v1.10.0/meta/record.yaml",
        "v1.10.0/meta/facts.json",
        "catalog-1.10.0.yaml",
    ],
)
def test_a_damaged_version_is_named_and_the_others_are_listed(store: Store, key: str) -> None:
    damage(store, f"tiny/{key}")
    report = rebuild(store)
    assert report.datasets[0].versions == ("1.9.0",)
    (problem,) = report.damaged
    assert problem.path == "tiny@1.10.0"
    if key.startswith("versions/"):  # without it nothing can be verified
        assert problem.message.startswith("the commit record is damaged: it lacks")
        assert "bring this one file back" in problem.fix
    else:
        command = f"scidata verify tiny@1.10.0 --store {store.url}"
        assert problem.fix == f"see every bad file with: {command}"
    assert not any(b"1.10.0" in data for data in catalogs(store).values())


def test_a_missing_tag_file_is_damage_too(store: Store) -> None:
    store.delete("tiny/v1.9.0/meta/facts.json")
    (problem,) = rebuild(store).damaged
    assert "meta/facts.json" in problem.message


def test_facts_of_another_version_are_not_believed(store: Store, tmp_path: Path) -> None:
    """Also if the commit record vouches for their bytes."""
    commit = json.loads(store.read("tiny/versions/1.10.0.json"))
    tags = commit["tags"]
    tags["v1.10.0/meta/facts.json"] = json.loads(store.read("tiny/versions/1.9.0.json"))[
        "tags"
    ]["v1.9.0/meta/facts.json"]
    damage(store, "tiny/versions/1.10.0.json", json.dumps(commit).encode())
    damage(store, "tiny/v1.10.0/meta/facts.json", store.read("tiny/v1.9.0/meta/facts.json"))
    (problem,) = rebuild(store).damaged
    assert "tiny@1.9.0" in problem.message


def test_a_dataset_whose_versions_are_all_damaged_is_left_out_of_the_roots(
    store: Store, staged: Path
) -> None:
    add_second_dataset(store, staged)
    damage(store, "second/v0.1.0/meta/record.yaml")
    report = rebuild(store)
    assert [dataset.name for dataset in report.datasets] == ["tiny"]
    assert [problem.path for problem in report.damaged] == ["second@0.1.0"]
    assert list(yaml.safe_load(store.read("index.yaml"))["aliases"]) == ["tiny"]


def test_one_dataset_can_be_rebuilt_and_the_roots_list_all(store: Store, staged: Path) -> None:
    add_second_dataset(store, staged)
    report = rebuild(store, ["second"])
    assert [dataset.name for dataset in report.datasets] == ["second"]
    assert set(report.written) == {
        "second/catalog.yaml",
        "second/collection.json",
        "index.yaml",
        "catalog.json",
    }
    assert set(yaml.safe_load(store.read("index.yaml"))["aliases"]) == {"second", "tiny"}
    children = [
        x for x in json.loads(store.read("catalog.json"))["links"] if x["rel"] == "child"
    ]
    assert [child["title"] for child in children] == ["Second waves", "Tiny waves for tests"]


def test_an_empty_store_gets_empty_roots(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    store = open_store(tmp_path / "empty")
    report = rebuild(store)
    assert report.written == ("index.yaml", "catalog.json")
    assert yaml.safe_load(store.read("index.yaml"))["aliases"] == {}


def test_a_dataset_that_is_not_there_is_named_with_those_that_are(store: Store) -> None:
    with pytest.raises(NotFoundError, match="'tiny2'") as caught:
        rebuild(store, ["tiny2"])
    assert "tiny" in caught.value.fix


@pytest.mark.parametrize("datasets", [None, ["tiny"]])
def test_a_version_committed_while_the_catalogs_are_rebuilt_is_listed(
    store: Store, staged: Path, datasets: list[str] | None
) -> None:
    class Late(FaultyStore):
        """Just before the first catalog is written, somebody commits, and lists it."""

        def replace(self, key: str, data: bytes) -> None:
            if "2.0.0" not in {v.version for v in list_versions("tiny", self.store)}:
                write_version(self.store, staged, "2.0.0")
                add_second_dataset(self.store, staged)
                rebuild(self.store)
            super().replace(key, data)

    report = rebuild(Late(store), datasets)
    assert report.datasets[-1].versions == ("1.9.0", "1.10.0", "2.0.0")
    assert b"2.0.0" in store.read("tiny/catalog.yaml")
    assert b"Second waves" in store.read("index.yaml")
    assert rebuild(store).written == ()


def test_files_beside_commit_records_are_left_alone(store: Store) -> None:
    store.create("tiny/versions/1.10.0.status-0001.json", b"{}")
    store.create("tiny/versions/notes.txt", b"")
    assert rebuild(store).datasets[0].versions == ("1.9.0", "1.10.0")


def test_a_store_that_can_only_be_read_is_refused_before_anything_is_read(
    http_folder: tuple[str, Path],
) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        rebuild(open_store(http_folder[0]))


def test_it_works_on_s3(staged: Path, s3_url: str) -> None:
    store = open_store(s3_url)
    write_version(store, staged)
    assert rebuild(store).written == ALL
    assert rebuild(store).written == ()


def test_the_command_prints_what_it_wrote(store: Store, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["--store", str(tmp_path / "store")])
    assert done.exit_code == 0
    assert "wrote tiny/catalog.yaml" in done.stdout
    assert done.stdout.endswith("0 up to date, 1 dataset listed\n")


def test_the_command_gives_the_report_as_json(store: Store, tmp_path: Path) -> None:
    arguments = ["--store", str(tmp_path / "store"), "--json", "--dry-run", "tiny"]
    done = CliRunner().invoke(command, arguments)
    document = json.loads(done.stdout)
    assert document["schema"] == "scidata-index/1"
    assert document["written"] == list(ALL)
    assert document["datasets"] == [{"name": "tiny", "versions": ["1.9.0", "1.10.0"]}]
    assert not (tmp_path / "store" / "index.yaml").exists()


def test_the_command_exits_with_5_and_a_remedy_for_each_damaged_version(
    store: Store, staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from scidata.cli import main

    for number in range(1, 6):
        write_version(store, staged, f"2.{number}.0")
        damage(store, f"tiny/v2.{number}.0/meta/facts.json")
    damage(store, "tiny/v1.9.0/meta/facts.json")
    with pytest.raises(SystemExit) as caught:
        main(["index", "--store", str(tmp_path / "store")])
    assert caught.value.code == 5
    assert (tmp_path / "store" / "index.yaml").exists()
    fix = capsys.readouterr().err.rpartition("fix:")[2]
    named = [
        n for n in ("1.9.0", "2.1.0", "2.2.0", "2.5.0") if f"verify tiny@{n} --store" in fix
    ]
    assert (named, fix.endswith("; ... and 1 more; --json lists all\n")) == (
        ["1.9.0", "2.1.0", "2.2.0"],
        True,
    )
