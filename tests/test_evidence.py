"""The scripts behind the tables of docs/design compute what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

from scidata.benchmarks.evidence import catalogue, completeness
from scidata.benchmarks.evidence.date_alone import (
    FIVE_YEARS,
    TWO_WEEKS,
    Quakes,
    five_year_means,
)
from scidata.benchmarks.metrics import nnse
from scidata.datasets.tevolop.fortnights import DAYS, DROPPED
from scidata.datasets.tevolop.grid import Pixels, Shocks
from scidata.datasets.tevolop.recipe import SHIPPED

ROOT = Path(__file__).parent.parent


def rising(magnitudes: tuple[float, ...]) -> Quakes:
    """One earthquake a day in one pixel; each magnitude for the targets of five years."""
    fortnights = DROPPED + 1 + FIVE_YEARS * len(magnitudes)
    count, pixels = DAYS * fortnights, Pixels(rows=3, columns=3)
    step = np.arange(count) // DAYS - DROPPED - 1
    return Quakes(
        shocks=Shocks(
            day=np.arange(count),
            pixel=np.full(count, 4),
            magnitude=np.array(magnitudes)[np.clip(step // FIVE_YEARS, 0, None)],
            depth=np.ones(count),
        ),
        days=(0, count),
        pixels=pixels,
        places=np.array([4]),
    )


def test_the_date_alone_is_a_perfect_forecast_of_a_rate_that_rises_every_five_years() -> None:
    target = rising((1.0, 3.0)).targets[..., TWO_WEEKS]
    assert nnse(target, five_year_means(target)).summed == pytest.approx(1)


def test_the_date_alone_knows_the_mean_and_no_more_where_nothing_rises_by_it() -> None:
    quakes = rising((2.0,))
    every_second = quakes.keep(quakes.shocks.day // DAYS % 2 == 0)
    target = every_second.targets[..., TWO_WEEKS]
    assert nnse(target, five_year_means(target)).summed == pytest.approx(0.5, abs=1e-3)


def test_what_was_never_observed_does_not_enter_a_mean_of_five_years() -> None:
    series = np.full((1, FIVE_YEARS + 3), np.nan)
    series[0, 1], series[0, 2] = 1, 3
    assert five_year_means(series)[0].tolist() == [2.0] * FIVE_YEARS + [0.0] * 3


def test_leaving_earthquakes_out_leaves_the_places() -> None:
    quakes = rising((1.0, 3.0))
    left = quakes.from_magnitude(2.0)
    assert left.places.tolist() == quakes.places.tolist()
    assert len(left.shocks.day) == FIVE_YEARS * DAYS


def test_completeness_is_printed_as_it_is_estimated_for_the_record() -> None:
    shipped = catalogue.read(SHIPPED)
    printed = completeness.report(shipped)
    assert f"{shipped.earthquakes.num_rows:,} earthquakes, 0 of magnitude 0.0." in printed
    lines = (line.split(" | ") for line in printed.splitlines() if line.startswith("| "))
    rows = {name.removeprefix("| "): cells for name, *cells in lines}
    assert rows["magnitude of completeness"] == rows["with those of 0.0"]
    found = completeness.by_decade(shipped.completeness).values()
    cells = " ".join(rows["magnitude of completeness"])
    assert [float(cell) for cell in re.findall(r"[\d.]+", cells)] == list(found)


def test_every_script_that_a_page_names_is_there() -> None:
    named = {
        name
        for page in (ROOT / "docs").rglob("*.md")
        for name in re.findall(r"benchmarks/[\w/]+\.py", page.read_text())
    }
    assert named
    assert not [name for name in named if not (ROOT / name).is_file()]
