"""Streams from servers that fail: a retry or a clear error; no hang, never a wrong tensor."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from zarr.codecs import Crc32cCodec, ZstdCodec

from scidata.errors import IntegrityError, StorageError
from scidata.loaders.engine import Batch
from scidata.loaders.order import SHUFFLES, Order, Shuffle
from scidata.loaders.source import Source
from scidata.loaders.stream import Stream
from scidata.record import Samples
from scidata.storage import open_store
from tests import streams, zarrs
from tests.servers import Fault, Proxy, faulty_proxy, folder_server, http_put
from tests.watchdog import watched

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:zarr.errors.ZarrUserWarning"),
    pytest.mark.usefixtures(watched.__name__),
]
__all__ = ["watched"]

ENTRIES, WIDTH, SHARD = 48, 32, 8
VALUES = np.arange(ENTRIES * WIDTH, dtype=np.float32).reshape(ENTRIES, WIDTH)
FOREVER = 10**6
SAMPLES = Samples(asset="stored", each=("entry",), inputs=("values",))
IDS = tuple(sorted(map(str, range(ENTRIES))))
CHECKED: dict[str, Any] = {"compressors": [ZstdCodec(level=1), Crc32cCodec()]}  # Any: of zarr
BARE: dict[str, Any] = {"compressors": None}


def _write(folder: Path, options: dict[str, Any], *, sharded: bool = True) -> Path:
    array = zarrs.Written(
        name="values",
        dims=("entry", "width"),
        values=VALUES,
        chunks=(2, WIDTH),
        shards=(SHARD, WIDTH) if sharded else None,
        fill=-1.0,
        options=options,
    )
    return zarrs.write(folder / "stored.zarr", [array], zarr_format=3)


@dataclass(frozen=True)
class Served:
    """A store behind a proxy that fails when it is told to, and its source."""

    proxy: Proxy
    folder: Path
    source: Source

    def fails(self, fault: Fault, times: int = 1, path: str = "/c/") -> None:
        """Let requests of chunks fail from now on."""
        self.proxy.fault, self.proxy.times = fault, times
        self.proxy.method, self.proxy.path = "GET", path


def _source(folder: Path, url: str) -> Source:
    objects = open_store(url).objects("stored.zarr")
    asset = streams.asset_of(folder, objects=objects, consolidated=False)
    return streams.source_of(asset, SAMPLES, dimension="entry", ids=IDS)


@pytest.fixture(params=["http", "s3"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """Sharded, compressed, with checksums; over http and S3."""
    folder = _write(tmp_path, CHECKED)
    if request.param == "http":
        with folder_server(tmp_path) as url, faulty_proxy(url) as proxy:
            yield Served(proxy, folder, _source(folder, proxy.url))
        return
    bucket = request.getfixturevalue("s3_url").removesuffix("/prefix")
    endpoint = request.getfixturevalue("s3_endpoint")
    for file in folder.rglob("*"):
        if file.is_file():
            key = file.relative_to(tmp_path)
            http_put(f"{endpoint}/{bucket.removeprefix('s3://')}/{key}", file.read_bytes())
    with faulty_proxy(endpoint) as proxy:
        request.getfixturevalue("monkeypatch").setenv("AWS_ENDPOINT_URL", proxy.url)
        yield Served(proxy, folder, _source(folder, bucket))


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Served]:
    """Neither shards nor compression nor checksums."""
    folder = _write(tmp_path, BARE, sharded=False)
    with folder_server(tmp_path) as url, faulty_proxy(url) as proxy:
        yield Served(proxy, folder, _source(folder, proxy.url))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a second where users wait for a minute; keep no variable as a whole.

    And fetch ahead as from a store that is far away: what fails then has no place yet.
    """
    monkeypatch.setattr("scidata.loaders.pace.Pace.asked_for", float(2**20))
    monkeypatch.setattr("scidata.loaders.fetch.TIMEOUT_S", 0.5)
    monkeypatch.setattr("scidata.loaders.fetch.WHOLE_TIMEOUT_S", 0.5)
    monkeypatch.setattr("scidata.loaders.fetch.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("scidata.loaders.program.MIN_TILE", 1)
    monkeypatch.setattr("scidata.loaders.program.RESIDENT_SHARE", 2**40)


def _stream(source: Source, shuffle: Shuffle = "window", **order: Any) -> Stream:
    return Stream(
        source, Order(**{"batch_size": 4, **order}, shuffle=shuffle), memory=6_000, threads=2
    )


def _check(batch: Batch) -> list[int]:
    """Compare a batch with what was stored; returns the entries."""
    entries: list[int] = batch["entry"].tolist()
    assert np.array_equal(batch["values"].numpy(), VALUES[entries])
    return entries


def _read_all(stream: Stream) -> None:
    seen = [entry for batch in stream for entry in _check(batch)]
    stream.close()
    assert sorted(seen) == list(range(ENTRIES))


@pytest.mark.parametrize(
    ("fault", "shuffle"),
    [
        ("busy", "window"),
        ("broken", "exact"),
        ("lost-answer", "none"),
        ("cut", "window"),
        ("silent", "exact"),
        ("stall", "window"),
        ("short", "window"),
    ],
)
def test_what_passes_is_tried_again_and_nobody_notices(
    served: Served, fault: Fault, shuffle: Shuffle
) -> None:
    served.fails(fault, times=1 if fault in {"silent", "stall"} else 2)
    _read_all(_stream(served.source, shuffle))
    assert served.proxy.times == 0


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("busy", StorageError, "values/c/./0 cannot be read"),
        ("broken", StorageError, "values/c/./0 cannot be read"),
        ("forbidden", StorageError, "values/c/./0 cannot be read: PermissionDenied"),
        ("lost-answer", StorageError, "values/c/./0 cannot be read"),
        ("cut", StorageError, "values/c/./0 cannot be read"),
        ("silent", StorageError, "values/c/./0 cannot be read: no answer in 0.5"),
        ("stall", StorageError, "values/c/./0 cannot be read: no answer in 0.5"),
        ("short", IntegrityError, "values/c/./0 ends early"),
        ("flip", IntegrityError, "bad values/c/./0"),
    ],
)
def test_what_stays_is_an_error_that_names_the_object(
    served: Served, fault: Fault, kind: type[Exception], message: str
) -> None:
    served.fails(fault, times=FOREVER)
    stream = _stream(served.source)
    with pytest.raises(kind, match=message):
        _read_all(stream)
    stream.close()


