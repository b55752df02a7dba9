"""Events to days in pixels, against hand-computed values and a slow, obvious reference."""

import math
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.datasets.tevolop import grid, zones
from scidata.datasets.tevolop.events import SCHEMA
from scidata.datasets.tevolop.grid import Days, Pixels, Shocks

FULL = Pixels()
SMALL = Pixels(rows=8, columns=12)
DAY_1950 = int(np.datetime64("1950-01-01", "D").astype(int))

Event = tuple[int, int, float, float]
"""Day, pixel, magnitude, depth."""
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 29),
        st.integers(0, SMALL.count - 1),
        st.integers(-100, 750).map(lambda n: n / 100),
        st.integers(-25, 500).map(lambda n: n / 10),
    ),
    max_size=40,
)


def shocks(events: list[Event]) -> Shocks:
    ordered = sorted(events)
    columns: Any = (
        zip(*ordered, strict=True) if ordered else ([], [], [], [])
    )  # Any: four kinds
    day, pixel, magnitude, depth = columns
    return Shocks(
        day=np.array(day, np.int64),
        pixel=np.array(pixel, np.int64),
        magnitude=np.array(magnitude, np.float64),
        depth=np.array(depth, np.float64),
    )


def reference(events: list[Event], days: int) -> dict[str, list[list[float]]]:
    """Bin one day and pixel at a time, as the definition reads."""
    table: dict[str, list[list[float]]] = {name: [] for name in grid.VARIABLES}
    for day in range(days):
        for values in table.values():
            values.append([0.0] * SMALL.count)
        for pixel in range(SMALL.count):
            here = [(m, z) for d, p, m, z in sorted(events) if (d, p) == (day, pixel)]
            if here:
                energy = sum(10 ** (1.5 * m) for m, _ in here)
                moment = sum(z * 10 ** (1.5 * m) for m, z in here)
                table["magnitude"][day][pixel] = math.log10(energy) / 1.5
                table["depth"][day][pixel] = moment / energy
                table["multiplicity"][day][pixel] = len(here)
                table["multiplicity_3p29"][day][pixel] = sum(m > 3.29 for m, _ in here)
    return table


def table_of(latitude: float, longitude: float, time: str = "1992-06-28T12:00:00") -> pa.Table:
    row = [
        "ci1",
        datetime.fromisoformat(time + "+00:00"),
        latitude,
        longitude,
        5.0,
        4.0,
        "l",
        "eq",
        "A",
    ]
    return pa.table({n: [v] for n, v in zip(SCHEMA.names, row, strict=True)}, schema=SCHEMA)


@pytest.mark.parametrize(
    ("latitude", "longitude", "pixel"),
    [
        (36.0, -120.0, 0),
        (35.95, -119.95, 0),
        (35.9, -119.9, 61),
        (36.0, -114.001, 59),
        (32.001, -120.0, 39 * 60),
        (32.05, -114.05, 2399),
        (34.2, -116.437, 18 * 60 + 35),
        # In binary floating point 10 * (-115.9 + 120) is less than 41.
        (33.9, -115.9, 21 * 60 + 41),
        # No pixel holds these.
        (32.0, -117.0, -1),
        (34.0, -114.0, -1),
        (32.0, -114.0, -1),
        (36.001, -117.0, -1),
        (34.0, -120.001, -1),
    ],
)
def test_pixels_are_numbered_from_the_north_west(
    latitude: float, longitude: float, pixel: int
) -> None:
    assert FULL.of(np.array([latitude]), np.array([longitude])).tolist() == [pixel]


def test_the_middle_of_each_pixel_lies_in_it() -> None:
    y, x = np.divmod(np.arange(FULL.count), FULL.columns)
    assert (FULL.of(FULL.latitudes[y], FULL.longitudes[x]) == np.arange(2400)).all()


@settings(deadline=None)
@given(st.integers(320000, 360000), st.integers(-1200000, -1140000))
def test_pixels_follow_the_formula_in_exact_arithmetic(lat: int, lon: int) -> None:
    y, x = (360000 - lat) // 1000, (lon + 1200000) // 1000
    expected = 60 * y + x if y < 40 and x < 60 else -1
    found = FULL.of(np.array([lat / 10000]), np.array([lon / 10000]))
    assert found.tolist() == [expected]


def test_two_shocks_of_one_day_add_their_energy() -> None:
    days = grid.bin_days(shocks([(0, 5, 4.0, 10.0), (0, 5, 4.0, 2.0)]), SMALL, 0, 1)
    assert days.magnitude[0, 5] == pytest.approx(4.0 + math.log10(2) / 1.5)
    assert days.depth[0, 5] == pytest.approx(6.0)
    assert days.multiplicity[0, 5] == 2
    assert days.multiplicity_3p29[0, 5] == 2


def test_depth_is_that_of_the_great_shock_not_of_the_many() -> None:
    days = grid.bin_days(shocks([(0, 0, 6.0, 10.0)] + [(0, 0, 2.0, 0.0)] * 9), SMALL, 0, 1)
    assert days.depth[0, 0] == pytest.approx(10 * 10**9 / (10**9 + 9 * 10**3))


