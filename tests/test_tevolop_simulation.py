"""Simulated earthquakes: the process obeys its laws, and its best forecast is the best."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.benchmarks import run_task
from scidata.building import build
from scidata.check import check
from scidata.datasets.tevolop import etas
from scidata.datasets.tevolop.completeness import b_value
from scidata.datasets.tevolop.etas import Background, Parameters, Quakes
from scidata.datasets.tevolop.fortnights import AHEAD, DAYS
from scidata.datasets.tevolop.grid import Pixels
from scidata.datasets.tevolop.mini import SIZES, draw, fault_of
from scidata.datasets.tevolop.oracle import Truth, expectation, pixel_size
from scidata.errors import InvalidError
from scidata.publishing import publish
from scidata.record import load_record

LAW = Parameters()
GRID = Pixels(rows=8, columns=12)
REGION = (12 * pixel_size(GRID)[0], 8 * pixel_size(GRID)[1])


def background(rate: float) -> Background:
    return Background(rate=rate, faults=np.array([[10.0, 10.0, 90.0, 70.0]]), size=REGION)


def one(magnitude: float, count: int, time: float = 0.0) -> Quakes:
    """So many of the same magnitude, at once and in the same place."""
    zeros = np.zeros(count)
    return Quakes(
        time=zeros + time,
        x=zeros,
        y=zeros,
        magnitude=zeros + magnitude,
        draw=np.arange(count),
    )


def test_magnitudes_have_the_b_value_of_the_law_and_none_is_beyond_its_ends() -> None:
    found = etas.magnitudes(LAW, 200_000, np.random.default_rng(0))
    assert LAW.smallest <= found.min() < found.max() <= LAW.largest
    # By the estimator for binned magnitudes; the bin's middle is the smallest that is complete.
    assert b_value(found, LAW.smallest + 0.05) == pytest.approx(LAW.b, abs=0.01)


def test_aftershocks_fall_off_in_time_with_the_exponent_of_the_law() -> None:
    law = replace(LAW, p=1.3)
    found = etas.triggered(law, one(5.0, 3000), (0, law.memory), np.random.default_rng(1))
    after = found.time + law.c
    # The likeliest exponent, by bisection of the likelihood's derivative on (c, memory + c).
    low, high = math.log(law.c), math.log(law.memory + law.c)

    def slope(p: float) -> float:
        a, b = math.exp((1 - p) * low), math.exp((1 - p) * high)
        mean = (low * a - high * b) / (a - b) + 1 / (p - 1)
        return float(np.log(after).mean()) - mean

    ends = [1.01, 2.0]
    for _ in range(40):
        middle = sum(ends) / 2
        ends[0 if slope(middle) < 0 else 1] = middle
    assert len(after) > 10_000
    assert ends[0] == pytest.approx(law.p, abs=0.02)


def test_aftershocks_lie_as_near_as_the_law_says() -> None:
    found = etas.triggered(LAW, one(4.0, 20_000), (0, 1), np.random.default_rng(2))
    near = LAW.d + float(etas.rupture_length(np.array(4.0))) / 2
    away = np.hypot(found.x, found.y)
    for radius in (1.0, 5.0, 50.0):
        share = 1 - (near / (radius + near)) ** (LAW.q - 1)
        assert (away < radius).mean() == pytest.approx(share, abs=0.02)
    assert abs(np.mean(found.x > 0) - 0.5) < 0.02  # in all directions


def test_one_earthquake_triggers_as_many_as_the_branching_ratio_says() -> None:
    # The mean over the law's magnitudes as an integral: its tail is too heavy to be drawn.
    edges = np.linspace(LAW.smallest, LAW.largest, 20_001)
    middles = (edges[1:] + edges[:-1]) / 2
    shares = -np.diff(10 ** (-LAW.b * (edges - LAW.smallest)))
    parents = replace(one(0.0, len(middles)), magnitude=middles)
    children = etas.expected(LAW, parents, (0, LAW.memory))
    assert (children * shares).sum() / shares.sum() == pytest.approx(LAW.branching_ratio)
    assert 0 < LAW.branching_ratio < 1


@settings(max_examples=8, deadline=None)
@given(st.floats(0.05, 0.6), st.floats(1.05, 1.5), st.integers(0, 2**31))
def test_all_descendants_together_are_as_many_as_the_branching_ratio_gives(
    ratio: float, p: float, seed: int
) -> None:
    law = replace(LAW, p=p, largest=4.0, memory=1000.0)
    law = replace(law, k=law.k * ratio / law.branching_ratio)
    assert law.branching_ratio == pytest.approx(ratio)
    first = one(3.0, 3000)
    generation = first = replace(
        first, magnitude=etas.magnitudes(law, len(first), np.random.default_rng(seed))
    )
    total, random = 0, np.random.default_rng((seed, 1))
    while len(generation):
        total += len(generation)
        generation = etas.triggered(law, generation, (0, 1e9), random)
    assert total / len(first) == pytest.approx(1 / (1 - ratio), rel=0.25)


def test_a_sequence_that_does_not_end_is_seen_in_its_ratio() -> None:
    assert replace(LAW, k=2 * LAW.k).branching_ratio > 1
    assert replace(LAW, alpha=0.8).branching_ratio < LAW.branching_ratio
    near = replace(LAW, alpha=1 - 1e-9).branching_ratio
    assert near == pytest.approx(LAW.branching_ratio, rel=1e-6)


def test_futures_of_a_past_are_drawn_apart_and_as_many_as_expected() -> None:
    past, span, draws = one(5.5, 3), (2.0, 9.0), 400
    law = replace(LAW, k=LAW.k / 4, largest=5.0)  # no child has very many of its own
    found = etas.future(law, background(1.5), past, span, np.random.default_rng(4), draws=draws)
    assert found.time.min() >= span[0]
    assert found.time.max() <= span[1]
    direct = etas.expected(law, past, span).sum() + 1.5 * (span[1] - span[0])
    counts = np.bincount(found.draw, minlength=draws)
    # With children of children a little more than what is expected directly.
    assert direct < counts.mean() < 1.3 * direct
    # Apart: nearly Poisson, so no future has the first ones or the children of another.
    assert counts.var() == pytest.approx(1.2 * counts.mean(), rel=0.5)


def test_each_aftershock_is_of_its_parent_s_future_time_and_place() -> None:
    apart = one(5.0, 40)
    parents = replace(apart, x=1e6 * apart.draw, time=1e3 * apart.draw)
    found = etas.triggered(LAW, parents, (0, 1e5), np.random.default_rng(6))
    assert len(found) > 100
    # Nine of ten lie so near to their parent; none is older than it.
    assert (np.abs(found.x - 1e6 * found.draw) < 1e5).mean() > 0.9
    assert (found.time >= 1e3 * found.draw).all()


def test_background_earthquakes_lie_about_the_faults_by_their_lengths() -> None:
    ends = np.array([[10.0, 20.0, 10.0, 50.0], [40.0, 0.0, 100.0, 80.0]])
    drawn = replace(background(1.0), faults=ends, on_faults=1.0, width=0.5)
    x, y = drawn.draw(4000, np.random.default_rng(7))
    first = np.abs(x - 10) < 5
    assert first.mean() == pytest.approx(30 / (30 + 100), abs=0.02)
    assert y[first].min() == pytest.approx(20, abs=2)
    assert y[first].max() == pytest.approx(50, abs=2)
    off = (y[~first] - 80 / 60 * (x[~first] - 40)) * 0.6  # square to the second fault, km
    assert off.std() == pytest.approx(0.5, rel=0.05)


def test_nothing_is_triggered_after_the_memory_of_the_process() -> None:
    law = replace(LAW, memory=10.0)
    assert etas.expected(law, one(7.0, 1), (10.0, 1e6)).sum() == 0
    assert etas.expected(law, one(7.0, 1, time=5.0), (0.0, 5.0)).sum() == 0
    found = etas.triggered(law, one(5.0, 1000), (1.0, 1e6), np.random.default_rng(5))
    assert 1 < found.time.min() < found.time.max() < 10


def test_the_same_seed_draws_the_same_catalogue_and_another_one_another() -> None:
    one_, same, other = (draw(SIZES["tiny"], seed, falling=False) for seed in (1, 1, 2))
    assert np.array_equal(one_.quakes.time, same.quakes.time)
    assert np.array_equal(one_.background.faults, same.background.faults)
    assert len(one_.quakes) != len(other.quakes)


def test_ever_smaller_ones_are_found_where_completeness_falls() -> None:
    truth = draw(SIZES["tiny"], 0, falling=True)
    first, stop = SIZES["tiny"].days
    assert truth.complete(np.array([first, stop])).tolist() == pytest.approx([3.3, 2.5])
    found = truth.quakes.at(truth.found(truth.quakes))
    assert (found.magnitude >= truth.complete(found.time)).all()
    assert found.magnitude.min() < 2.7
    assert (truth.pixel(found) >= 0).all()


def test_the_best_forecast_equals_the_formula_where_there_is_one() -> None:
    # Nothing triggers and all are anywhere, so that a pixel's window is empty with probability
    # exp(-rate), and all magnitudes are nearly 3.
    law = replace(LAW, k=0.0, smallest=3.0, largest=3.001)
    even = replace(background(4.0), on_faults=0.0)
    empty = one(0.0, 0)
    truth = Truth(
        law=law, background=even, quakes=empty, pixels=GRID, complete=lambda time: 0 * time
    )
    starts = np.arange(0, 3 * DAYS, DAYS)
    found = expectation(truth, np.arange(96), starts, draws=400, seed=0)
    assert found.shape == (96, 3, len(AHEAD))
    rate = 4.0 * DAYS / GRID.count
    counts = np.arange(1, 20)
    chance = np.array([math.exp(-rate) * rate**n / math.factorial(n) for n in counts.tolist()])
    expected = (chance * (3.0 + np.log10(counts) / 1.5)).sum()
    assert float(found[:, 0, 0].mean()) == pytest.approx(expected, rel=0.02)
    # The last fortnight has no future, and no window of two fortnights fits after the second.
    assert np.isnan(found[:, 2]).all()
    assert np.isnan(found[:, 1, 1:]).all()
    assert not np.isnan(found[:, 0, :2]).any()


def shaken(day: float) -> Truth:
    """A process of which the only earthquake until now was a great one on that day."""
    great = replace(one(6.5, 1, time=day), x=np.array([20.0]), y=np.array([30.0]))
    return Truth(
        law=replace(LAW, k=LAW.k / 4),
        background=background(0.01),
        quakes=great,
        pixels=GRID,
        complete=lambda time: 0 * time,
    )


def test_a_forecast_knows_what_struck_before_it_and_nothing_of_what_strikes_later() -> None:
    starts = np.arange(0, 6 * DAYS, DAYS)
    before, within, after = (
        expectation(shaken(day), np.arange(96), starts, draws=20, seed=0)
        for day in (10.0, 20.0, 1e6)
    )
    # Day 20 is in the second fortnight: to the first one it is as if it never came.
    assert np.array_equal(within[:, 0], after[:, 0], equal_nan=True)
    for n, known in ((0, before), (1, within)):
        assert known[:, n, 0].sum() > 2 * after[:, n, 0].sum()
    # Five fortnights follow the first one: no window of seven, and none of later years.
    assert np.isnan(before[:, 0]).all(axis=0).tolist() == [False] * 3 + [True] * 7


def test_a_window_begins_where_its_delay_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scidata.datasets.tevolop.oracle.AHEAD", ((1, 0), (1, 2), (2, 1)))
    starts = np.arange(0, 4 * DAYS, DAYS)
    found = expectation(shaken(13.0), np.arange(96), starts, draws=40, seed=0)
    at_once, later, together = found[:, 0, :3].sum(axis=0)
    assert at_once > 1.5 * later
    assert later <= together < at_once + later
    assert np.isnan(found[:, 1, 1:3]).all()


def test_the_best_forecast_of_some_pixels_is_that_of_all_and_counts_what_is_found() -> None:
    truth, starts = shaken(10.0), np.arange(0, 2 * DAYS, DAYS)
    some = np.arange(5, 96, 7)
    every = expectation(truth, np.arange(96), starts, draws=20, seed=0)
    assert np.array_equal(
        expectation(truth, some, starts, draws=20, seed=0), every[some], equal_nan=True
    )
    blind = replace(truth, complete=lambda time: 9 + 0 * time)
    assert (expectation(blind, some, starts, draws=20, seed=0)[:, 0, 0] == 0).all()


def test_a_place_lies_in_the_pixel_that_a_catalogue_gives_it() -> None:
    truth = draw(SIZES["tiny"], 3, falling=False)
    latitude, longitude = truth.places(truth.quakes)
    pixel = truth.pixel(truth.quakes)
    assert np.array_equal(GRID.of(latitude, longitude), pixel)
    assert (pixel < 0).any()
    assert (pixel >= 0).any()


def test_each_pixel_belongs_to_the_nearest_fault() -> None:
    east = [REGION[0], 0.0, REGION[0], REGION[1]]
    for west in ([0.0, 0.0, 0.0, REGION[1]], [0.0, 0.0, 1.0, 0.0]):  # the latter is a short one
        ends = np.array([west, east])
        faults = fault_of(replace(background(1.0), faults=ends), GRID).reshape(8, 12)
        assert (faults[:, 0] == 0).all()
        assert (faults[:, 6:] == 1).all()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "tevolop-mini"
    now = datetime(2026, 11, 1, tzinfo=UTC)
    build("tevolop-mini", None, folder, options={"size": "tiny"}, now=now)
    return folder


def test_a_simulation_builds_a_sound_dataset_with_the_best_forecast(tiny: Path) -> None:
    assert check(tiny).errors == ()
    opened = {
        name: xr.open_zarr(tiny / f"data/{name}.zarr", consolidated=True)
        for name in ("fortnights", "oracle")
    }
    observed = opened["fortnights"]["magnitude_ahead"]
    expected = opened["oracle"]["magnitude_ahead_expected"]
    assert observed.shape == expected.shape
    for name in ("location", "time"):
        assert np.array_equal(opened["fortnights"][name], opened["oracle"][name])
    # Nothing is scored that was not foreseen: a quiet time counts as a gap, and has no target.
    assert not np.isnan(expected.values[~np.isnan(observed.values)]).any()
    events = pq.read_table(tiny / "data/events.parquet")
    times = events["time"].to_numpy()
    assert np.datetime64("2000-01-01") <= times.min() < np.datetime64("2000-03-01")
    assert np.datetime64("2013-11-01") < times.max() < np.datetime64("2014-01-01")
    assert 0 <= pc.min(events["depth"]).as_py() < pc.max(events["depth"]).as_py() <= 20
    steps = load_record(tiny / "record.yaml").provenance.steps
    assert any("branching ratio 0.900" in step.activity for step in steps)


def test_a_simulation_reads_no_source(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="simulated"):
        build("tevolop-mini", tmp_path, tmp_path / "out")


def test_the_best_forecast_is_scored_beside_the_model(tiny: Path, tmp_path: Path) -> None:
    publish(tiny, tmp_path / "store", version="1.0.0")
    few = {"epochs": 1, "batch_size": 8, "stride": 40, "score_stride": 9, "evaluate_every": 0}
    result = run_task(
        "tevolop",
        profile="simulated",
        store=tmp_path / "store",
        out=tmp_path / "run",
        settings=few,
    )
    assert result["dataset"]["name"] == "tevolop-mini@1.0.0"
    scores = result["scores"]["train"]
    assert set(scores) >= {"model", "climatology", "smoothed rate", "oracle"}
    assert scores["oracle"]["2 weeks, summed"] > scores["persistence"]["2 weeks, summed"]
