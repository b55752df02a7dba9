"""The public catalog: what the founding records say, and originals where they lie."""

import io
import json
import lzma
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scidata.catalog import open_catalog
from scidata.catalog.founding import EARTHQUAKES, plan_public_catalogs, write_public_catalogs
from scidata.formats.founding import AWS
from tests.plainly import read_plainly, scene
from tests.servers import (
    aws_environment,
    create_bucket,
    create_public_object,
    folder_server,
)

ROOT = Path(__file__).parent.parent


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


def test_the_public_catalog_is_valid_stac(schemas: Path) -> None:
    from pystac.validation import validate_dict

    from tests.test_formats_stac import validating_with

    with validating_with(schemas):
        for file in ROOT.glob("catalogs/**/*.json"):
            assert validate_dict(json.loads(file.read_text()))


@pytest.fixture
def originals(s3_endpoint: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Servers laid out as the publishers', with small files; which replaces which."""
    folder = tmp_path / "web"
    _write_web(folder)
    for bucket in ("sciml-datasets", "scedc-pds"):
        create_bucket(s3_endpoint, bucket)
    for key, data in _objects().items():
        bucket, _, name = key.partition("/")
        create_public_object(s3_endpoint, bucket, name, data)
    with folder_server(folder) as url:
        yield {
            "https://s3.echo.stfc.ac.uk": s3_endpoint,
            AWS: s3_endpoint,
            "http://ftp.mcs.anl.gov": f"{url}/anl",
            "https://github.com": f"{url}/github",
        }


@pytest.mark.slow
def test_intake_alone_opens_every_original_where_it_lies(
    plain_python: Path,
    originals: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_public_catalogs(tmp_path / "catalogs", originals)
    shutil.copy(ROOT / "catalogs/tevolop" / EARTHQUAKES, tmp_path / "catalogs/tevolop")
    # Anonymous: nothing in the environment helps.
    for name in aws_environment(""):
        monkeypatch.delenv(name, raising=False)
    seen = read_plainly(plain_python, "originals", str(tmp_path / "catalogs" / "index.yaml"))
    count, shapes = seen["training"]
    assert count == 2
    assert shapes == {"refs": [12, 15, 6], "bts": [12, 15, 3], "bayes": [12, 15, 1]}
    assert seen["label"] == [14]
    assert seen["stack"] == [3, 8, 8]
    assert seen["response"] == [["SOURCE", "CELL", "AUC"], 1]
    assert bytes.fromhex(seen["archive"]) == b"\xfd7zXZ\x00"
    assert seen["catalogue"].startswith("1950/01/03")
    assert seen["earthquakes"] == 51891
    assert "LMDB" in seen["closed"]["not_opened"]


def test_open_catalog_opens_the_originals_with_its_rules(
    originals: dict[str, str], tmp_path: Path
) -> None:
    write_public_catalogs(tmp_path, originals)
    catalog = open_catalog(tmp_path / "index.yaml")
    assert len(catalog["cloudmask"].read()["ds1-training"].read()) == 2
    assert len(catalog["candle-uno"].read()["combo-response"].read()) == 1


def _objects() -> dict[str, bytes]:
    import numpy as np

    packed = io.BytesIO()
    np.savez(packed, data=np.zeros((3, 8, 8), "f4"), label=np.array([14]))
    prefix = "sciml-datasets/es/cloud_slstr_ds1/training/S3A_SL_1_RBT____2019100"
    return {
        f"{prefix}1T113221.hdf": scene(),
        f"{prefix}2T113221.hdf": scene(),
        "sciml-datasets/ms/stemdl_ds1a/training/sample-0.npz": packed.getvalue(),
        "sciml-datasets/ms/stemdl_reconst_ds1/batch_train_0.db/data.mdb": b"\0",
        "scedc-pds/earthquake_catalogs/SCEC_DC/1950.catalog": b"1950/01/03 11:26:30.04 eq\n",
    }


def _write_web(folder: Path) -> None:
    import h5py
    import numpy as np

    pilot = folder / "anl/pub/candle/public/benchmarks/Pilot1"
    (pilot / "uno").mkdir(parents=True)
    (pilot / "combo").mkdir()
    with h5py.File(pilot / "uno/top_21_auc_1fold.uno.h5", "w") as file:
        file["sample_0_0/cbed_stack"] = np.zeros((3, 8, 8), "f4")
    table = pilot / "combo/combined_single_response_agg"
    table.write_text("SOURCE\tCELL\tAUC\nCCLE\tA\t0.5\n")
    archive = folder / "github/laszewsk/mlcommons-data-earthquake/raw/main/data.tar.xz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(lzma.compress(b"x"))


def _files(folder: Path) -> Iterator[Path]:
    return (p for p in folder.rglob("*") if p.is_file())