def test_exactly_3_point_29_is_not_above_it() -> None:
    days = grid.bin_days(shocks([(0, 0, 3.29, 1.0), (0, 0, 3.3, 1.0)]), SMALL, 0, 1)
    assert (days.multiplicity[0, 0], days.multiplicity_3p29[0, 0]) == (2, 1)


def test_a_day_without_events_is_zero_throughout() -> None:
    days = grid.bin_days(shocks([(3, 0, 5.0, 1.0)]), SMALL, 0, 3)
    assert all(not getattr(days, name).any() for name in grid.VARIABLES)


@settings(deadline=None)
@given(EVENTS)
def test_bins_equal_those_of_the_slow_reference(events: list[Event]) -> None:
    days = grid.bin_days(shocks(events), SMALL, 0, 30)
    for name, expected in reference(events, 30).items():
        assert np.allclose(getattr(days, name), expected, rtol=1e-12, atol=1e-12), name


@settings(deadline=None)
@given(EVENTS, st.integers(1, 30))
def test_blocks_put_together_are_the_whole(events: list[Event], length: int) -> None:
    whole = grid.bin_days(shocks(events), SMALL, 0, 30)
    blocks = list(grid.by_block(shocks(events), SMALL, (0, 30), length))
    assert [block.first for block in blocks] == list(range(0, 30, length))
    for name in grid.VARIABLES:
        parts = np.concatenate([getattr(block, name) for block in blocks])
        assert np.array_equal(parts, getattr(whole, name))


@settings(deadline=None)
@given(EVENTS.filter(bool), st.integers(0, 29))
def test_energy_is_neither_lost_nor_made(events: list[Event], day: int) -> None:
    days = grid.bin_days(shocks(events), SMALL, 0, 30)
    there = days.multiplicity[day] > 0
    binned = float(grid.energy(days.magnitude[day])[there].sum())
    assert binned == pytest.approx(sum(10 ** (1.5 * e[2]) for e in events if e[0] == day))


def test_days_run_from_new_year_to_the_last_event() -> None:
    first, last = (int(np.datetime64(d, "D").astype(int)) for d in ("1992-06-28", "1993-02-01"))
    assert grid.day_range(shocks([(first, 0, 1.0, 1.0), (last, 0, 1.0, 1.0)])) == (
        int(np.datetime64("1992-01-01", "D").astype(int)),
        last + 1,
    )


def test_an_event_belongs_to_its_day_in_utc() -> None:
    found = grid.shocks(table_of(34.0, -117.0, "1992-06-28T23:59:59.999999"), FULL)
    assert found.day.tolist() == [int(np.datetime64("1992-06-28", "D").astype(int))]
    before_1970 = grid.shocks(table_of(34.0, -117.0, "1950-01-01T00:00:00"), FULL)
    assert before_1970.day.tolist() == [DAY_1950]


def test_events_on_the_southern_and_eastern_edge_are_not_in_the_grid() -> None:
    assert grid.shocks(table_of(32.0, -117.0), FULL).day.size == 0
    assert grid.shocks(table_of(34.0, -114.0), FULL).day.size == 0


@pytest.mark.parametrize(("width", "height"), [(60, 40), (40, 60), (12, 8), (6, 4), (1, 5)])
def test_the_hilbert_curve_visits_each_cell_once_by_single_steps(
    width: int, height: int
) -> None:
    path = list(zones.hilbert(width, height))
    assert sorted(path) == [(x, y) for x in range(width) for y in range(height)]
    steps = np.abs(np.diff(np.array(path), axis=0)).sum(axis=1)
    assert set(steps.tolist()) <= {1}


def test_labels_are_numbered_in_order_of_first_visit_four_ways() -> None:
    labels = np.repeat([7, 3, 9, 1], 24)  # two rows each, from the north
    numbered = zones.along_curves(labels, SMALL)
    assert numbered.shape == (96, 4)
    assert set(numbered[:, 0].tolist()) == {0, 1, 2, 3}
    start, south = 0, 84  # the corners where the curve starts, as it is and flipped in y
    assert numbered[start, 0] == 0
    assert numbered[south, 1] == 0
    same = [len(set(numbered[labels == label, 0].tolist())) for label in (7, 3, 9, 1)]
    assert same == [1, 1, 1, 1]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_there_are_36_seismic_zones_that_share_the_events(seed: int) -> None:
    large = np.random.default_rng(seed).integers(0, 5, FULL.count)
    found = zones.seismic_zones(large, FULL)
    assert set(found.tolist()) == set(range(36))
    share = np.bincount(found, weights=1 + large) / (1 + large).sum()
    assert share.max() < 2.5 / 36


def test_zones_are_rectangles_around_a_single_cluster() -> None:
    large = np.zeros(FULL.count, np.int64)
    large[20 * 60 + 30] = 10_000
    found = zones.seismic_zones(large, FULL).reshape(40, 60)
    for zone in range(36):
        y, x = np.nonzero(found == zone)
        assert len(y) == (np.ptp(y) + 1) * (np.ptp(x) + 1)


def test_days_know_how_many_they_are() -> None:
    assert len(grid.bin_days(shocks([]), SMALL, 3, 10)) == 7
    assert isinstance(grid.bin_days(shocks([]), SMALL, 3, 10), Days)
