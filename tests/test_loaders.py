"""Streams: windows as they lie in the published array, in an order nothing disturbs."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import obstore.store
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from scidata.errors import IntegrityError, InvalidError, NotFoundError
from scidata.loaders.engine import QUEUED, Batch
from scidata.loaders.layout import Labels
from scidata.loaders.order import SHUFFLES, Order, Shuffle
from scidata.loaders.program import prepare
from scidata.loaders.samples import lengths, select
from scidata.loaders.source import Source
from scidata.loaders.stream import Stream
from scidata.record import Samples
from scidata.record.contents import Window
from tests import streams, windows

LOCATIONS, TIMES, WINDOW = 21, 40, 6
# So little that not all tiles are held at once.
SCARCE = 110_000
PLENTY = 2**28

SAMPLES = Samples(
    asset="fortnights",
    each=("location",),
    windows=(Window(dimension="time", size=WINDOW),),
    inputs=(*windows.QUANTITIES, "magnitude_back", "fault_label"),
    targets=("magnitude_ahead",),
    targets_at="last",
)
LED = SAMPLES.model_copy(update={"lead": 1})


@pytest.fixture(scope="module", autouse=True)
def small_tiles() -> Iterator[None]:
    with streams.small_tiles():
        yield


@pytest.fixture(scope="module")
def data() -> xr.Dataset:
    return windows.arrays(LOCATIONS, TIMES)


@pytest.fixture(scope="module")
def source(data: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("zarr") / "fortnights.zarr"
    windows.write_zarr(data, folder)
    ids = _dates(data)[WINDOW - 1 :]
    return streams.source_of(streams.asset_of(folder), SAMPLES, dimension="time", ids=ids)


@pytest.fixture
def copy(source: Source, tmp_path: Path) -> Source:
    """A source that a test may damage."""
    folder = tmp_path / "fortnights.zarr"
    shutil.copytree(_folder(source), folder)
    objects = obstore.store.LocalStore(folder)
    return replace(source, asset=replace(source.asset, objects=objects))


def _folder(source: Source) -> Path:
    assert isinstance(source.asset.objects, obstore.store.LocalStore)
    return Path(str(source.asset.objects.prefix))


def _dates(data: xr.Dataset) -> tuple[str, ...]:
    return tuple(data["time"].values.astype("datetime64[D]").astype(str))


def _keys(batches: Iterable[Batch]) -> list[tuple[int, ...]]:
    return streams.keys(batches, "location", "time")


def _windows(count: int = TIMES) -> set[tuple[int, ...]]:
    return {(place, time) for place in range(LOCATIONS) for time in range(WINDOW - 1, count)}


@pytest.mark.parametrize("shuffle", ["none", "window", "exact"])
@pytest.mark.parametrize("memory", [SCARCE, PLENTY])
def test_every_window_equals_slicing_the_array(
    source: Source, data: xr.Dataset, memory: int, shuffle: Shuffle
) -> None:
    seen = 0
    for batch in Stream(source, Order(batch_size=37, shuffle=shuffle), memory=memory):
        for row, (place, time) in enumerate(
            zip(batch["location"].tolist(), batch["time"].tolist(), strict=True)
        ):
            cut = data.isel(location=place, time=slice(time - WINDOW + 1, time + 1))
            for name in (*windows.QUANTITIES, "magnitude_back"):
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
    batches = list(Stream(source, Order(batch_size=350)))
    last = torch.cat([b["time"] for b in batches]) == TIMES - 1
    ahead = torch.cat([b["magnitude_ahead"] for b in batches])
    assert ahead[last].isnan().all()
    assert not ahead[~last].isnan().any()


@settings(max_examples=12)
@given(
    world_size=st.integers(1, 7),
    batch_size=st.integers(10, 40),
    seed=st.integers(0, 2**40),
    shuffle=st.sampled_from(SHUFFLES),
    memory=st.sampled_from([SCARCE, 2 * SCARCE, PLENTY]),
)
def test_ranks_together_see_every_window_once(
    source: Source,
    *,
    world_size: int,
    batch_size: int,
    seed: int,
    memory: int,
    shuffle: Shuffle,
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


@settings(max_examples=12)
@given(
    batch_size=st.integers(10, 40),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 50),
    taken=st.integers(0, 60),
    shuffle=st.sampled_from(SHUFFLES),
    memory=st.sampled_from([SCARCE, PLENTY]),
)
def test_resuming_equals_no_interruption(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    taken: int,
    memory: int,
    shuffle: Shuffle,
) -> None:
    order = Order(batch_size=batch_size, shuffle=shuffle, seed=seed, epoch=epoch)
    whole = _keys(Stream(source, order, memory=memory))
    interrupted = Stream(source, order, memory=memory)
    taken = min(taken, len(interrupted))
    batches = iter(interrupted)
    first = _keys(next(batches) for _ in range(taken))
    continued = Stream(source, replace(order, epoch=0), memory=memory)
    continued.load_state_dict(interrupted.state_dict())
    assert first + _keys(continued) == whole


def test_a_new_iteration_begins_anew_even_if_the_last_one_was_left(source: Source) -> None:
    stream = Stream(source, Order(batch_size=64, shuffle="window"))
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
    stream = Stream(source, Order(batch_size=40, shuffle="window"), memory=SCARCE)
    whole = _keys(stream)
    stream.load_state_dict({**stream.state_dict(), "batch": 3})
    loader: DataLoader[Batch] = DataLoader(
        stream, batch_size=None, num_workers=2, multiprocessing_context="fork"
    )
    assert _keys(loader) == whole[120:]


def test_the_order_depends_on_seed_and_epoch_only(source: Source) -> None:
    order = Order(batch_size=64, shuffle="window", seed=3)
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
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_change_neither_the_samples_nor_their_order(
    source: Source, workers: int
) -> None:
    stream = Stream(source, Order(batch_size=35, shuffle="window"), memory=SCARCE)
    alone = _keys(stream)
    loader: DataLoader[Batch] = DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    assert _keys(loader) == alone
    assert len(loader) == len(stream)


def test_half_the_ranks_go_on_with_twice_the_batch_size(source: Source) -> None:
    seen, state = [], {}
    for rank in range(2):
        mine = Order(batch_size=4, shuffle="window", rank=rank, world_size=2)
        stream = Stream(source, mine, memory=SCARCE)
        batches = iter(stream)
        seen += _keys(next(batches) for _ in range(5))
        state = stream.state_dict()
        stream.close()
    alone = Stream(source, Order(batch_size=8, shuffle="window"), memory=SCARCE)
    alone.load_state_dict(state)
    seen += _keys(alone)
    assert sorted(seen) == sorted(_windows())


def test_a_state_of_another_stream_is_refused_and_named(source: Source) -> None:
    state = Stream(source, Order(batch_size=8, shuffle="window", seed=1)).state_dict()
    other = Stream(source, Order(batch_size=8, shuffle="exact", seed=2))
    with pytest.raises(InvalidError, match="shuffle, seed"):
        other.load_state_dict(state)


@pytest.mark.parametrize("broken", [{}, {"batch": None}, {"history": [[1]]}])
def test_a_state_that_is_none_is_refused(source: Source, broken: dict[str, object]) -> None:
    stream = Stream(source, Order(batch_size=8))
    state = {**stream.state_dict(), **broken} if broken else {}
    with pytest.raises(InvalidError, match="the state is another stream's"):
        stream.load_state_dict(state)


def test_a_split_along_locations_takes_all_times_of_each(
    source: Source, data: xr.Dataset
) -> None:
    # Split files spell pixel numbers with leading zeros.
    ids = tuple(f"{int(data['location'][i]):04d}" for i in (2, 3, 17))
    stream = Stream(replace(source, dimension="location", ids=ids), Order(batch_size=40))
    assert set(_keys(stream)) == {k for k in _windows() if k[0] in {2, 3, 17}}


def test_a_stride_takes_every_so_many_th_time(source: Source) -> None:
    strided = Window(dimension="time", size=WINDOW, stride=7)
    samples = SAMPLES.model_copy(update={"windows": (strided,)})
    stream = Stream(replace(source, samples=samples), Order(batch_size=40))
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


def _select(data: xr.Dataset, ids: Iterable[str]) -> list[int]:
    sizes = {str(name): size for name, size in data.sizes.items()}
    labels = Labels("time", data["time"].values)
    _, along = select(sizes, labels, SAMPLES, "time", tuple(ids))
    return [int(last) for last in along.last]


def test_hours_of_one_day_stay_apart(data: xr.Dataset) -> None:
    hours = np.datetime64("2020-01-01", "ns") + np.arange(TIMES) * np.timedelta64(1, "h")
    hourly = data.assign_coords(time=hours)
    assert _select(hourly, ["2020-01-01T07:00", "2020-01-01T09:00Z"]) == [7, 9]


def test_labels_that_occur_twice_are_refused(data: xr.Dataset) -> None:
    repeated = data.assign_coords(time=data["time"].values[[0, *range(TIMES - 1)]])
    with pytest.raises(InvalidError, match="occur twice"):
        _select(repeated, [str(data["time"].values[9])[:10]])


def test_a_series_has_no_sample_where_its_nearest_target_is_missing(source: Source) -> None:
    places = replace(source, dimension="location", ids=("7",), samples=LED)
    ends = {time for _, time in _keys(Stream(places, Order(batch_size=40)))}
    assert ends == set(range(WINDOW - 1, TIMES - 1))


def test_a_time_whose_nearest_target_is_missing_is_refused(source: Source) -> None:
    with pytest.raises(InvalidError, match="1 samples end after the last that has its targets"):
        Stream(replace(source, samples=LED), Order(batch_size=1))


def test_a_time_without_a_full_window_is_refused(source: Source, data: xr.Dataset) -> None:
    early = _dates(data)[:3]
    with pytest.raises(InvalidError, match="3 samples end before a full window of 6"):
        Stream(replace(source, ids=early), Order(batch_size=1))


def test_samples_that_do_not_fit_the_asset_are_refused(source: Source) -> None:
    samples = SAMPLES.model_copy(update={"inputs": ("magnitude", "latitude", "back")})
    with pytest.raises(InvalidError, match=r"'latitude' is absent; 'back' is \('back',\)"):
        Stream(replace(source, samples=samples), Order(batch_size=1))


def test_a_lost_shard_is_an_error_and_not_fill_values(copy: Source) -> None:
    (_folder(copy) / "depth" / "c" / "1" / "0").unlink()
    with pytest.raises(IntegrityError, match="missing depth/c/1/0"):
        list(Stream(copy, Order(batch_size=35)))


def test_metadata_that_differ_from_the_manifest_are_refused(copy: Source) -> None:
    file = _folder(copy) / "zarr.json"
    file.write_bytes(file.read_bytes().replace(b'"fill_value": "NaN"', b'"fill_value": 0.0'))
    with pytest.raises(IntegrityError, match=r"bad zarr\.json"):
        Stream(copy, Order(batch_size=35))


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_memory_bounds_tiles_batches_and_what_is_under_way(
    source: Source, shuffle: Shuffle
) -> None:
    opened = prepare(source, Order(batch_size=35, shuffle=shuffle), SCARCE)
    program = opened.program
    extents = lengths(program.tiling)
    tile = sum(prod(f.extent(extents)) * f.layout.dtype.itemsize for f in program.tiled)
    batch = 35 * sum(f.nbytes for f in program.tiled)
    assert program.slots * tile + batch * (QUEUED + 2) + program.in_flight <= SCARCE
    assert program.reach + program.ahead <= max(program.slots, 1)
    assert shuffle == "exact" or 1 < program.slots < len(program.tiling.counts)


def test_too_little_memory_is_refused_with_how_much_is_enough(source: Source) -> None:
    with pytest.raises(InvalidError, match="memory 60,000 is too little") as caught:
        Stream(source, Order(batch_size=35), memory=60_000)
    enough = int(caught.value.fix.split()[3].replace(",", ""))
    assert len(Stream(source, Order(batch_size=35), memory=enough)) > 0


def test_a_state_taken_with_other_tiles_is_refused(source: Source) -> None:
    state = Stream(source, Order(batch_size=8, shuffle="window"), memory=SCARCE).state_dict()
    other = Stream(source, Order(batch_size=8, shuffle="window"), memory=SCARCE + SCARCE // 8)
    if other.state_dict()["tiles"] == state["tiles"]:
        other.load_state_dict(state)  # the same tiles after all
    else:
        with pytest.raises(InvalidError, match="tiles"):
            other.load_state_dict(state)


def test_after_what_was_left_on_other_ranks_every_epoch_is_whole(source: Source) -> None:
    ranks = [
        Stream(source, Order(batch_size=50, shuffle="window", rank=rank, world_size=2))
        for rank in range(2)
    ]
    batches = [iter(stream) for stream in ranks]
    seen = _keys([next(batch) for batch in batches])
    alone = Stream(source, Order(batch_size=50, shuffle="window"))
    alone.load_state_dict(ranks[0].state_dict())
    assert set(seen) | set(_keys(alone)) == _windows()
    assert set(_keys(alone)) == _windows()


def test_the_epoch_of_a_state_goes_on_when_it_is_chosen_again(source: Source) -> None:
    stream = Stream(source, Order(batch_size=50, shuffle="window", epoch=3))
    whole = _keys(stream)
    batches = iter(stream)
    next(batches)
    again = Stream(source, Order(batch_size=50, shuffle="window"))
    again.load_state_dict(stream.state_dict())
    again.set_epoch(3)
    assert _keys(again) == whole[50:]
    again.set_epoch(3)
    assert _keys(again) == whole
