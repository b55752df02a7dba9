"""Fortnights by both rules, windows, active pixels and splits, against the obvious way."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata import split
from scidata.datasets.statistics import Moments
from scidata.datasets.tevolop import fortnights as fn
from scidata.datasets.tevolop import grid, splits
from scidata.datasets.tevolop.fortnights import Rule, Sums
from scidata.datasets.tevolop.grid import Days, Pixels

SMALL = Pixels(rows=8, columns=12)
DAY_1950 = int(np.datetime64("1950-01-01", "D").astype(int))
PUBLISHED_DAYS = DAY_1950, DAY_1950 + 25_567


def random_days(seed: int, count: int, first: int = DAY_1950) -> Days:
    """Days of which most have no event, in a grid of 96 pixels."""
    random_ = np.random.default_rng(seed)
    multiplicity = random_.poisson(0.1, (count, SMALL.count))
    there = multiplicity > 0
    return Days(
        first=first,
        magnitude=np.where(there, random_.uniform(0, 7, there.shape).round(2), 0.0),
        depth=np.where(there, random_.uniform(-2, 30, there.shape).round(1), 0.0),
        multiplicity=multiplicity,
        multiplicity_3p29=np.minimum(multiplicity, random_.poisson(0.05, there.shape)),
    )


def summed(days: Days, rule: Rule) -> Sums:
    sums = Sums(fn.span((days.first, days.first + len(days)), rule), SMALL, rule)
    sums.add(days)
    return sums


def reference(days: Days, rule: Rule) -> dict[str, list[list[float]]]:
    """Sum fourteen days of one pixel at a time, as the definition reads."""
    skip = len(days) % 14 if rule == Rule.PUBLISHED else (3 - (days.first - DAY_1950)) % 14
    table: dict[str, list[list[float]]] = {name: [] for name in grid.VARIABLES}
    for begin in range(skip, len(days) - 13, 14):
        for values in table.values():
            values.append([])
        for pixel in range(SMALL.count):
            energy = moment = 0.0
            for day in range(begin, begin + 14):
                if rule == Rule.PUBLISHED or days.multiplicity[day, pixel]:
                    weight = 10 ** (1.5 * days.magnitude[day, pixel])
                    energy += weight
                    moment += weight * days.depth[day, pixel]
            fortnight = slice(begin, begin + 14)
            table["magnitude"][-1].append(math.log10(energy) / 1.5 if energy else 0.0)
            table["depth"][-1].append(moment / energy if energy else 0.0)
            for name in ("multiplicity", "multiplicity_3p29"):
                table[name][-1].append(int(getattr(days, name)[fortnight, pixel].sum()))
    return table


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(14, 60), st.sampled_from(list(Rule)))
def test_sums_equal_those_of_the_slow_reference(seed: int, count: int, rule: Rule) -> None:
    days = random_days(seed, count)
    sums = summed(days, rule)
    for name, expected in reference(days, rule).items():
        found = getattr(sums, name)
        assert found.shape == (len(expected), SMALL.count)
        assert not expected or np.allclose(found, expected, rtol=1e-12, atol=1e-12), name


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from(list(Rule)))
def test_sums_do_not_depend_on_the_blocks(seed: int, length: int, rule: Rule) -> None:
    days = random_days(seed, 100)
    sums = Sums(fn.span((days.first, days.first + 100), rule), SMALL, rule)
    for begin in range(0, 100, length):
        part = {n: getattr(days, n)[begin : begin + length] for n in grid.VARIABLES}
        sums.add(Days(first=days.first + begin, **part))
    whole = summed(days, rule)
    assert np.allclose(sums.energy, whole.energy, rtol=1e-12)
    assert np.array_equal(sums.multiplicity, whole.multiplicity)


def test_energy_of_fortnights_is_the_energy_of_their_events() -> None:
    days = random_days(1, 3 + 28)
    sums = summed(days, Rule.PHYSICAL)
    there = days.multiplicity[3:] > 0
    events = (grid.energy(days.magnitude[3:]) * there).sum()
    assert grid.energy(sums.magnitude)[sums.energy > 0].sum() == pytest.approx(events)


def test_the_published_rule_raises_empty_time_to_its_known_floors() -> None:
    empty = random_days(0, 17 + 26 * 14)
    still = Days(
        first=empty.first,
        magnitude=np.zeros_like(empty.magnitude),
        depth=np.zeros_like(empty.depth),
        multiplicity=np.zeros_like(empty.multiplicity),
        multiplicity_3p29=np.zeros_like(empty.multiplicity),
    )
    sums = summed(still, Rule.PUBLISHED)
    year = list(fn.back(sums.energy))[-1]
    assert sums.magnitude[0, 0] == pytest.approx(0.764, abs=5e-4)
    assert year[-1, 0] == pytest.approx(1.707, abs=5e-4)
    by_length = [float(np.nanmin(window)) for window in fn.back(sums.energy)]
    assert by_length == pytest.approx([0.9648, 1.1655, 1.3275, 1.5067, 1.7074], abs=1e-4)
    assert not summed(still, Rule.PHYSICAL).magnitude.any()


def test_an_empty_day_draws_the_published_depth_towards_zero() -> None:
    days = random_days(0, 3 + 14)
    days.magnitude[:], days.depth[:], days.multiplicity[:] = 0, 0, 0
    days.magnitude[5, 0], days.depth[5, 0], days.multiplicity[5, 0] = 1.0, 10.0, 1
    energy = 10**1.5
    assert summed(days, Rule.PHYSICAL).depth[0, 0] == pytest.approx(10)
    published = summed(days, Rule.PUBLISHED).depth[0, 0]
    assert published == pytest.approx(10 * energy / (energy + 13))


def test_published_fortnights_start_on_4_january_1950_and_number_1826() -> None:
    span = fn.span(PUBLISHED_DAYS, Rule.PUBLISHED)
    assert (str(span.start(0)), span.count) == ("1950-01-04", 1826)
    assert str(span.start(fn.DROPPED)) == "1950-12-20"
    assert span.count - fn.DROPPED == 1801


def test_published_fortnights_end_with_2019_and_physical_ones_keep_their_phase() -> None:
    longer = PUBLISHED_DAYS[0], PUBLISHED_DAYS[1] + 2400
    assert fn.span(longer, Rule.PUBLISHED) == fn.span(PUBLISHED_DAYS, Rule.PUBLISHED)
    physical = fn.span(longer, Rule.PHYSICAL)
    assert (str(physical.start(0)), physical.count) == ("1950-01-04", (25_564 + 2400) // 14)
    since_1952 = fn.span((DAY_1950 + 730, longer[1]), Rule.PHYSICAL)
    assert (since_1952.first - physical.first) % 14 == 0


def obvious_window(energy: list[float], first: int, last: int) -> float:
    if first < 0 or last >= len(energy):
        return math.nan
    total = sum(energy[first : last + 1])
    return math.log10(total) / 1.5 if total else 0.0


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1e11).filter(lambda e: e == 0 or e > 1e-3), min_size=1, max_size=130)
)
def test_windows_equal_those_of_the_slow_reference(energy: list[float]) -> None:
    column = np.array(energy)[:, None]
    for length, window in zip(fn.BACK, fn.back(column), strict=True):
        expected = [obvious_window(energy, t - length + 1, t) for t in range(len(energy))]
        assert np.allclose(window[:, 0], expected, equal_nan=True)
    for (length, delay), window in zip(fn.AHEAD, fn.ahead(column), strict=True):
        expected = [
            obvious_window(energy, t + 1 + delay, t + delay + length)
            for t in range(len(energy))
        ]
        assert np.allclose(window[:, 0], expected, equal_nan=True)


def test_a_small_event_after_a_great_one_is_not_lost_to_rounding() -> None:
    energy = np.zeros((60, 1))
    energy[0], energy[50] = 10 ** (1.5 * 9), 10 ** (1.5 * -1)
    two_fortnights = next(iter(fn.back(energy)))
    assert two_fortnights[50, 0] == pytest.approx(-1.0, abs=1e-12)


def test_the_windows_are_those_of_the_benchmark() -> None:
    assert fn.BACK == (2, 4, 7, 13, 26)
    assert fn.AHEAD[:8] == tuple((n, 0) for n in (1, 2, 4, 7, 13, 26, 52, 104))
    assert fn.AHEAD[8:] == ((26, 26), (52, 52))
    assert fn.REACH == 104


def obvious_active(counts: list[list[int]]) -> list[int]:
    rows, columns = len(counts), len(counts[0])
    chosen = []
    for y in range(rows):
        for x in range(columns):
            top, left = min(max(y - 1, 0), rows - 3), min(max(x - 1, 0), columns - 3)
            nine = sum(counts[top + i][left + j] for i in range(3) for j in range(3))
            if counts[y][x] >= 7.1 or nine >= 34.1:
                chosen.append(columns * y + x)
    return chosen


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_active_pixels_equal_those_of_the_slow_reference(seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 8, SMALL.count)
    found = fn.active(counts, SMALL).tolist()
    assert found == obvious_active(counts.reshape(8, 12).tolist())


def test_seven_events_are_too_few_and_eight_enough() -> None:
    counts = np.zeros(SMALL.count, np.int64)
    counts[40], counts[50] = 7, 8
    assert fn.active(counts, SMALL).tolist() == [50]


def test_a_corner_counts_the_nine_pixels_shifted_inward() -> None:
    counts = np.zeros((8, 12), np.int64)
    counts[2, 2] = 7
    counts[:3, :3] += 3  # 34 in all: too few
    assert 0 not in fn.active(counts.ravel(), SMALL)
    counts[1, 1] += 1
    # The four pixels whose nine are the corner's, and the one with ten of its own.
    assert fn.active(counts.ravel(), SMALL).tolist() == [0, 1, 12, 13, 26]


@settings(deadline=None)
@given(st.integers(0, 3000))
def test_no_training_target_reaches_a_held_out_input(count: int) -> None:
    time = splits.by_time(count)
    if time is None:
        assert count < 206
        return
    last_target = max(time.train) + fn.REACH
    first_input = min(time.validation) - (splits.WINDOW - 1) - (max(fn.BACK) - 1)
    assert last_target < first_input
    assert time.known == first_input
    if time.isolated_test:
        reach = max(time.validation) + fn.REACH
        assert reach < min(time.test) - (splits.WINDOW - 1) - (max(fn.BACK) - 1)


@settings(deadline=None)
@given(st.integers(206, 3000))
def test_every_sample_has_its_window_and_a_target(count: int) -> None:
    time = splits.by_time(count)
    assert time is not None
    parts = [*time.train, *time.validation, *time.test]
    assert parts == sorted(set(parts))
    assert min(parts) >= splits.WINDOW - 1
    assert max(parts) < count - 1
    assert all(len(part) for part in (time.train, time.validation, time.test))


def test_the_full_catalogue_has_both_embargoes() -> None:
    time = splits.by_time(1973)
    assert time is not None
    assert time.isolated_test
    assert [len(part) for part in (time.train, time.validation, time.test)] == [1147, 245, 247]


@settings(deadline=None)
@given(st.sets(st.integers(0, 2399), min_size=2), st.randoms(use_true_random=False))
def test_locations_are_divided_the_same_way_in_any_order(
    locations: set[int], random_: random.Random
) -> None:
    shuffled = list(locations)
    random_.shuffle(shuffled)
    parts = splits.by_location(shuffled)
    assert parts == splits.by_location(locations)
    assert len(parts["train"]) == math.ceil(0.8 * len(locations))
    assert not split.overlap(parts["train"], parts["validation"])
    assert sorted(parts["train"] + parts["validation"]) == sorted(f"{n:04d}" for n in locations)


def test_the_location_split_never_changes() -> None:
    parts = splits.by_location(range(500))
    assert [len(ids) for ids in parts.values()] == [400, 100]
    # Published versions hold these lists: a change of the rule is a new dataset.
    assert str(split.digest(parts["validation"])) == (
        "sha256:102c18c2ea6caf458df58a68c9837997076d6130a58f00627dfb417ce08b848d"
    )


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=20), max_size=6))
def test_statistics_of_blocks_are_those_of_the_whole(blocks: list[list[float]]) -> None:
    moments = Moments()
    for block in blocks:
        moments.add(np.array([*block, math.nan]))
    values = [value for block in blocks for value in block]
    report = moments.report()
    assert report["count"] == len(values)
    if values:
        found = [report[name] for name in ("mean", "std", "min", "max")]
        expected = [np.mean(values), np.std(values), min(values), max(values)]
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_a_gap_is_a_long_time_without_any_earthquake() -> None:
    shocks = np.ones(400, np.int64)
    shocks[10:40] = 0  # 30 days may be
    shocks[100:131] = 0
    assert [(gap.first, gap.days) for gap in fn.gaps(shocks, 5)] == [(105, 31)]
    assert fn.gaps(np.zeros(400, np.int64), 0) == ()


def test_a_catalogue_of_rare_earthquakes_has_no_gap_where_it_pauses() -> None:
    shocks = np.zeros(4000, np.int64)
    shocks[::40] = 1
    assert fn.gaps(shocks, 0) == ()


def test_a_target_rests_on_more_than_half_of_its_days() -> None:
    energies = np.ones((110, 1))
    days = np.zeros(110, np.int64)
    days[[10, 11]] = 6, 7
    first, second, *_ = fn.ahead(energies, days)
    assert np.flatnonzero(np.isnan(first[:, 0])).tolist() == [10, 109]
    assert np.flatnonzero(np.isnan(second[:, 0])).tolist() == [108, 109]
    days[10] = 7
    _, second, *_ = fn.ahead(energies, days)
    assert np.flatnonzero(np.isnan(second[:, 0])).tolist() == [9, 108, 109]
