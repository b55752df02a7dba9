"""NNSE, correlation and the baselines: exact values on constructed series."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scidata.benchmarks.baselines import climatology, seasonal
from scidata.benchmarks.metrics import Correlation, nnse

RNG = np.random.default_rng(0)
SERIES = RNG.gamma(2, 1, (5, 40)).astype(np.float32)


def test_a_perfect_forecast_scores_one() -> None:
    found = nnse(SERIES, SERIES)
    assert (found.averaged, found.summed, found.series) == (1.0, 1.0, 5)


def test_the_mean_of_each_series_scores_one_half() -> None:
    means = np.broadcast_to(SERIES.mean(axis=1, keepdims=True, dtype=np.float64), SERIES.shape)
    found = nnse(SERIES, means)
    assert found.averaged == pytest.approx(0.5, abs=1e-12)
    assert found.summed == pytest.approx(0.5, abs=1e-12)


def test_climatology_scores_one_half_on_what_it_was_fitted_to() -> None:
    forecast = climatology(SERIES[..., None], per_series=True)[..., 0]
    found = nnse(SERIES, np.broadcast_to(forecast, SERIES.shape))
    assert found.averaged == pytest.approx(0.5, abs=1e-12)
    assert found.summed == pytest.approx(0.5, abs=1e-12)


def test_a_score_worked_out_by_hand() -> None:
    # V = 2 and SSE = 6 for the first, V = 8 and SSE = 0 for the second; sums: V = 18, SSE = 6.
    observed = np.array([[1.0, 2.0, 3.0], [0.0, 2.0, 4.0]])
    predicted = np.array([[2.0, 4.0, 4.0], [0.0, 2.0, 4.0]])
    found = nnse(observed, predicted)
    assert found.averaged == pytest.approx((2 / 8 + 1) / 2)
    assert found.summed == pytest.approx(18 / 24)


def test_entries_that_were_not_observed_are_left_out() -> None:
    holes = SERIES.copy()
    holes[:, ::3] = np.nan
    rest = np.flatnonzero(~np.isnan(holes[0]))
    forecast = SERIES[:, ::-1]
    found, short = nnse(holes, forecast), nnse(SERIES[:, rest], forecast[:, rest])
    assert found.averaged == pytest.approx(short.averaged)
    assert found.summed == pytest.approx(short.summed)


def test_the_published_rule_takes_them_as_predicted_and_scores_higher() -> None:
    holes = SERIES.copy()
    holes[:, ::3] = np.nan
    forecast = SERIES[:, ::-1]
    filled = np.where(np.isnan(holes), forecast, holes)
    found = nnse(holes, forecast, missing="as-predicted")
    assert found == nnse(filled, forecast)
    assert found.averaged > nnse(holes, forecast).averaged


def test_a_series_that_does_not_vary_has_no_score() -> None:
    observed = np.stack([SERIES[0], np.full(40, 0.1, np.float32)])
    found = nnse(observed, observed + 1)
    assert found.series == 1
    assert found.averaged == nnse(observed[:1], observed[:1] + 1).averaged


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_nnse_lies_between_nothing_and_one_and_ignores_units(seed: int, unit: float) -> None:
    rng = np.random.default_rng(seed)
    observed, predicted = rng.normal(size=(2, 4, 12))
    found, scaled = nnse(observed, predicted), nnse(observed * unit, predicted * unit)
    assert 0 < found.averaged <= 1
    assert 0 < found.summed <= 1
    assert scaled.averaged == pytest.approx(found.averaged)


def test_climatology_of_held_out_series_is_the_mean_of_the_others() -> None:
    train = np.array([[1.0, 3.0], [5.0, np.nan]])[..., None]
    assert climatology(train, per_series=False).tolist() == [[[3.0]]]
    assert climatology(train, per_series=True).tolist() == [[[2.0]], [[5.0]]]


def test_seasonal_knows_a_yearly_cycle_and_falls_back_to_climatology() -> None:
    phase = np.arange(40) % 4
    train = np.broadcast_to(phase.astype(np.float64), (2, 40))[..., None]
    known = phase < 3
    found = seasonal(train[:, known], phase[known], period=4, per_series=True)
    assert found[..., 0].tolist() == [[0.0, 1.0, 2.0, 1.0]] * 2


def _correlation(x: torch.Tensor, y: torch.Tensor, pieces: int) -> float:
    found = Correlation()
    for a, b in zip(x.chunk(pieces), y.chunk(pieces), strict=True):
        found.update(a, b)
    return float(found.compute())


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(-1e3, 1e3), st.floats(0.05, 1e3))
def test_a_correlation_is_that_of_the_whole_set_whatever_the_batches_were(
    seed: int, pieces: int, shift: float, scale: float
) -> None:
    x, y = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 60)))
    x, y = (x * scale + shift).float(), (y + x).float()
    expected = np.corrcoef(x.double(), y.double())[0, 1]
    assert _correlation(x, y, pieces) == pytest.approx(expected, abs=1e-6)


@given(st.floats(-1e6, 1e6, width=32))
def test_a_constant_forecast_correlates_with_nothing(value: float) -> None:
    varied = torch.linspace(0, 1, 50)
    constant = torch.full_like(varied, value)
    assert _correlation(constant, varied, 3) == 0
    assert _correlation(varied, constant, 3) == 0


@pytest.mark.parametrize("value", [300.0, -1e6, 1e-3])
def test_what_varies_in_its_last_digit_is_constant(value: float) -> None:
    nearly = torch.full((50,), value)
    nearly[::2] = torch.nextafter(nearly[::2], torch.zeros(25))
    assert len(set(nearly.tolist())) == 2
    assert _correlation(nearly, torch.arange(50.0) % 2, 3) == 0


def test_a_correlation_is_at_most_one_however_it_is_rounded() -> None:
    x = torch.tensor([22.436391562223434, 22.47100079059601], dtype=torch.float64)
    assert _correlation(x, 2 * x + 1, 1) == 1
    assert _correlation(x, 1 - 2 * x, 1) == -1


def test_a_forecast_that_is_no_number_has_no_correlation() -> None:
    varied = torch.linspace(0, 1, 50)
    assert np.isnan(_correlation(torch.where(varied > 0.9, torch.nan, varied), varied, 1))
