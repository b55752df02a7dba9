"""From which magnitude on a catalogue is complete: the estimate finds what was put in."""

from dataclasses import fields, replace

import numpy as np
import pytest

from scidata.datasets.tevolop.completeness import (
    FEWEST,
    Completeness,
    b_value,
    by_decade,
    completeness,
    maximum_curvature,
)
from scidata.previews.catalogue import Complete


def catalogue(
    complete: float, count: int, *, seed: int = 0
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Gutenberg-Richter magnitudes with b = 1, seen in full from `complete` on only."""
    random = np.random.default_rng(seed)
    magnitude = random.exponential(1 / np.log(10), 300 * count)
    seen = random.random(len(magnitude)) < 10 ** (3 * np.minimum(magnitude - complete, 0))
    return np.round(magnitude[seen][:count], 1)


def test_completeness_and_b_are_those_of_the_simulated_catalogue() -> None:
    magnitude = catalogue(1.5, 10_000)
    found = maximum_curvature(magnitude)
    assert found == pytest.approx(1.7, abs=0.1)
    assert b_value(magnitude, found) == pytest.approx(1.0, abs=0.05)


def test_a_falling_completeness_is_seen_year_by_year() -> None:
    magnitude = np.concatenate([catalogue(2.0, 1000), catalogue(0.5, 1000, seed=1)])
    found = completeness(np.repeat([1969, 1970], 1000), magnitude)
    assert [each.first_year for each in found] == [1969, 1970]
    assert found[0].magnitude > found[1].magnitude + 1
    assert list(by_decade(found)) == [1960, 1970]
    thrice = [replace(found[1], first_year=1970 + n, magnitude=1.0 + n) for n in (0, 5, 1)]
    assert by_decade([found[0], *thrice]) == {1960: found[0].magnitude, 1970: 2.0}


def test_years_with_few_earthquakes_are_put_together_and_every_one_counts() -> None:
    years = np.repeat([1950, 1951, 1953, 1954], [FEWEST - 1, 1, FEWEST, 3])
    found = completeness(years, np.full(len(years), 2.0))
    assert [(e.first_year, e.last_year) for e in found] == [(1950, 1952), (1953, 1954)]
    assert sum(each.earthquakes for each in found) == len(years)


def test_too_few_earthquakes_have_no_estimate() -> None:
    assert completeness(np.full(FEWEST - 1, 1950), np.full(FEWEST - 1, 2.0)) == ()
    assert completeness(np.zeros(0, np.int64), np.zeros(0)) == ()
    assert b_value(np.full(1, 2.0), 2.0) is None


def test_pages_read_what_is_written() -> None:
    assert {held.name for held in fields(Complete)} <= {
        held.name for held in fields(Completeness)
    }


def test_estimates_follow_each_other_without_a_hole() -> None:
    years = np.repeat([1950, 1951, 1953, 1954], [FEWEST, 1, FEWEST, 3])
    found = completeness(years, np.full(len(years), 2.0))
    assert [(each.first_year, each.last_year) for each in found] == [(1950, 1950), (1951, 1954)]
