"""Opening a version: by name or digest, from anywhere, in few requests, every byte checked."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import intake
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import scidata
from scidata.errors import IntegrityError, InvalidError, ScidataError
from scidata.loaders.engine import Batch
from scidata.publishing import publish
from scidata.storage import open_store
from tests import windows
from tests.servers import faulty_proxy, folder_server
from tests.windows import publish_quakes

NAME = "quakes@1.0.0"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_quakes(tmp_path_factory.mktemp("quakes"))


@pytest.fixture
def s3_store(store: Path, s3_url: str) -> str:
    """The same version in S3."""
    publish(store.parent / "quakes", s3_url, version="1.0.0")
    return s3_url


@pytest.fixture
def copy(store: Path, tmp_path: Path) -> Path:
    """A store that a test may damage; its version's folder."""
    shutil.copytree(store, tmp_path / "store")
    return tmp_path / "store" / "quakes" / "v1.0.0"


def _order(batches: Iterable[Batch]) -> list[tuple[int, int]]:
    return [
        (int(p), int(t)) for b in batches for p, t in zip(b["location"], b["time"], strict=True)
    ]


def test_open_finds_the_newest_a_number_or_a_digest(store: Path) -> None:
    found = scidata.open(NAME, store)
    assert found.name == NAME
    assert scidata.open("quakes", store).digest == found.digest
    assert scidata.open(f"quakes@{found.digest}", store).name == NAME
    assert scidata.open(NAME, store, digest=str(found.digest)).name == NAME


def test_open_refuses_a_version_with_another_digest(store: Path) -> None:
    with pytest.raises(IntegrityError, match="has the digest sha256:"):
        scidata.open(NAME, store, digest="sha256:" + "0" * 64)


def test_repr_shows_what_there_is(store: Path) -> None:
    found = scidata.open(NAME, store)
    lines = repr(found).splitlines()
    assert lines[0].startswith(f"<Dataset quakes@1.0.0  {found.digest.short}  file://")
    assert [line.split()[:2] for line in lines[1:]] == [
        [a.key, a.kind] for a in found.commit.assets
    ]


def test_record_facts_splits_and_statistics_are_those_of_the_version(store: Path) -> None:
    found = scidata.open(NAME, store)
    assert found.record.title == "Random earthquakes for tests"
    assert found.facts.digest == str(found.digest)
    assert found.splits == ("time/train", "time/validation", "time/test")
    assert found.split("time/train") == found.split("train")
    assert len(found.split("train")) == 56
    assert found.statistics("fortnights")["over"] == "time/train"
    assert set(found.statistics()) == {"fortnights"}


def test_to_xarray_is_lazy_and_equal_to_what_was_published(store: Path) -> None:
    found = scidata.open(NAME, store).to_xarray("fortnights")
    expected = windows.arrays(6, 330)
    assert not found["magnitude"]._in_memory  # the values are still in the store
    assert np.array_equal(found["time"], expected["time"])
    for name in expected.data_vars:
        assert np.array_equal(found[name], expected[name], equal_nan=True)


def test_arrays_without_consolidated_metadata_open_from_anywhere(
    store: Path, tmp_path: Path
) -> None:
    staged = tmp_path / "staged"
    shutil.copytree(store.parent / "quakes", staged)
    root = staged / "data" / "fortnights.zarr" / "zarr.json"
    metadata = json.loads(root.read_text())
    del metadata["consolidated_metadata"]
    root.write_text(json.dumps(metadata))
    publish(staged, tmp_path / "store", version="2.0.0")
    with folder_server(tmp_path / "store") as url:
        for place in (tmp_path / "store", url):
            opened = scidata.open("quakes@2.0.0", place)
            expected = scidata.open(NAME, store)
            assert opened.to_xarray("fortnights").equals(expected.to_xarray("fortnights"))
            batch = next(iter(opened.stream("train", batch_size=2)))
            assert batch["magnitude"].shape == (2, 26)


def test_to_pandas_reads_a_table(staged: Path, tmp_path: Path) -> None:
    publish(staged, tmp_path / "store", version="1.0.0")
    table = scidata.open("tiny", tmp_path / "store").to_pandas("table")
    assert list(table.columns) == ["sample", "frequency"]
    assert len(table) == 24


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.to_xarray("girds"), "no asset 'girds'; there are fortnights"),
        (lambda d: d.to_pandas("fortnights"), "'fortnights' is zarr, not a table"),
        (lambda d: d.split("time/trian"), "no split 'time/trian'; there are time/train"),
        (lambda d: d.statistics("grid"), "no statistics of 'grid'"),
        (lambda d: d.stream("train", batch_size=0), "batch_size 0 is not positive"),
        (lambda d: d.stream("train", batch_size=1, stride=0), "stride 0 is not positive"),
        (lambda d: d.stream("train", batch_size=1, memory=0), "memory 0 is not positive"),
    ],
)
def test_a_wrong_name_or_option_is_answered_with_the_right_ones(
    store: Path,
    call: Any,  # Any: a function of a dataset
    message: str,
) -> None:
    with pytest.raises(ScidataError, match=message):
        call(scidata.open(NAME, store))