@pytest.mark.parametrize("fault", ["busy", "silent"])
def test_after_an_error_the_same_stream_reads_on_when_the_server_is_back(
    served: Served, fault: Fault
) -> None:
    stream = _stream(served.source)
    served.fails(fault, times=FOREVER)
    with pytest.raises(StorageError):
        list(stream)
    stream.close()  # what was begun before is dropped
    served.fails("none")
    _read_all(stream)


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_a_server_that_goes_away_in_the_middle_of_an_epoch_is_an_error_and_not_the_end(
    served: Served, shuffle: Shuffle
) -> None:
    stream = _stream(served.source, shuffle)
    batches = iter(stream)
    seen = _check(next(batches))
    served.fails("busy", times=FOREVER)
    with pytest.raises(StorageError):  # noqa: PT012  # batches that were ready come first
        for batch in batches:
            seen += _check(batch)
    state = stream.state_dict()
    stream.close()
    served.fails("none")
    again = _stream(served.source, shuffle)
    again.load_state_dict(state)
    seen += [entry for batch in again for entry in _check(batch)]
    again.close()
    assert sorted(seen) == list(range(ENTRIES))


def test_a_shard_that_the_store_lost_is_no_fill_value(bare: Served) -> None:
    (bare.folder / "values" / "c" / "7" / "0").unlink()
    with pytest.raises(IntegrityError, match="missing values/c/7/0"):
        _read_all(_stream(bare.source))


def test_batches_that_are_planned_together_may_share_an_object(bare: Served) -> None:
    stream = _stream(bare.source, "exact", batch_size=1)
    assert stream._open().program.group > 1
    _read_all(stream)


def test_a_lost_object_is_named_whoever_serves_it(served: Served) -> None:
    served.fails("lost", times=FOREVER)
    with pytest.raises(IntegrityError, match=r"missing values/c/./0"):
        _read_all(_stream(served.source))


def test_another_object_in_its_place_is_found_by_its_length(bare: Served) -> None:
    (bare.folder / "values" / "c" / "7" / "0").write_bytes(b"an older object")
    with pytest.raises(IntegrityError, match=r"bad values/c/7/0.*15 bytes instead of 256"):
        _read_all(_stream(bare.source))


