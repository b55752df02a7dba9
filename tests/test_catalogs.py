"""Catalogs as readers see them: with Intake alone, and with `scidata.open_catalog`."""

import gzip
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scidata.catalog import open_catalog
from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError, NotFoundError, StorageError
from scidata.index import rebuild
from scidata.storage import open_store
from tests.plainly import Document, read_plainly, scene
from tests.samples import SAMPLES
from tests.servers import create_bucket, create_public_object
from tests.versions import write_catalogued, write_version


@pytest.fixture
def store(staged: Path, tmp_path: Path) -> Path:
    """A store in a folder, with two versions and catalogs."""
    write_catalogued(open_store(tmp_path / "store"), staged)
    return tmp_path / "store"


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
    write_catalogued(open_store(s3_url), staged)
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
    (data / "scene.nc").write_bytes(scene())
    (data / "packed.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    (data / "notes.md").write_text("# Größe\n")
    (data / "blob.bin").write_bytes(b"\0\1")
    (data / "frames").mkdir()
    (data / "frames" / "one.hdf").write_bytes(scene())
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


@pytest.mark.parametrize(
    "url", ["{}/none.yaml", "http://127.0.0.1:9/none.yaml", "ftp://h/x.yaml"]
)
def test_what_cannot_be_fetched_is_one_clear_error(tmp_path: Path, url: str) -> None:
    kind = NotFoundError if url.startswith("{}") else StorageError
    with pytest.raises(InvalidError if url.startswith("ftp") else kind) as caught:
        open_catalog(url.format(tmp_path))
    assert caught.value.fix


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_a_server_that_never_answers_is_given_up(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["scidata.catalog.fetch"], "SMALL_FILE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:  # accepts, and no more
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        url = "s3://bucket/x.yaml" if scheme == "s3" else f"{server}/x.yaml"
        options = {"endpoint_url": server, "anon": True} if scheme == "s3" else {}
        began = time.monotonic()
        with pytest.raises(StorageError, match="cannot be read"):
            open_catalog(url, storage_options=options)
        assert time.monotonic() - began < 10


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