def test_a_version_without_samples_says_how_to_read_it(staged: Path, tmp_path: Path) -> None:
    publish(staged, tmp_path / "store", version="1.0.0")
    with pytest.raises(InvalidError, match="does not say what a sample is") as caught:
        scidata.open("tiny", tmp_path / "store").stream(batch_size=1)
    assert "to_xarray" in caught.value.fix


@pytest.mark.parametrize(
    ("path", "use"),
    [
        ("meta/record.yaml", lambda d: d.record),
        ("meta/facts.json", lambda d: d.facts),
        ("manifest-sha256.txt", lambda d: d.published),
        ("data/splits/time/train.txt", lambda d: d.split("train")),
        ("data/statistics.json", lambda d: d.statistics()),
        ("data/fortnights.zarr/zarr.json", lambda d: d.to_xarray("fortnights")),
    ],
)
def test_a_flipped_byte_is_found_wherever_it_is_used(
    copy: Path,
    path: str,
    use: Any,  # Any: a function of a dataset
) -> None:
    file = copy / path
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=path.rpartition("/")[2]):
        use(scidata.open(NAME, copy.parents[1]))


def test_opening_from_s3_takes_seven_requests_with_the_metadata_of_an_array(
    s3_store: str, s3_endpoint: str
) -> None:
    with faulty_proxy(s3_endpoint) as proxy:
        found = scidata.open(NAME, open_store(s3_store, endpoint_url=proxy.url))
        found.to_xarray("fortnights")
        # Commit record, statuses, manifest, metadata, and the labels of three dimensions.
        assert len(proxy.seen) == 7, proxy.seen
        assert found.facts.assets
        assert found.record.title
        assert len(proxy.seen) == 9
        found.to_xarray("fortnights")
        found.stream(batch_size=32)
        kinds = [request.rpartition("/")[2] for request in proxy.seen[9:]]
        assert not {"manifest-sha256.txt", "record.yaml", "1.0.0.json"} & set(kinds)


def test_the_same_batches_come_from_a_folder_from_s3_and_over_http(
    store: Path, s3_store: str
) -> None:
    with folder_server(store) as url:
        streams = [
            scidata.open(NAME, where).stream("test", batch_size=32, shuffle=True, seed=5)
            for where in (store, s3_store, url)
        ]
        local, s3, http = (list(stream) for stream in streams)
    for batch, *others in zip(local, s3, http, strict=True):
        for name, tensor in batch.items():
            for other in others:
                assert torch.equal(tensor.nan_to_num(), other[name].nan_to_num())


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_read_from_s3(s3_store: str, context: str) -> None:
    stream = scidata.open(NAME, s3_store).stream("test", batch_size=32, shuffle=True)
    loader: DataLoader[Batch] = DataLoader(
        stream, batch_size=None, num_workers=2, multiprocessing_context=context
    )
    assert _order(loader) == _order(stream)


def test_the_catalog_entry_streams_through_plain_intake(store: Path) -> None:
    # Any: intake ships no types
    catalog: Any = intake.open_catalog(str(store / "quakes" / "catalog-1.0.0.yaml"))
    stream = catalog["stream-train"].read(batch_size=32, shuffle=True, seed=5)
    direct = scidata.open(NAME, store).stream("train", batch_size=32, shuffle=True, seed=5)
    assert _order(stream) == _order(direct)


def test_a_pinned_catalog_entry_refuses_other_bytes(copy: Path) -> None:
    file = copy.parent / "catalog-1.0.0.yaml"
    digest = str(scidata.open(NAME, copy.parents[1]).digest)
    file.chmod(0o644)
    file.write_text(file.read_text().replace(digest, "sha256:" + "0" * 64))
    catalog: Any = intake.open_catalog(str(file))  # Any: intake ships no types
    with pytest.raises(IntegrityError, match="has the digest"):
        catalog["stream-train"].read(batch_size=1)


def test_without_torch_everything_but_streaming_works(store: Path) -> None:
    program = f"""
import sys
sys.modules["torch"] = None
import scidata
found = scidata.open({NAME!r}, {str(store)!r})
assert len(found.split("train")) == 56
assert found.to_xarray("fortnights").sizes["time"] == 330
try:
    found.stream(batch_size=1)
except scidata.ScidataError as error:
    print(error.fix)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == 'pip install "fair-scidata[torch]"'
