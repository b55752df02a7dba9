"""`scidata list` and `scidata show`, and what the light verbs do not import."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scidata.errors import IntegrityError, NotFoundError
from scidata.index import rebuild
from scidata.listing import read_listing
from scidata.show import show
from scidata.storage.local import LocalStore
from tests.damage import command
from tests.samples import record_fields, write_staged
from tests.versions import write_version


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in a folder with tiny 1.0.0 and 1.1.0."""
    root = tmp_path_factory.mktemp("published")
    staged = write_staged(root / "staged")
    for version in ("1.0.0", "1.1.0"):
        write_version(LocalStore(root / "store"), staged, version)
    return root / "store"


def run(*arguments: str | Path) -> str:
    program = [sys.executable, "-c", "from scidata.cli import main; main()"]
    return subprocess.run(
        [*program, *map(str, arguments)], capture_output=True, text=True, check=True
    ).stdout


def attempt(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def test_list_prints_the_newest_version_of_each_dataset(published: Path) -> None:
    header, row = run("list", "--store", published).splitlines()
    assert header.split() == ["DATASET", "NEWEST", "FILES", "SIZE", "CREATED", "DIGEST"]
    assert row.split()[:2] == ["tiny", "1.1.0"]


def test_list_prints_the_versions_of_a_dataset_oldest_first(published: Path) -> None:
    header, *rows = run("list", "tiny", "--store", published).splitlines()
    assert header.split() == ["VERSION", "FILES", "SIZE", "CREATED", "DIGEST"]
    assert [row.split()[0] for row in rows] == ["tiny@1.0.0", "tiny@1.1.0"]


def test_list_as_json_holds_digests_and_sizes(published: Path) -> None:
    document = json.loads(run("list", "--store", published, "--json"))
    assert document["schema"] == "scidata-list/1"
    versions = document["datasets"]["tiny"]
    assert [v["version"] for v in versions] == ["1.0.0", "1.1.0"]
    assert versions[0]["digest"].startswith("sha256:")
    assert versions[0]["files"] == 11


def test_list_of_an_empty_store_prints_nothing_to_standard_output(tmp_path: Path) -> None:
    assert run("list", "--store", tmp_path) == ""


@pytest.fixture
def damaged(published: Path, tmp_path: Path) -> Path:
    """The store with a second dataset, and the newest commit record of tiny cut short."""
    root = Path(shutil.copytree(published, tmp_path / "store"))
    staged = write_staged(tmp_path / "staged")
    fields = {**record_fields(), "id": "second", "title": "Second waves"}
    (staged / "record.yaml").write_text(yaml.safe_dump(fields))
    write_version(LocalStore(root), staged, "0.1.0")
    record = root / "tiny/versions/1.1.0.json"
    record.write_bytes(record.read_bytes()[:200])
    return root


def test_list_names_a_damaged_commit_record_and_lists_all_else(damaged: Path) -> None:
    done = attempt("list", "--store", damaged)
    assert done.returncode == 5
    assert [row.split()[:2] for row in done.stdout.splitlines()[1:]] == [
        ["second", "0.1.0"],
        ["tiny", "1.0.0"],
    ]
    assert "error: not listed: tiny@1.1.0: the commit record is damaged" in done.stderr
    assert "tiny/versions/1.1.0.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_list_of_one_dataset_names_its_damaged_versions(damaged: Path) -> None:
    done = attempt("list", "tiny", "--store", damaged)
    assert done.returncode == 5
    assert [row.split()[0] for row in done.stdout.splitlines()[1:]] == ["tiny@1.0.0"]
    (damaged / "tiny/versions/1.0.0.json").write_bytes(b"")
    done = attempt("list", "tiny", "--store", damaged)
    assert (done.returncode, done.stdout) == (5, "")
    assert "tiny@1.0.0" in done.stderr
    assert "tiny@1.1.0" in done.stderr


def test_list_as_json_names_damaged_commit_records_too(damaged: Path) -> None:
    done = attempt("list", "--store", damaged, "--json")
    assert done.returncode == 5
    document = json.loads(done.stdout)
    assert list(document["datasets"]) == ["second", "tiny"]
    (item,) = document["damaged"]
    assert (item["name"], item["kind"]) == ("tiny@1.1.0", "integrity")
    assert json.loads(done.stderr)["kind"] == "integrity"


def test_a_catalog_that_is_not_json_hides_only_its_own_dataset(
    published: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    shutil.copytree(published, folder, dirs_exist_ok=True)
    staged = write_staged(folder.parent / "staged")
    fields = {**record_fields(), "id": "second", "title": "Second waves"}
    (staged / "record.yaml").write_text(yaml.safe_dump(fields))
    write_version(LocalStore(folder), staged, "0.1.0")
    rebuild(LocalStore(folder))
    (folder / "tiny/collection.json").write_text("{")
    found = read_listing(url)
    assert list(found.versions) == ["second"]
    assert list(found.damaged) == ["tiny"]


def test_show_tells_what_one_must_know_before_using_a_version(published: Path) -> None:
    text = run("show", "tiny@1.0.0", "--store", published)
    for fact in (
        "Tiny waves for tests",
        "sha256:",
        "Creative Commons Attribution 4.0",
        "11 files",
        "data/array.zarr",
        "train 16, validation 8",
        "none known",
        "nothing was measured",
        "Carberry, Josiah (2026)",
    ):
        assert fact in text, fact


def test_show_as_json_holds_record_and_facts(published: Path) -> None:
    document = json.loads(run("show", "tiny", "--store", published, "--json"))
    assert document["schema"] == "scidata-show/1"
    assert document["commit"]["version"] == "1.1.0"
    assert document["record"]["title"] == "Tiny waves for tests"
    assert document["splits"] == {"sample": {"train": 16, "validation": 8}}


def test_show_refuses_a_split_that_was_edited(tmp_path: Path, staged: Path) -> None:
    store = LocalStore(tmp_path / "store")
    write_version(store, staged)
    key = "tiny/v1.0.0/data/splits/sample/train.txt"
    store.replace(key, store.read(key) + b"9999\n")
    with pytest.raises(IntegrityError, match=r"train\.txt"):
        show("tiny", store)


def test_show_of_an_unknown_dataset_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        show("absent", tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--store", "STORE"],
        ["show", "tiny", "--store", "STORE"],
        ["pull", "tiny", "--store", "STORE", "--out", "OUT"],
        ["verify", "tiny", "--store", "STORE"],
        ["verify", "tiny", "--store", "STORE", "--fast"],
    ],
)
def test_the_light_verbs_import_no_heavy_library(
    published: Path, tmp_path: Path, arguments: list[str]
) -> None:
    places = {"STORE": str(published), "OUT": str(tmp_path / "out")}
    arguments = [places.get(argument, argument) for argument in arguments]
    program = (
        "import sys\nfrom scidata.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'xarray', 'zarr', 'intake', 'pandas', 'dask'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
