"""The order of an epoch: laws that hold for any data, seed and number of ranks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidata.errors import InvalidError
from scidata.loaders.plan import (
    IntArray,
    Order,
    Tile,
    batch_count,
    blocks,
    permutation,
    pieces,
    share,
    tiles,
)

counts = st.integers(0, 5000)
orders = st.builds(
    Order,
    batch_size=st.integers(1, 70),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 1000),
    rank=st.just(0),
    world_size=st.integers(1, 9),
)
ascending = st.lists(st.integers(0, 400), unique=True, max_size=40).map(
    lambda numbers: np.array(sorted(numbers), np.int64)
)


def _ranks(order: Order) -> list[Order]:
    return [replace(order, rank=rank) for rank in range(order.world_size)]


@given(counts, orders)
def test_shares_of_all_ranks_are_disjoint_and_complete(total: int, order: Order) -> None:
    positions = [p for o in _ranks(order) for p in range(*share(total, o))]
    assert positions == list(range(total))


@given(counts, orders)
def test_shares_differ_by_one_sample_at_most(total: int, order: Order) -> None:
    sizes = [stop - start for start, stop in (share(total, o) for o in _ranks(order))]
    assert max(sizes) - min(sizes) <= 1


@given(counts, orders)
def test_drop_gives_every_rank_the_same_number_of_full_batches(
    total: int, order: Order
) -> None:
    dropping = [replace(o, last="drop") for o in _ranks(order)]
    sizes = {stop - start for start, stop in (share(total, o) for o in dropping)}
    assert len(sizes) == 1
    assert sizes.pop() % order.batch_size == 0
    assert len({batch_count(total, o) for o in dropping}) == 1


@given(st.lists(st.integers(0, 300), max_size=12), orders)
def test_batches_of_a_rank_go_through_its_share_in_order(
    sizes: list[int], order: Order
) -> None:
    offsets = [0, *np.cumsum(sizes, dtype=int).tolist()]
    for mine in _ranks(order):
        total = sum(sizes)
        seen = [
            offsets[piece.block] + position
            for batch in range(batch_count(total, mine))
            for piece in pieces(offsets, mine, batch)
            for position in range(piece.start, piece.stop)
        ]
        assert seen == list(range(*share(total, mine)))


@given(st.integers(0, 3000), st.integers(0, 2**63 - 1), st.integers(0, 99), st.integers(0, 99))
def test_a_permutation_holds_every_number_once_and_never_changes(
    count: int, seed: int, epoch: int, block: int
) -> None:
    order = permutation(count, seed, epoch, block)
    assert np.array_equal(np.sort(order), np.arange(count))
    assert np.array_equal(order, permutation(count, seed, epoch, block))


def test_the_order_of_seed_0_is_the_one_that_earlier_releases_had() -> None:
    assert permutation(10, 0, 0, 0).tolist() == [0, 1, 9, 4, 2, 3, 6, 8, 7, 5]


def test_seed_epoch_and_block_each_change_the_order() -> None:
    found = {
        tuple(permutation(50, *numbers))
        for numbers in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    }
    assert len(found) == 4


@given(ascending, ascending, st.integers(1, 50), st.integers(1, 30), st.integers(1, 100_000))
def test_tiles_hold_every_window_once_and_cross_no_chunk(
    series: IntArray, ends: IntArray, chunk: int, window: int, budget: int
) -> None:
    found = tiles(series, ends, chunk=chunk, window=window, cell_bytes=20, budget=budget)
    seen = [pair for tile in found for pair in _pairs(tile)]
    assert len(seen) == len(set(seen))
    assert set(seen) == {(s, e) for s in range(len(series)) for e in range(len(ends))}
    for tile in found:
        assert len(set(series[tile.series_start : tile.series_stop] // chunk)) == 1


def _pairs(tile: Tile) -> list[tuple[int, int]]:
    return [
        (s, e)
        for s in range(tile.series_start, tile.series_stop)
        for e in range(tile.ends_start, tile.ends_stop)
    ]


@given(st.lists(st.integers(1, 100), max_size=30), orders, st.integers(1, 300))
def test_blocks_hold_every_tile_once_within_the_budget(
    sizes: list[int], order: Order, budget: int
) -> None:
    found = [Tile(n, n + 1, 0, 1, size) for n, size in enumerate(sizes)]
    grouped = blocks(found, order, budget=budget)
    assert sorted(t.series_start for group in grouped for t in group) == list(range(len(sizes)))
    assert all(len(g) == 1 or sum(t.bytes for t in g) <= budget for g in grouped)


def test_an_order_out_of_range_names_every_fault_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        Order(batch_size=0, rank=3, world_size=2, seed=-1)
    message = str(caught.value)
    assert "batch_size 0" in message
    assert "rank 3" in message
    assert "seed -1" in message
