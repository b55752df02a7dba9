"""Each published quirk that a record or a result names is there: shown on a small catalogue."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import scidata
from scidata.benchmarks import load_task
from scidata.benchmarks.metrics import nnse
from scidata.benchmarks.tevolop import PUBLISHED_QUIRKS
from scidata.benchmarks.tevolop_features import Encoding
from scidata.benchmarks.tevolop_leads import QUANTITIES, Leads, collate
from scidata.datasets.tevolop import assemble, grid
from scidata.datasets.tevolop.assemble import Given, Quirks
from scidata.datasets.tevolop.fortnights import Quirk
from scidata.datasets.tevolop.grid import Days, Pixels, Shocks
from tests.windows import publish_quakes

EARLY, LATE, GREAT, ALWAYS = (5, 6), 17, 40, 60
"""Pixels with large events in the past, in the held-out years, one great event, and many."""


class Small:
    """26 years in 96 pixels, to the end of 2020, with a gap of 60 days in 2010."""

    pixels = Pixels(rows=8, columns=12)
    days = tuple(int(np.datetime64(f"{y}-01-01", "D").astype(int)) for y in (1995, 2021))

    def blocks(self, length: int) -> Iterator[Days]:
        first, stop = self.days
        gap = int(np.datetime64("2010-03-01", "D").astype(int))
        rows = [(day, ALWAYS, 3.0) for day in range(first, stop, 2)]
        rows = [row for row in rows if not gap <= row[0] < gap + 60]
        rows += [(first + 400 + 60 * n, pixel, 4.0) for n in range(1, 12) for pixel in EARLY]
        rows += [(stop - 400 - 30 * n, LATE, 4.0) for n in range(1, 12)]
        rows += [(stop - 600, GREAT, 6.5)]
        day, pixel, magnitude = map(np.array, zip(*sorted(rows), strict=True))
        shocks = Shocks(day=day, pixel=pixel, magnitude=magnitude, depth=np.full(len(day), 9.0))
        return grid.by_block(shocks, self.pixels, (first, stop), length)


class Built:
    """What the small catalogue gives by both rules."""

    def __init__(self, folder: Path) -> None:
        daily = Small()
        plan = assemble.plan((daily.days[0], daily.days[1]), Quirks.BOTH)
        assemble.assemble(daily, plan, Given(), folder, lambda share: None)  # type: ignore[arg-type]  # days has two
        self.physical = xr.open_zarr(folder / "fortnights.zarr").load()
        self.published = xr.open_zarr(folder / "fortnights-published.zarr").load()
        self.statistics = json.loads((folder / "statistics.json").read_text())["assets"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("quirks"))


def empty_fortnights_have_a_magnitude(built: Built) -> None:
    assert float(built.published["magnitude"].min()) == pytest.approx(np.log10(14) / 1.5)
    assert float(built.physical["magnitude"].min()) == 0


def empty_days_draw_depths_to_zero(built: Built) -> None:
    place = {"location": EARLY[0]}
    there = built.published["magnitude"].sel(place) > 3
    energy, depth = 10 ** (1.5 * 4.0), built.published["depth"].sel(place)[there]
    assert depth.values == pytest.approx(9 * energy / (energy + 13))
    assert built.physical["depth"].sel(place).values.max() == pytest.approx(9)


def active_pixels_know_the_held_out_years(built: Built) -> None:
    assert built.published["location"].values.tolist() == [*EARLY, LATE]
    assert built.physical["location"].values.tolist() == list(EARLY)


def fortnights_end_with_2019(built: Built) -> None:
    fortnight = np.timedelta64(14, "D")
    assert built.published["time"].values[-1] + fortnight == np.datetime64("2020-01-01")
    assert built.physical["time"].values[-1] > np.datetime64("2020-11-30")


def the_first_days_are_discarded(built: Built) -> None:
    days = int((np.datetime64("2020-01-01") - np.datetime64("1995-01-01")).astype(int))
    begin = np.datetime64("1995-01-01") + np.timedelta64(days % 14 + 25 * 14, "D")
    assert built.published["time"].values[0] == begin


def a_gap_is_quiet(built: Built) -> None:
    for series, seen in ((built.published, True), (built.physical, False)):
        near = series["magnitude_ahead"].sel(time=slice("2010-03-10", "2010-03-31"))[..., 0]
        assert (~np.isnan(near.values)).all() == seen


def extremes_are_of_all_times_and_pixels(built: Built) -> None:
    # The great event is in a held-out year, in a pixel that is not even active.
    for asset, highest in (("fortnights-published", 6.5), ("fortnights", 4.0)):
        found = built.statistics[asset]["variables"]["magnitude"]["max"]
        assert found == pytest.approx(highest, abs=0.01)


def the_unobserved_is_scored_as_predicted(built: Built) -> None:
    profiles = load_task("tevolop").profiles
    assert {n for n, p in profiles.items() if getattr(p, "missing", "") == "as-predicted"} == {
        "reference"
    }
    observed, predicted = np.array([[1.0, 2, 3, np.nan]]), np.array([[1.0, 3, 3, 9]])
    flattered = nnse(observed, predicted, missing="as-predicted").averaged
    assert flattered > nnse(observed, predicted).averaged


def an_input_tells_pixels_apart(built: Built) -> None:
    places = torch.arange(96)
    encoded = Encoding(96, 10)(places, torch.zeros_like(places))[:, 0]
    assert len(set(encoded.tolist())) == 96


CHECKS: dict[str, Callable[[Built], None]] = {
    Quirk.EMPTY_DAY_IS_MAGNITUDE_ZERO: empty_fortnights_have_a_magnitude,
    Quirk.EMPTY_DAY_WEIGHS_ONE_IN_DEPTH: empty_days_draw_depths_to_zero,
    Quirk.FIRST_DAYS_DISCARDED: the_first_days_are_discarded,
    Quirk.ENDS_WITH_2019: fortnights_end_with_2019,
    Quirk.GAPS_ARE_QUIET: a_gap_is_quiet,
    Quirk.ACTIVE_OVER_ALL_TIME: active_pixels_know_the_held_out_years,
    PUBLISHED_QUIRKS[0]: the_unobserved_is_scored_as_predicted,
    PUBLISHED_QUIRKS[1]: extremes_are_of_all_times_and_pixels,
    PUBLISHED_QUIRKS[2]: empty_fortnights_have_a_magnitude,
    PUBLISHED_QUIRKS[3]: empty_days_draw_depths_to_zero,
    PUBLISHED_QUIRKS[4]: active_pixels_know_the_held_out_years,
    PUBLISHED_QUIRKS[5]: an_input_tells_pixels_apart,
    PUBLISHED_QUIRKS[6]: fortnights_end_with_2019,
    PUBLISHED_QUIRKS[7]: a_gap_is_quiet,
}


@pytest.mark.parametrize("quirk", [*Quirk, *PUBLISHED_QUIRKS])
def test_a_quirk_that_is_named_is_there(quirk: str, built: Built) -> None:
    CHECKS[quirk](built)


def test_the_reference_profiles_name_every_quirk_and_read_the_published_fortnights() -> None:
    profiles: list[Any] = [
        load_task(name).profiles["reference"] for name in ("tevolop", "tevolop-leads")
    ]
    for profile in profiles:
        assert set(PUBLISHED_QUIRKS) <= set(profile.quirks)
        assert (profile.asset, profile.split) == ("fortnights-published", "location")
        assert profile.missing == "as-predicted"
    assert len(profiles[1].quirks) == len(PUBLISHED_QUIRKS) + 2


def test_by_lead_the_row_number_is_fed_in_and_a_year_overlaps_the_inputs(
    tmp_path: Path,
) -> None:
    opened = scidata.open("quakes@1.0.0", publish_quakes(tmp_path))
    task = load_task("tevolop-leads")
    settings = task.profile("reference").settings
    setup: Leads = task.setup(dataset=opened, profile=task.profile("mini"), settings=settings)
    assert getattr(settings, "row_number")  # noqa: B009 - of the task's own settings
    samples = next(iter(setup.known()))
    past = collate(setup, samples).inputs[1]
    row = samples["location"] * setup.arrays.sizes["time"] + samples["time"]
    assert torch.equal(past[-1, :, -1], row.float())
    # The year that ends at lead 1 begins 25 fortnights before the last one of the inputs.
    assert int(setup.at[0, list(QUANTITIES).index("year back")]) == 1 - 26
