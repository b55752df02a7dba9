"""Laws of streams: what comes is what xarray reads, once each, whatever is stored and how."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scidata.loaders.engine import Batch
from scidata.loaders.order import SHUFFLES, Order
from scidata.loaders.program import prepare
from scidata.loaders.source import Source
from scidata.loaders.stream import Stream
from scidata.record import Samples
from scidata.record.contents import Window
from tests import streams, zarrs

pytestmark = pytest.mark.filterwarnings(
    # Zarr warns of what it writes here on purpose.
    "ignore:.*:zarr.errors.ZarrUserWarning",
    "ignore:Numcodecs codecs are not in the Zarr version 3 specification",
)


@pytest.fixture(scope="module", autouse=True)
def small_tiles() -> Iterator[None]:
    with streams.small_tiles():
        yield


@dataclass(frozen=True)
class Case:
    """Arrays, what a sample of them is, and which samples are asked for."""

    arrays: list[zarrs.Written]
    zarr_format: int
    samples: Samples
    dimension: str
    ids: tuple[int, ...]

    @property
    def dimensions(self) -> tuple[str, ...]:
        return (*self.samples.each, *(window.dimension for window in self.samples.windows))

    def places(self) -> set[tuple[int, ...]]:
        """Where samples stand, if not at random."""
        sizes, along = zarrs.sizes_of(self.arrays), []
        for name in self.dimensions:
            window = next((w for w in self.samples.windows if w.dimension == name), None)
            first = window.size - 1 if window else 0
            ends: Any = self.ids if name == self.dimension else range(first, sizes[name])
            along.append([*ends][:: window.stride if window else 1])
        return set(product(*along))


@st.composite
def cases(draw: st.DrawFn, *, zarr_format: int, crops: bool = False) -> Case:
    each = tuple(f"e{n}" for n in range(draw(st.integers(1, 2))))
    along = tuple(f"w{n}" for n in range(draw(st.integers(int(crops), 3))))
    sizes = {name: draw(st.integers(1, 6)) for name in (*each, *along, "whole")}
    windows = tuple(
        Window(
            dimension=name,
            size=draw(st.integers(1, sizes[name])),
            stride=1 if crops else draw(st.integers(1, 3)),
        )
        for name in along
    )
    # The first array has every dimension that samples stand along, so that all have a length.
    names = [(*each, *along, *draw(st.sampled_from([(), ("whole",)])))]
    for _ in range(draw(st.integers(0, 2))):
        others = draw(st.sets(st.sampled_from([*each[1:], *along, "whole"])))
        names.append((each[0], *sorted(others)))
    arrays = []
    for n, dims in enumerate(names):
        moved = tuple(draw(st.permutations(dims)))
        shape = tuple(sizes[d] for d in moved)
        arrays.append(draw(zarrs.arrays(f"v{n}", moved, shape, zarr_format)))
    targets = draw(st.integers(0, len(arrays) - 1))
    samples = Samples(
        asset="stored",
        each=each,
        windows=windows,
        crops=draw(st.integers(1, 3)) if crops else None,
        inputs=tuple(a.name for a in arrays[targets:]),
        targets=tuple(a.name for a in arrays[:targets]),
        targets_at=draw(st.sampled_from(["window", "last"])),
    )
    dimension = draw(st.sampled_from(each if crops else (*each, *along)))
    first = next((w.size - 1 for w in windows if w.dimension == dimension), 0)
    ids = draw(st.sets(st.integers(first, sizes[dimension] - 1), min_size=1))
    return Case(arrays, zarr_format, samples, dimension, tuple(sorted(ids)))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    return Order(
        batch_size=draw(st.integers(1, 30)),
        shuffle=draw(st.sampled_from(SHUFFLES)),
        seed=draw(st.integers(0, 2**40)),
        epoch=draw(st.integers(0, 5)),
    )


def _source(case: Case, folder: Path) -> Source:
    zarrs.write(folder, case.arrays, zarr_format=case.zarr_format)
    ids = tuple(sorted(map(str, case.ids)))
    asset = streams.asset_of(folder, consolidated=False)
    return streams.source_of(asset, case.samples, dimension=case.dimension, ids=ids)


def _read(folder: Path) -> xr.Dataset:
    # Any: what chunks=None returns is not in xarray's stubs.
    opened: Any = xr.open_zarr(folder, chunks=None, consolidated=False, decode_timedelta=False)
    held: xr.Dataset = opened.load()
    return held


def _expected(
    array: xr.DataArray, samples: Samples, place: Mapping[str, int]
) -> npt.NDArray[Any]:
    """Slice what xarray reads as a sample does."""
    last = str(array.name) in samples.targets and samples.targets_at == "last"
    box: dict[str, int | slice] = {d: place[d] for d in samples.each if d in array.dims}
    for window in samples.windows:
        if window.dimension in array.dims:
            end = place[window.dimension]
            box[window.dimension] = end if last else slice(end - window.size + 1, end + 1)
    return np.asarray(array.isel(box).values)


def _check(batch: Batch, held: xr.Dataset, case: Case) -> None:
    for row in range(len(batch[case.dimensions[0]])):
        place = {name: int(batch[name][row]) for name in case.dimensions}
        for name in (*case.samples.inputs, *case.samples.targets):
            found = batch[name][row].numpy()
            expected = _expected(held[name], case.samples, place).astype(found.dtype)
            # Xarray scales small numbers in 32 bits, so the last bit may differ.
            rtol = 1e-5 if "add_offset" in held[name].encoding else 2e-7
            scaled = {"scale_factor", "add_offset"} & held[name].encoding.keys()
            np.testing.assert_allclose(found, expected, rtol=rtol if scaled else 0, atol=0)


def _streamed(case: Case, order: Order, *, memory: int) -> list[tuple[int, ...]]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "stored.zarr"
        stream = Stream(_source(case, folder), order, memory=memory, threads=2)
        held, seen = _read(folder), []
        for batch in stream:
            _check(batch, held, case)
            seen += streams.keys([batch], *case.dimensions)
        stream.close()
    return seen


examples = settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@examples
@given(cases(zarr_format=3), orders())
def test_samples_of_any_zarr_v3_store_equal_what_xarray_reads(case: Case, order: Order) -> None:
    seen = _streamed(case, order, memory=2**24)
    assert len(seen) == len(set(seen))
    assert set(seen) == case.places()


@examples
@given(cases(zarr_format=2), orders())
def test_samples_of_any_zarr_v2_store_equal_what_xarray_reads(case: Case, order: Order) -> None:
    seen = _streamed(case, order, memory=2**24)
    assert len(seen) == len(set(seen))
    assert set(seen) == case.places()


@examples
@given(cases(zarr_format=3, crops=True), orders())
def test_crops_stand_anywhere_and_are_the_same_however_they_are_read(
    case: Case, order: Order
) -> None:
    seen = _streamed(case, order, memory=2**24)
    stored = _streamed(case, replace(order, shuffle="none", batch_size=7), memory=2**24)
    assert sorted(seen) == sorted(stored)
    sizes, each = zarrs.sizes_of(case.arrays), len(case.samples.each)
    entries = [
        [*case.ids] if name == case.dimension else [*range(sizes[name])]
        for name in case.samples.each
    ]
    assert Counter(place[:each] for place in seen) == dict.fromkeys(
        product(*entries), case.samples.crops
    )


@examples
@given(cases(zarr_format=3), orders(), st.data())
def test_a_stream_continues_on_other_ranks_with_exactly_what_was_not_seen(
    case: Case, order: Order, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source = _source(case, Path(scratch) / "stored.zarr")
        seen: list[tuple[int, ...]] = []
        state = None
        for world in [*data.draw(st.lists(st.integers(1, 4), max_size=2)), 3]:
            most = data.draw(st.integers(0, 4))
            states = []
            for rank in range(world):
                mine = replace(order, rank=rank, world_size=world)
                stream = Stream(source, mine, memory=2**24, threads=1)
                if state is not None:
                    stream.load_state_dict(state)
                seen += streams.keys(islice(stream, most), *case.dimensions)
                states.append(stream.state_dict())
                stream.close()
            # Every rank got as many batches, or all that it has.
            state = max(states, key=lambda s: s["batch"])
        last = Stream(source, order, memory=2**24, threads=1)
        last.load_state_dict(state or last.state_dict())
        seen += streams.keys(last, *case.dimensions)
        last.close()
    assert sorted(seen) == sorted(case.places())


def test_an_index_at_the_start_of_a_shard_is_read_too(tmp_path: Path) -> None:
    values = np.arange(60, dtype=np.int32).reshape(10, 6)
    folder = zarrs.sharded_with_its_index_at_the_start(tmp_path / "stored.zarr", values)
    samples = Samples(asset="stored", each=("d0",), inputs=("values",))
    asset = streams.asset_of(folder, consolidated=False)
    source = streams.source_of(asset, samples, dimension="d0", ids=("1", "2", "7", "9"))
    (batch,) = Stream(source, Order(batch_size=9))
    assert np.array_equal(batch["values"], values[[1, 2, 7, 9]])


@given(
    chunk=st.integers(1, 7),
    shard=st.integers(1, 3),
    reach=st.integers(1, 9),
    seed=st.integers(0, 99),
)
@settings(max_examples=20)
def test_the_shuffle_of_a_window_never_mixes_more_tiles_than_fit(
    chunk: int, shard: int, reach: int, seed: int
) -> None:
    values = np.arange(84, dtype=np.int64)
    array = zarrs.Written(
        name="v", dims=("e",), values=values, chunks=(chunk,), shards=(chunk * shard,), fill=-1
    )
    samples = Samples(asset="stored", each=("e",), inputs=("v",))
    case = Case([array], 3, samples, "e", tuple(range(84)))
    with tempfile.TemporaryDirectory() as scratch:
        source = _source(case, Path(scratch) / "stored.zarr")
        order = Order(batch_size=4, shuffle="window", seed=seed)
        memory = 4 * 8 * 5 + (reach + 1) * 8 * 40
        program = prepare(source, order, memory).program
        stream = Stream(source, order, memory=memory)
        taken = [int(n) for batch in stream for n in batch["v"]]
        stream.close()
    assert sorted(taken) == values.tolist()
    # The next tile begins when the first of those that are mixed is used up.
    tile_of = np.repeat(np.arange(len(program.tiling.counts)), program.tiling.counts)
    left = Counter(tile_of.tolist())
    begun: set[int] = set()
    for sample in taken:
        begun.add(int(tile_of[sample]))
        alive = [tile for tile in begun if left[tile]]
        assert len(alive) <= program.reach
        left[int(tile_of[sample])] -= 1
