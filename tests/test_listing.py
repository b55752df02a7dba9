"""`scidata list` and `scidata show`, and what the light verbs do not import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scidata.errors import IntegrityError, NotFoundError
from scidata.show import show
from scidata.storage.local import LocalStore
from tests.samples import write_staged
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
