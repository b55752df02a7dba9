"""The order of an epoch: laws that hold for any data, seed and number of ranks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidata.errors import InvalidError
from scidata.loaders.order import (
    SHUFFLES,
    LastBatch,
    Order,
    Progress,
    Shuffle,
    Walk,
    key,
    permuted,
    places,
    walk,
)

Sample = tuple[int, int]
"""Tile, and number in the tile."""


@dataclass(frozen=True)
class Epoch:
    """Tiles with their samples, how many are mixed, and an order of them."""

    counts: tuple[int, ...]
    reach: int
    order: Order

    def walk(self, rank: int = 0, **changes: object) -> Walk:
        order = replace(self.order, rank=rank, **changes)  # type: ignore[arg-type]  # its own fields
        return walk(self.counts, order, reach=self.reach)

    def ranks(self) -> list[Walk]:
        return [self.walk(rank) for rank in range(self.order.world_size)]

    def samples(self) -> list[Sample]:
        return [(tile, n) for tile, count in enumerate(self.counts) for n in range(count)]


@st.composite
def epochs(draw: st.DrawFn, last: LastBatch | None = None) -> Epoch:
    shuffle: Shuffle = draw(st.sampled_from(SHUFFLES))
    counts = draw(st.lists(st.integers(0, 40), max_size=12))
    drawn: LastBatch = draw(st.sampled_from(["keep", "drop"]))
    order = Order(
        batch_size=draw(st.integers(1, 20)),
        shuffle=shuffle,
        seed=draw(st.integers(0, 2**63 - 1)),
        epoch=draw(st.integers(0, 1000)),
        world_size=draw(st.integers(1, 9)),
        last=last or drawn,
    )
    reach = draw(st.integers(1, 6)) if shuffle == "window" else 1
    return Epoch((sum(counts),) if shuffle == "exact" else tuple(counts), reach, order)


def _batch(way: Walk, number: int) -> list[Sample]:
    return [
        sample
        for _, stretch in way.batch(number)
        for sample in zip(stretch.tiles.tolist(), stretch.numbers.tolist(), strict=True)
    ]


def _taken(way: Walk, batches: int | None = None) -> list[Sample]:
    """Samples of the first batches, or of all."""
    count = len(way) if batches is None else min(batches, len(way))
    return [sample for number in range(count) for sample in _batch(way, number)]


@given(epochs(last="keep"))
def test_all_ranks_together_see_every_sample_once(epoch: Epoch) -> None:
    seen = [sample for way in epoch.ranks() for sample in _taken(way)]
    assert sorted(seen) == epoch.samples()


@given(epochs(last="keep"))
def test_shares_differ_by_one_sample_at_most(epoch: Epoch) -> None:
    sizes = [way.samples for way in epoch.ranks()]
    assert max(sizes) - min(sizes) <= 1


@given(epochs(last="drop"))
def test_drop_gives_every_rank_the_same_number_of_full_batches(epoch: Epoch) -> None:
    size, ways = epoch.order.batch_size, epoch.ranks()
    assert len({len(way) for way in ways}) == 1
    assert all(len(_batch(way, n)) == size for way in ways for n in range(len(way)))
    seen = [sample for way in ways for sample in _taken(way)]
    assert len(seen) == len(set(seen))
    assert len(epoch.samples()) - len(seen) < size * len(ways)


@given(epochs(last="keep"))
def test_every_batch_but_the_last_is_full(epoch: Epoch) -> None:
    for way in epoch.ranks():
        sizes = [len(_batch(way, number)) for number in range(len(way))]
        assert all(size == epoch.order.batch_size for size in sizes[:-1])
        assert not sizes or 0 < sizes[-1] <= epoch.order.batch_size


@given(epochs())
def test_what_a_batch_holds_does_not_depend_on_the_batches_before_it(epoch: Epoch) -> None:
    first, again = epoch.walk(), epoch.walk()
    forwards = [_batch(first, number) for number in range(len(first))]
    backwards = [_batch(again, number) for number in reversed(range(len(again)))]
    assert forwards == backwards[::-1]


@given(epochs())
def test_samples_are_mixed_from_as_many_tiles_as_are_alive_and_no_more(epoch: Epoch) -> None:
    for way in epoch.ranks():
        steps = []
        for number in range(len(way)):
            for step, stretch in way.batch(number):
                steps.append(step)
                alive = [way.pieces[piece].tile for piece in way.alive(step)]
                assert set(stretch.tiles.tolist()) <= set(alive)
                assert len(alive) <= epoch.reach
        assert steps == sorted(steps)


@given(epochs(last="keep"))
def test_without_shuffling_samples_come_as_they_are_stored(epoch: Epoch) -> None:
    stored = Epoch(epoch.counts, 1, replace(epoch.order, shuffle="none"))
    seen = [sample for way in stored.ranks() for sample in _taken(way)]
    assert seen == stored.samples()


def test_seed_and_epoch_each_change_the_order_and_nothing_else_does() -> None:
    for shuffle, counts in (("window", (30, 30, 30)), ("exact", (90,))):
        order = Order(batch_size=7, shuffle=shuffle)  # type: ignore[arg-type]  # one of them
        epoch = Epoch(counts, 2 if shuffle == "window" else 1, order)
        first = _taken(epoch.walk())
        assert first == _taken(epoch.walk()) == _taken(epoch.walk(batch_size=9))
        assert (
            len({tuple(_taken(epoch.walk(seed=n, epoch=m))) for n in (0, 1) for m in (0, 1)})
            == 4
        )


@given(epochs(), st.data())
def test_on_other_ranks_exactly_what_nobody_saw_comes_next(
    epoch: Epoch, data: st.DataObject
) -> None:
    seen: list[Sample] = []
    history: tuple[Progress, ...] = ()
    worlds = [epoch.order.world_size, *data.draw(st.lists(st.integers(1, 9), max_size=2))]
    for world in worlds:
        size = data.draw(st.integers(1, 20))
        taken = data.draw(st.integers(0, 15))
        order = replace(epoch.order, batch_size=size, world_size=world, history=history)
        part = replace(epoch, order=order)
        seen += [sample for way in part.ranks() for sample in _taken(way, taken)]
        history = (*history, Progress(world, size, order.last, taken))
    final = replace(epoch, order=replace(epoch.order, last="keep", history=history))
    seen += [sample for way in final.ranks() for sample in _taken(way)]
    assert sorted(seen) == epoch.samples()


@given(epochs(), st.integers(0, 15))
def test_what_is_left_is_what_was_not_taken_whatever_the_length(
    epoch: Epoch, taken: int
) -> None:
    way = epoch.walk()
    left = replace(way, pieces=tuple(way.rest(taken)))
    numbered = [(t, n) for t, n in _taken(way)]
    assert sorted(_taken(left)) == sorted(numbered[taken:])


# Permutations


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_a_permutation_holds_every_number_once(count: int, drawn: int) -> None:
    found = permuted(np.arange(count), count, drawn)
    assert np.array_equal(np.sort(found), np.arange(count))


@given(st.integers(1, 2**48), st.integers(0, 2**64 - 1), st.data())
def test_any_part_of_a_permutation_of_any_length_can_be_had_alone(
    count: int, drawn: int, data: st.DataObject
) -> None:
    asked = data.draw(st.lists(st.integers(0, count - 1), unique=True, max_size=30))
    found = permuted(np.array(asked, np.int64), count, drawn)
    alone = [int(permuted(np.array([n], np.int64), count, drawn)[0]) for n in asked]
    assert found.tolist() == alone
    assert len(set(alone)) == len(asked)
    assert all(0 <= n < count for n in alone)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 2**64 - 1)), max_size=8))
def test_many_permutations_at_once_equal_each_alone(
    asked: Sequence[tuple[int, int]],
) -> None:
    alone = [permuted(np.arange(count), count, drawn) for count, drawn in asked]
    positions = [np.arange(count) for count, _ in asked]
    counts = [np.full(count, count) for count, _ in asked]
    drawn = [np.full(count, number, np.uint64) for count, number in asked]
    if asked:
        together = permuted(
            np.concatenate(positions), np.concatenate(counts), np.concatenate(drawn)
        )
        assert np.array_equal(together, np.concatenate(alone))


def test_the_order_of_a_seed_is_for_ever() -> None:
    # A state that was saved by an earlier release must continue in the same order.
    assert permuted(np.arange(10), 10, key(0, 0, 0, 0)).tolist() == [
        1,
        2,
        4,
        7,
        8,
        3,
        5,
        0,
        6,
        9,
    ]
    assert permuted(np.arange(3), 2**40, key(7, 3, 1, 0)).tolist() == [
        225727189276,
        174362723527,
        941042130921,
    ]
    assert places(np.arange(2), 1, Order(batch_size=1, seed=5)).tolist() == [
        10321168377795243821,
        9547576035484327371,
    ]
    order = Order(batch_size=5, shuffle="window", seed=1)
    assert _batch(walk((4, 3, 5, 2), order, reach=2), 1) == [
        (1, 0),
        (3, 1),
        (1, 1),
        (3, 0),
        (2, 0),
    ]


def test_every_position_is_as_likely_to_come_first_as_any_other() -> None:
    first = [int(permuted(np.array([0]), 8, key(seed, 0, 0, 0))[0]) for seed in range(4000)]
    counts = np.bincount(first, minlength=8)
    # Chi squared with 7 degrees of freedom: beyond 30 once in 10,000.
    assert float(((counts - 500) ** 2 / 500).sum()) < 30


def test_an_order_out_of_range_names_every_fault_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        Order(batch_size=0, rank=3, world_size=2, seed=-1, shuffle="all")  # type: ignore[arg-type]
    message = str(caught.value)
    for fault in ("batch_size 0", "rank 3", "seed -1", "shuffle 'all' is none of"):
        assert fault in message
