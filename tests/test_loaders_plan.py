"""Tiles: laws that hold whatever a split names, however the data are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scidata.loaders.order import IntArray, Order
from scidata.loaders.plan import Axis, Tiling, cut, whole

ORDER = Order(batch_size=1, seed=3)


@dataclass(frozen=True)
class Cut:
    """What a tiling was made from."""

    axes: tuple[Axis, ...]
    units: tuple[int, ...]
    target: int
    crops: int

    def weigh(self, lengths: Sequence[int]) -> int:
        return 4 * prod(lengths)

    def tiling(self) -> Tiling:
        return cut(self.axes, self.units, self.weigh, crops=self.crops, target=self.target)


@st.composite
def axes(draw: st.DrawFn, name: str, *, windows: bool) -> Axis:
    length = draw(st.integers(1, 60))
    size = draw(st.integers(2, length)) if windows and length > 1 else 1
    places = st.integers(0, length - size)
    starts = np.array(sorted(draw(st.sets(places, min_size=1, max_size=12))), np.int64)
    return Axis(name, length, starts, size)


@st.composite
def random_axes(draw: st.DrawFn, name: str) -> Axis:
    length = draw(st.integers(1, 60))
    none = np.empty(0, np.int64)
    return Axis(name, length, none, draw(st.integers(1, length)), random=True)


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    entries = [draw(axes(f"e{n}", windows=False)) for n in range(draw(st.integers(1, 2)))]
    crops = draw(st.none() | st.integers(1, 3))
    along = [
        draw(axes(f"w{n}", windows=True) if crops is None else random_axes(f"w{n}"))
        for n in range(draw(st.integers(0, 2)))
    ]
    found = (*entries, *along)
    units = tuple(draw(st.integers(1, axis.length)) for axis in found)
    return Cut(found, units, draw(st.integers(1, 20_000)), crops or 1)


def _all_points(tiling: Tiling) -> list[tuple[tuple[int, ...], int]]:
    """Places and number of every sample, tile after tile."""
    found = []
    for tile, count in enumerate(tiling.counts.tolist()):
        points = tiling.points(tile, np.arange(count), ORDER)
        places = zip(*points.starts.tolist(), strict=True)
        found += list(zip(places, points.numbers.tolist(), strict=True))
    return found


@given(cuts())
def test_tiles_hold_every_sample_once(given_: Cut) -> None:
    tiling = given_.tiling()
    assert int(tiling.counts.sum()) == tiling.samples
    assert sorted(number for _, number in _all_points(tiling)) == list(range(tiling.samples))


@given(cuts())
def test_a_sample_stands_at_the_same_place_however_the_data_are_cut(given_: Cut) -> None:
    uncut = whole(given_.axes, given_.crops)
    assert sorted(_all_points(given_.tiling())) == sorted(_all_points(uncut))


@given(cuts())
def test_samples_stand_where_the_split_says_or_anywhere_if_at_random(given_: Cut) -> None:
    for places, _ in _all_points(given_.tiling()):
        for axis, place in zip(given_.axes, places, strict=True):
            assert 0 <= place <= axis.length - axis.size
            assert axis.random or place in axis.starts


def _unfold(runs: tuple[tuple[int, int], ...]) -> IntArray:
    return np.concatenate([np.arange(start, stop) for start, stop in runs])


@given(cuts())
def test_what_a_tile_reads_holds_all_steps_of_its_windows_side_by_side(given_: Cut) -> None:
    tiling = given_.tiling()
    for tile, count in enumerate(tiling.counts.tolist()):
        points = tiling.points(tile, np.arange(count), ORDER)
        groups = zip(given_.axes, tiling.tile(tile), points.starts, strict=True)
        for axis, group, starts in groups:
            held = _unfold(group.runs)
            assert len(held) == group.extent
            steps = group.local(starts)[:, None] + np.arange(axis.size)
            assert np.array_equal(held[steps], starts[:, None] + np.arange(axis.size))


@given(cuts())
def test_chunks_of_entries_that_a_split_leaves_out_are_not_read(given_: Cut) -> None:
    for axis, unit, groups in zip(
        given_.axes, given_.units, given_.tiling().groups, strict=True
    ):
        if axis.size == 1 and not axis.random:
            read = {n // unit for g in groups for n in _unfold(g.runs).tolist()}
            assert read == {n // unit for n in axis.starts.tolist()}
            total = sum(group.extent for group in groups)
            assert total == sum(min(unit, axis.length - c * unit) for c in read)


@given(cuts())
def test_a_tile_is_larger_than_asked_for_only_where_it_cannot_be_smaller(given_: Cut) -> None:
    tiling = given_.tiling()
    for groups in map(tiling.tile, range(len(tiling.counts))):
        if given_.weigh([g.extent for g in groups]) <= given_.target:
            continue
        for axis, unit, group in zip(given_.axes, given_.units, groups, strict=True):
            least = unit if axis.size == 1 else max(unit, 4 * axis.size) + axis.size - 1
            assert axis.random or group.extent <= least


def test_crops_of_an_entry_differ_and_change_with_the_epoch() -> None:
    entry = Axis("scene", 2, np.arange(2, dtype=np.int64))
    place = Axis("x", 1000, np.empty(0, np.int64), 10, random=True)
    tiling = whole((entry, place), 50)
    first = tiling.points(0, np.arange(100), ORDER).starts[1]
    again = tiling.points(0, np.arange(100), Order(batch_size=1, seed=3)).starts[1]
    later = tiling.points(0, np.arange(100), Order(batch_size=1, seed=3, epoch=1)).starts[1]
    assert len(set(first.tolist())) > 80
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)


def test_a_split_without_places_has_no_samples() -> None:
    nothing = np.empty(0, np.int64)
    for along in (Axis("time", 9, nothing), Axis("time", 9, nothing, 3)):
        found = Cut((Axis("place", 4, np.arange(4)), along), (2, 3), 10, 1).tiling()
        assert found.samples == 0
        assert int(found.counts.sum()) == 0
