"""The public catalog: what the founding records say, and originals where they lie."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from scidata.catalog import open_catalog
from scidata.catalog.founding import EARTHQUAKES, plan_public_catalogs, write_public_catalogs
from scidata.digest import Digest
from tests.originals import STAND_INS, founding_originals, serving_originals
from tests.plainly import read_plainly
from tests.servers import aws_environment

ROOT = Path(__file__).parent.parent
CATALOGS = ROOT / "catalogs"


def test_the_public_catalog_is_what_the_records_say() -> None:
    for path, data in plan_public_catalogs().items():
        file = ROOT / "catalogs" / path
        stale = f"{path} is stale: run python -m scidata.catalog catalogs"
        assert file.read_bytes() == data, stale


def test_the_public_catalog_holds_no_other_file() -> None:
    here = {str(p.relative_to(ROOT / "catalogs")) for p in _files(ROOT / "catalogs")}
    shipped = {f"tevolop/{EARTHQUAKES}", "tevolop/SOURCE.md"}
    assert here == {*plan_public_catalogs(), *shipped}


def test_the_public_catalog_is_written_into_no_other_folder(tmp_path: Path) -> None:
    def write(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "scidata.catalog", *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    (tmp_path / "notes.txt").write_text("mine")
    for words, code in (
        ([], 2),
        (["--help"], 2),
        ([tmp_path / "catalgs"], 3),
        ([tmp_path], 4),
        ([tmp_path / "notes.txt"], 4),
    ):
        done = write(*words)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("usage: " if code == 2 else "error: ")
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    shutil.copytree(ROOT / "catalogs", tmp_path / "catalogs")
    (tmp_path / "catalogs" / "index.yaml").write_text("stale")
    done = write(tmp_path / "catalogs")
    assert (done.returncode, done.stdout) == (0, "wrote index.yaml\n")


def test_what_scidata_publishes_opens_without_a_network() -> None:
    from importlib.resources import files

    catalog = open_catalog(str(files("scidata") / "catalogs" / "index.yaml"))
    table = catalog["tevolop"].read()["earthquakes-m2.5"].read()
    assert len(table) == 51891
    assert table.mag.min() == 2.5


def test_what_is_typed_of_the_shipped_table_is_true_of_it() -> None:
    data = (CATALOGS / "tevolop" / EARTHQUAKES).read_bytes()
    table = pd.read_csv(io.BytesIO(data), compression="gzip", keep_default_na=False)
    untyped = ((table.type == "") & (table.magType == "")).sum()
    source = (CATALOGS / "tevolop" / "SOURCE.md").read_text()
    for fact in (
        f"{len(table):,} events of magnitude {table.mag.min():g} and above",
        f"{table.time.min()[:10]} to {table.time.max()[:7]}",
        f"| Bytes | {len(data):,} |",
        f"`{Digest.of(data).hex}`",
        f"empty in {untyped} rows; {(table.type == 'qb').sum():,} rows are quarry blasts",
    ):
        assert fact in " ".join(source.split()), fact


def test_every_original_of_every_record_is_listed_with_what_is_known_of_it() -> None:
    from scidata.catalog.founding import founding_records

    catalog = open_catalog(ROOT / "catalogs" / "index.yaml")
    listed = 0
    for record in founding_records():
        inner = catalog[record.id].read()
        for original in record.originals:
            about = inner[original.name].metadata
            assert about["checksums"] == original.checksums
            assert about["license_note"] == original.license_note
            assert about["layout"] == original.layout
            listed += 1
    assert listed >= 12


def test_no_original_is_read_by_something_that_unpickles() -> None:
    catalogs = [yaml.safe_load(p.read_text()) for p in ROOT.glob("catalogs/*/catalog.yaml")]
    readers = {e["reader"].split(":")[1] for c in catalogs for e in c["entries"].values()}
    assert readers == {"OpenFilesReader", "PandasCSV"}


def test_the_public_catalog_is_valid_stac(schemas_if_any: Path | None) -> None:
    from pystac.validation import validate_dict

    from tests.test_formats_stac import validating_with

    with validating_with(schemas_if_any):
        for file in ROOT.glob("catalogs/**/*.json"):
            assert validate_dict(json.loads(file.read_text()))


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Servers laid out as the publishers', with small files; which replaces which."""
    with serving_originals(tmp_path_factory.mktemp("web")) as replaced:
        yield replaced


def test_every_original_that_opens_has_a_stand_in() -> None:
    assert closed_originals() == {
        "stemdl-classification/archive",
        "stemdl-reconstruction/stemdl-reconst-ds1",
        "tevolop/scedc-catalogue-github",
    }
    assert STAND_INS.keys() == founding_originals().keys() - closed_originals()


@pytest.mark.slow
def test_intake_alone_opens_every_original_where_it_lies(
    plain_python: Path,
    moved: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_public_catalogs(tmp_path / "catalogs", moved)
    shutil.copy(ROOT / "catalogs/tevolop" / EARTHQUAKES, tmp_path / "catalogs/tevolop")
    # Anonymous: nothing in the environment helps.
    for name in aws_environment(""):
        monkeypatch.delenv(name, raising=False)
    seen = read_plainly(plain_python, "originals", str(tmp_path / "catalogs" / "index.yaml"))
    for key in founding_originals():
        if key in closed_originals():
            assert isinstance(seen[key], str), key
        else:
            assert seen[key] == [STAND_INS[key].length, STAND_INS[key].seen], key
    assert seen.keys() - founding_originals().keys() == {"tevolop/earthquakes-m2.5"}
    assert seen["tevolop/earthquakes-m2.5"][0] == 51891
    assert "LMDB" in seen["stemdl-reconstruction/stemdl-reconst-ds1"]


def test_open_catalog_opens_the_originals_with_its_rules(
    moved: dict[str, str], tmp_path: Path
) -> None:
    write_public_catalogs(tmp_path, moved)
    catalog = open_catalog(tmp_path / "index.yaml")
    for key, stand_in in STAND_INS.items():
        dataset, name = key.split("/")
        assert len(catalog[dataset].read()[name].read()) == stand_in.length, key


def closed_originals() -> set[str]:
    """Originals that the catalog lists with the reason why it opens none of their files."""
    collections = {p.parent.name: json.loads(p.read_text()) for p in CATALOGS.glob("*/*.json")}
    return {
        f"{dataset}/{name}"
        for dataset, collection in collections.items()
        for name, asset in collection["assets"].items()
        if "scidata:not_opened" in asset
    }


def _files(folder: Path) -> Iterator[Path]:
    return (p for p in folder.rglob("*") if p.is_file())
