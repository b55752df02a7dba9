"""Streams: windows as they lie in the published array, in an order nothing disturbs."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import obstore.store
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from scidata.errors import IntegrityError, InvalidError, NotFoundError
from scidata.loaders.plan import Order
from scidata.loaders.samples import SampleSpec, read_block, select
from scidata.loaders.stream import Batch, Source, Stream
from tests import windows

LOCATIONS, TIMES, WINDOW = 21, 40, 6
# So little that the data fall into several blocks, and a chunk into several tiles.
SCARCE = 60_000

SPEC = SampleSpec(
    series="location",
    along="time",
    window=WINDOW,
    inputs=(*windows.QUANTITIES, "magnitude_back"),
    targets=("magnitude_ahead",),
    constants=("fault_label",),
)


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    return windows.arrays(LOCATIONS, TIMES)


@pytest.fixture(scope="module")
def source(data: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("zarr") / "fortnights.zarr"
    windows.write_zarr(data, folder)
    return Source(
        name="quakes@1.0.0",
        digest="sha256:" + "0" * 64,
        asset="fortnights",
        split="time/train",
        objects=obstore.store.LocalStore(folder),
        manifest=windows.manifest_of(folder),
        consolidated=True,
        spec=SPEC,
        dimension="time",
        ids=_dates(data)[WINDOW - 1 :],
    )


def _dates(data: xr.Dataset) -> tuple[str, ...]:
    return tuple(data["time"].values.astype("datetime64[D]").astype(str))


def _keys(batches: Iterable[Batch]) -> list[tuple[int, int]]:
    return [
        (int(place), int(time))
        for batch in batches
        for place, time in zip(batch["location"], batch["time"], strict=True)
    ]


def _windows(count: int = TIMES) -> set[tuple[int, int]]:
    return {(place, time) for place in range(LOCATIONS) for time in range(WINDOW - 1, count)}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("memory", [SCARCE, 2**28])
def test_every_window_equals_slicing_the_array(
    source: Source, data: xr.Dataset, memory: int, *, shuffle: bool
) -> None:
    seen = 0
    for batch in Stream(source, Order(batch_size=37, shuffle=shuffle), memory=memory):
        for row, (place, time) in enumerate(
            zip(batch["location"].tolist(), batch["time"].tolist(), strict=True)
        ):
            cut = data.isel(location=place, time=slice(time - WINDOW + 1, time + 1))
            for name in SPEC.inputs:
                assert np.array_equal(batch[name][row], cut[name], equal_nan=True)
            last = cut["magnitude_ahead"][-1]
            assert np.array_equal(batch["magnitude_ahead"][row], last, equal_nan=True)
            assert np.array_equal(batch["fault_label"][row], cut["fault_label"])
            seen += 1
    assert seen == len(_windows())


def test_tensors_have_the_declared_shapes_and_types(source: Source) -> None:
    batch = next(iter(Stream(source, Order(batch_size=5))))
    assert {name: tuple(t.shape) for name, t in batch.items()} == {
        **dict.fromkeys(windows.QUANTITIES, (5, WINDOW)),
        "magnitude_back": (5, WINDOW, 5),
        "magnitude_ahead": (5, 10),
        "fault_label": (5, 4),
        "location": (5,),
        "time": (5,),
    }
    whole = {name for name, t in batch.items() if t.dtype == torch.int64}
    assert whole == {"fault_label", "location", "time"}
    assert {t.dtype for n, t in batch.items() if n not in whole} == {torch.float32}


def test_what_was_not_observed_stays_nan(source: Source) -> None:
    batches = list(Stream(source, Order(batch_size=1000)))
    last = torch.cat([b["time"] for b in batches]) == TIMES - 1
    ahead = torch.cat([b["magnitude_ahead"] for b in batches])
    assert ahead[last].isnan().all()
    assert not ahead[~last].isnan().any()


@settings(max_examples=12, deadline=None)
@given(
    world_size=st.integers(1, 7),
    batch_size=st.integers(10, 200),
    seed=st.integers(0, 2**40),
    shuffle=st.booleans(),
    memory=st.sampled_from([SCARCE, 2 * SCARCE, 2**28]),
)
def test_ranks_together_see_every_window_once(
    source: Source, world_size: int, batch_size: int, seed: int, memory: int, *, shuffle: bool
) -> None:
    orders = [
        Order(
            batch_size=batch_size, shuffle=shuffle, seed=seed, rank=rank, world_size=world_size
        )
        for rank in range(world_size)
    ]
    seen = [key for order in orders for key in _keys(Stream(source, order, memory=memory))]
    assert len(seen) == len(set(seen))
    assert set(seen) == _windows()


@settings(max_examples=12, deadline=None)
@given(
    batch_size=st.integers(10, 200),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 50),
    taken=st.integers(0, 60),
    memory=st.sampled_from([SCARCE, 2**28]),
)
def test_resuming_equals_no_interruption(
    source: Source, *, batch_size: int, seed: int, epoch: int, taken: int, memory: int
) -> None:
    order = Order(batch_size=batch_size, shuffle=True, seed=seed, epoch=epoch)
    whole = _keys(Stream(source, order, memory=memory))
    interrupted = Stream(source, order, memory=memory)
    taken = min(taken, len(interrupted))
    batches = iter(interrupted)
    first = _keys(next(batches) for _ in range(taken))
    continued = Stream(source, replace(order, epoch=0), memory=memory)
    continued.load_state_dict(interrupted.state_dict())
    assert first + _keys(continued) == whole


def test_a_new_iteration_begins_anew_even_if_the_last_one_was_left(source: Source) -> None:
    stream = Stream(source, Order(batch_size=64, shuffle=True))
    peeked = next(iter(stream))
    assert _keys(stream)[:64] == _keys([peeked])


def test_a_state_taken_after_an_epoch_leaves_nothing_of_it(source: Source) -> None:
    stream = Stream(source, Order(batch_size=64))
    whole = _keys(stream)
    again = Stream(source, Order(batch_size=64))
    again.load_state_dict(stream.state_dict())
    assert _keys(again) == []
    again.set_epoch(1)
    assert _keys(again) == whole


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_continue_where_a_state_says(source: Source) -> None:
    stream = Stream(source, Order(batch_size=50, shuffle=True), memory=SCARCE)
    whole = _keys(stream)
    stream.load_state_dict({**stream.state_dict(), "batch": 3})
    loader: DataLoader[Batch] = DataLoader(
        stream, batch_size=None, num_workers=2, multiprocessing_context="fork"
    )
    assert _keys(loader) == whole[150:]


def test_the_order_depends_on_seed_and_epoch_only(source: Source) -> None:
    order = Order(batch_size=64, shuffle=True, seed=3)
    first = _keys(Stream(source, order))
    again = Stream(source, order)
    assert _keys(again) == first
    again.set_epoch(1)
    second = _keys(again)
    assert second != first
    assert set(second) == set(first)
    again.set_epoch(0)
    assert _keys(again) == first
    assert _keys(Stream(source, replace(order, seed=4))) != first


# A machine with one core is told that two workers are many.
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(
    ("workers", "context"), [(0, None), (1, "fork"), (2, "fork"), (2, "spawn")]
)
def test_workers_change_neither_the_samples_nor_their_order(
    source: Source, workers: int, context: str | None
) -> None:
    stream = Stream(source, Order(batch_size=100, shuffle=True), memory=SCARCE)
    alone = _keys(stream)
    loader: DataLoader[Batch] = DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=context,
    )
    assert _keys(loader) == alone
    assert len(loader) == len(stream)


def test_a_state_of_another_stream_is_refused_and_named(source: Source) -> None:
    state = Stream(source, Order(batch_size=8, shuffle=True, seed=1)).state_dict()
    other = Stream(source, Order(batch_size=9, shuffle=True, seed=2))
    with pytest.raises(InvalidError, match="batch_size, seed"):
        other.load_state_dict(state)


def test_a_split_along_locations_takes_all_times_of_each(
    source: Source, data: xr.Dataset
) -> None:
    # Split files spell pixel numbers with leading zeros.
    ids = tuple(f"{int(data['location'][i]):04d}" for i in (2, 3, 17))
    stream = Stream(replace(source, dimension="location", ids=ids), Order(batch_size=50))
    assert set(_keys(stream)) == {k for k in _windows() if k[0] in {2, 3, 17}}


def test_a_stride_takes_every_so_many_th_time(source: Source) -> None:
    stream = Stream(replace(source, stride=7), Order(batch_size=50))
    assert {time for _, time in _keys(stream)} == set(range(WINDOW - 1, TIMES, 7))


def test_an_id_that_the_asset_lacks_is_named(source: Source) -> None:
    with pytest.raises(NotFoundError, match="'2050-01-01'"):
        Stream(replace(source, ids=("2050-01-01",)), Order(batch_size=1))


def test_an_id_is_named_as_the_split_spells_it(source: Source) -> None:
    with pytest.raises(NotFoundError, match="'0001'"):
        Stream(replace(source, dimension="location", ids=("0001",)), Order(batch_size=1))


def test_two_ids_of_one_series_are_refused(source: Source) -> None:
    twice = replace(source, dimension="location", ids=("007", "7"))
    with pytest.raises(InvalidError, match="'007' and '7'"):
        Stream(twice, Order(batch_size=1))


def test_hours_of_one_day_stay_apart(data: xr.Dataset) -> None:
    hours = np.datetime64("2020-01-01", "ns") + np.arange(TIMES) * np.timedelta64(1, "h")
    hourly = data.assign_coords(time=hours)
    chosen = select(hourly, SPEC, "time", ["2020-01-01T07:00", "2020-01-01T09:00Z"], stride=1)
    assert chosen.ends.tolist() == [7, 9]


def test_labels_that_occur_twice_are_refused(data: xr.Dataset) -> None:
    repeated = data.assign_coords(time=data["time"].values[[0, *range(TIMES - 1)]])
    with pytest.raises(InvalidError, match="occur twice"):
        select(repeated, SPEC, "time", [str(data["time"].values[9])[:10]], stride=1)


def test_a_series_has_no_sample_where_its_nearest_target_is_missing(source: Source) -> None:
    places = replace(source, dimension="location", ids=("7",), spec=replace(SPEC, lead=1))
    ends = {time for _, time in _keys(Stream(places, Order(batch_size=50)))}
    assert ends == set(range(WINDOW - 1, TIMES - 1))


def test_a_time_whose_nearest_target_is_missing_is_refused(source: Source) -> None:
    with pytest.raises(InvalidError, match="1 samples end less than 1 steps before the last"):
        Stream(replace(source, spec=replace(SPEC, lead=1)), Order(batch_size=1))


def test_a_time_without_a_full_window_is_refused(source: Source, data: xr.Dataset) -> None:
    early = _dates(data)[:3]
    with pytest.raises(InvalidError, match="3 samples end before a full window of 6"):
        Stream(replace(source, ids=early), Order(batch_size=1))


def test_samples_that_do_not_fit_the_asset_are_refused(source: Source) -> None:
    spec = replace(SPEC, inputs=("magnitude", "latitude"), constants=("magnitude_ahead",))
    with pytest.raises(InvalidError, match="'latitude' is absent"):
        Stream(replace(source, spec=spec), Order(batch_size=1))


def test_a_lost_chunk_is_an_error_and_not_fill_values(source: Source, tmp_path: Path) -> None:
    folder = tmp_path / "copy.zarr"
    shutil.copytree(str(source.objects.prefix), folder)  # type: ignore[union-attr]  # local
    damaged = replace(source, objects=obstore.store.LocalStore(folder))
    (folder / "depth" / "c" / "1" / "0").unlink()
    with pytest.raises(IntegrityError, match="missing depth/c/1/0"):
        list(Stream(damaged, Order(batch_size=100)))


def test_metadata_that_differ_from_the_manifest_are_refused(
    source: Source, tmp_path: Path
) -> None:
    folder = tmp_path / "copy.zarr"
    shutil.copytree(str(source.objects.prefix), folder)  # type: ignore[union-attr]  # local
    file = folder / "zarr.json"
    file.write_bytes(file.read_bytes().replace(b'"fill_value": "NaN"', b'"fill_value": 0.0'))
    damaged = replace(source, objects=obstore.store.LocalStore(folder))
    with pytest.raises(IntegrityError, match=r"bad zarr\.json"):
        Stream(damaged, Order(batch_size=100))


def test_memory_bounds_the_block(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def measured(*arguments: Any) -> Any:  # Any: passed through
        block = read_block(*arguments)
        held.append(sum(t.nbytes for t in block.moving.values()))
        return block

    monkeypatch.setattr("scidata.loaders.stream.read_block", measured)
    list(Stream(source, Order(batch_size=100, shuffle=True), memory=SCARCE))
    assert len(held) > 2
    assert max(held) <= SCARCE
