"""Chunks that stay in memory until a later batch of an exact shuffle needs them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from scidata.loaders import engine
from scidata.loaders.layout import Layout
from scidata.loaders.order import Order
from scidata.loaders.program import prepare
from scidata.loaders.requests import Read, Wanted
from scidata.loaders.retained import Plan, Retained
from scidata.loaders.source import Source
from scidata.loaders.stream import Stream
from scidata.record import Samples
from tests.streams import asset_of, small_tiles, source_of

ROWS, WIDTH, CHUNK = 410, 6, 16
CHUNK_BYTES = CHUNK * WIDTH * 4
VALUES = np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)
ORDER = Order(batch_size=4, shuffle="exact", seed=5)
MEMORY = 12 * CHUNK_BYTES
"""Of which batches and what is under way leave some six of the 26 chunks."""


@pytest.fixture(autouse=True, scope="module")
def tiled() -> Iterator[None]:
    with small_tiles():
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("retained") / "rows.zarr"
    array = zarr.create_group(folder, zarr_format=3).create_array(
        "values",
        shape=VALUES.shape,
        dtype="f4",
        chunks=(CHUNK, WIDTH),
        shards=(4 * CHUNK, WIDTH),
        dimension_names=("row", "column"),
    )
    array[:] = VALUES
    samples = Samples(asset="rows", each=("row",), inputs=("values",))
    asset = asset_of(folder, consolidated=False)
    return source_of(asset, samples, dimension="row", ids=tuple(sorted(map(str, range(ROWS)))))


@pytest.fixture(scope="module")
def layout(source: Source) -> Layout:
    return prepare(source, ORDER, MEMORY).program.tiled[0].layout


def rows(stream: Stream, batches: int | None = None) -> list[int]:
    """Return the rows of an epoch, or of its beginning, each compared with what was written."""
    seen: list[int] = []
    for number, batch in enumerate(stream):
        if number == batches:
            break
        assert np.array_equal(batch["values"], VALUES[batch["row"]])
        seen += batch["row"].tolist()
    return seen


def test_what_stays_in_memory_is_not_fetched_again_and_changes_no_batch(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = Stream(source, ORDER, memory=MEMORY)
    found = rows(keeping), keeping.meter.fetched
    keeping.close()
    monkeypatch.setattr(engine, "Retained", lambda _: Retained(0))
    other = Stream(source, ORDER, memory=MEMORY)
    assert found[0] == rows(other)
    assert sorted(found[0]) == list(range(ROWS))
    assert found[1] < 0.8 * other.meter.fetched
    other.close()


def test_an_iteration_that_is_left_does_not_write_into_the_next_one(source: Source) -> None:
    stream = Stream(source, ORDER, memory=MEMORY)
    for batches in (3, 40, None, None):
        stream.set_epoch(1)
        seen = rows(stream, batches)
    assert sorted(seen) == list(range(ROWS))
    stream.close()


@given(data=st.data(), chunks=st.integers(0, 8), ahead=st.integers(1, 4))
def test_every_plan_gets_its_numbers_in_little_memory_however_late_they_come(
    layout: Layout, data: st.DataObject, chunks: int, ahead: int
) -> None:
    starts = st.lists(st.integers(0, ROWS - 3), min_size=1, max_size=6)
    planned = data.draw(st.lists(starts, max_size=25))
    retained = Retained(chunks * CHUNK_BYTES)
    begun: list[tuple[Plan, Read]] = []
    outs: list[npt.NDArray[np.float32]] = []
    coming: dict[int, list[Wanted]] = {}

    def end() -> None:
        plan, read = begun.pop(0)
        for part in coming.pop(plan.number):
            low = part.place[0] * CHUNK
            for held, row in part.parts:
                out, at = held[row]
                out[...] = VALUES[low : low + CHUNK][at]
        retained.done(plan)
        expected = [VALUES[start : start + 3] for start in read.starts[:, 0].tolist()]
        assert np.array_equal(outs[plan.number], expected)

    known = []
    for at in planned:
        corners = np.array([[start, 0] for start in at], np.int64)
        read = Read(layout, corners, (3, WIDTH))
        known.append((retained.plan([read]), read))
    for plan, read in known:
        outs.append(np.full((len(read.starts), 3, WIDTH), -1, np.float32))
        read.out = outs[-1]
        coming[plan.number] = retained.begin(plan)
        begun.append((plan, read))
        assert retained._left >= 0
        if len(begun) == ahead:
            end()
    while begun:
        end()
    assert not retained._kept  # nobody needs anything any more