def test_a_flipped_byte_without_any_checksum_is_only_found_with_verify(bare: Served) -> None:
    bare.fails("flip", times=FOREVER)
    stream = _stream(bare.source)
    differing = sum(
        int((batch["values"] != torch.from_numpy(VALUES[batch["entry"]])).sum())
        for batch in stream
    )
    stream.close()
    assert differing == ENTRIES // 2  # one number of each chunk of two entries


def test_verify_finds_it_and_names_the_object(bare: Served) -> None:
    bare.fails("flip", times=FOREVER)
    with pytest.raises(IntegrityError, match=r"bad values/c/\d+/0: expected sha256:"):
        _read_all(_stream(replace(bare.source, verify=True)))


# Broken shards: the last 8 numbers of the index and its crc32c are the last 68 bytes.


def _local(tmp_path: Path, *, crc: bool = True) -> tuple[Path, Source]:
    folder = _write(tmp_path, CHECKED)
    source = streams.source_of(
        streams.asset_of(folder, consolidated=False), SAMPLES, dimension="entry", ids=IDS
    )
    return folder / "values" / "c" / "3" / "0", source


def test_a_flipped_byte_in_the_index_of_a_shard_is_found(tmp_path: Path) -> None:
    shard, source = _local(tmp_path)
    data = bytearray(shard.read_bytes())
    data[-30] ^= 1
    shard.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"bad values/c/3/0.*its crc32c differs"):
        _read_all(_stream(source))


@pytest.mark.parametrize("offset", [10_000, 2**63, 2**64 - 2])
def test_an_index_that_points_out_of_its_shard_is_found(tmp_path: Path, offset: int) -> None:
    import google_crc32c

    shard, source = _local(tmp_path)
    data = bytearray(shard.read_bytes())
    data[-68:-60] = offset.to_bytes(8, "little")
    data[-4:] = google_crc32c.value(bytes(data[-68:-4])).to_bytes(4, "little")
    shard.write_bytes(data)
    with pytest.raises(IntegrityError, match="values/c/3/0"):
        _read_all(_stream(source))


@pytest.mark.parametrize("kept", [0, 30, 100])
def test_a_shard_that_is_cut_short_is_found(tmp_path: Path, kept: int) -> None:
    shard, source = _local(tmp_path)
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(IntegrityError, match="values/c/3/0"):
        _read_all(_stream(source))


def test_a_chunk_that_would_unpack_to_more_than_it_may_is_refused(tmp_path: Path) -> None:
    import numcodecs.zstd

    folder = _write(tmp_path, {"compressors": [ZstdCodec(level=1)]}, sharded=False)
    bomb = numcodecs.zstd.compress(bytes(2**26), 1)
    (folder / "values" / "c" / "3" / "0").write_bytes(bomb)
    asset = streams.asset_of(folder, consolidated=False)
    source = streams.source_of(asset, SAMPLES, dimension="entry", ids=IDS)
    with pytest.raises(IntegrityError, match="67108864 bytes instead of 256"):
        _read_all(_stream(source))


def test_a_folder_that_is_removed_is_an_error(tmp_path: Path) -> None:
    shard, source = _local(tmp_path)
    stream = _stream(source)
    shutil.rmtree(shard.parents[1])
    with pytest.raises(IntegrityError, match="missing values"):
        _read_all(stream)


# What users write


class NoGoodError(Exception):
    """A transform's own error."""


def test_the_error_of_a_transform_reaches_the_loop_as_it_is_and_names_the_sample(
    tmp_path: Path,
) -> None:
    def refuse(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if int(sample["entry"]) == 17:
            raise NoGoodError("17")
        return sample

    _, source = _local(tmp_path)
    stream = _stream(replace(source, transform=refuse))
    with pytest.raises(NoGoodError, match="17") as caught:
        list(stream)
    stream.close()
    assert caught.value.__notes__ == [
        f"in the transform of the sample at entry 17 of {source.where}"
    ]


def test_the_state_after_an_error_of_a_transform_begins_at_the_batch_that_failed(
    tmp_path: Path,
) -> None:
    broken = True

    def refuse(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if broken and int(sample["entry"]) == 17:
            raise NoGoodError("17")
        return sample

    _, source = _local(tmp_path)
    stream, seen = _stream(replace(source, transform=refuse)), []
    with pytest.raises(NoGoodError):  # noqa: PT012  # batches before it come first
        for batch in stream:
            seen += _check(batch)
    broken = False
    stream.load_state_dict(stream.state_dict())
    seen += [entry for batch in stream for entry in _check(batch)]
    stream.close()
    assert sorted(seen) == list(range(ENTRIES))
