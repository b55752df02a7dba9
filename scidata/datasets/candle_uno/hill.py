"""Dose-response curves: the Hill function, the area below it, and its fit to measured doses.

Doses are log10 of the concentration in mol/l; a response is the share of cells that live, 1
without a drug. Fitting needs scipy, the extra ``[chem]``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError

Float: TypeAlias = npt.NDArray[np.float64]

FEWEST_DOSES = 4
"""Three parameters, and one dose more."""
INTERVAL = (-10.0, -4.0)
"""Doses that the area of CANDLE's AUC spans, so that studies of other doses compare."""
_SLOPES = (0.05, 4.0)
_BEYOND = 2.0
"""How far outside the measured doses EC50 may lie, in powers of ten."""
_GRID_DOSES, _GRID_SLOPES = 25, (0.3, 0.6, 1.0, 1.6, 2.5, 3.8)
_HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A fitted dose-response curve."""

    auc: float
    """Mean response over `INTERVAL`, 1 where the drug does nothing."""
    auc_measured: float
    """Mean response of the curve over the measured doses."""
    ic50: float
    """log10(mol/l) at which half the cells live; NaN if they always do."""
    ec50: float
    """log10(mol/l) at which half the effect is reached."""
    ec50se: float
    """Standard error of `ec50`; infinite where the doses do not tell it."""
    einf: float
    """Response to an infinite dose."""
    slope: float
    """Hill slope."""
    r2: float
    """Share of the variance of the responses that the curve explains."""
    doses: int
    """Measurements that it was fitted to."""


def response(
    dose: Float, ec50: float | Float, slope: float | Float, einf: float | Float
) -> Float:
    """Hill function: einf + (1 - einf) / (1 + 10^(slope (dose - ec50))).

    Parameters
    ----------
    dose : any shape, log10(mol/l)
    ec50 : float or as dose, log10(mol/l)
    slope, einf : float or as dose
    """
    return 1 - (1 - einf) * _effect(dose, ec50, slope)


def area(ec50: float, slope: float, einf: float, interval: tuple[float, float]) -> float:
    """Mean of the curve over an interval of doses, in closed form."""
    low, high = interval
    # log10(1 + 10^u) without overflow.
    a, b = (np.logaddexp(0, math.log(10) * slope * (x - ec50)) for x in interval)
    above = 1 - float(b - a) / math.log(10) / slope / (high - low)
    return einf + (1 - einf) * above


def half(ec50: float, slope: float, einf: float) -> float:
    """log10(mol/l) at which the response is one half; NaN if it never is."""
    if einf >= _HALF:
        return math.nan
    return ec50 + math.log10(_HALF / (_HALF - einf)) / slope


def fit(dose: Float, seen: Float) -> Curve:
    """Fit a Hill curve by least squares.

    Parameters
    ----------
    dose : (N,), log10(mol/l)
    seen : (N,)
        Response, 1 without effect; may be above 1 by noise.

    Returns
    -------
    Curve
        With 0 <= einf <= 1, slope between 0.05 and 4, and EC50 at most two powers of ten
        outside the measured doses.

    Raises
    ------
    InvalidError
        If fewer than four doses differ, a number is not finite, or scipy is not installed.
    """
    least_squares = _least_squares()
    if len(np.unique(dose)) < FEWEST_DOSES or not np.isfinite([dose, seen]).all():
        raise InvalidError(
            f"a curve of {len(np.unique(dose))} doses cannot be fitted",
            where="doses",
            fix=f"give {FEWEST_DOSES} doses or more, all of them numbers",
        )
    low, high = float(dose.min()), float(dose.max())
    bounds = np.array(
        [[low - _BEYOND, _SLOPES[0], 0.0], [high + _BEYOND, _SLOPES[1], 1.0]], np.float64
    )

    def residuals(p: Float) -> Float:
        return response(dose, *p) - seen

    found = least_squares(
        residuals, _start(dose, seen), jac=lambda p: _jacobian(dose, *p), bounds=bounds,
        method="dogbox", x_scale=(1.0, 1.0, 0.3), max_nfev=60,
    )  # fmt: skip
    ec50, slope, einf = map(float, found.x)
    squares = 2 * float(found.cost)
    spread = float(np.square(seen - seen.mean()).sum())
    return Curve(
        auc=area(ec50, slope, einf, INTERVAL),
        auc_measured=area(ec50, slope, einf, (low, high)),
        ic50=half(ec50, slope, einf),
        ec50=ec50,
        ec50se=_standard_error(found.jac, squares, len(dose)),
        einf=einf,
        slope=slope,
        r2=1 - squares / spread if spread > 0 else 0.0,
        doses=len(dose),
    )


def _effect(dose: Float, ec50: float | Float, slope: float | Float) -> Float:
    """Share of the whole effect, 0 to 1."""
    effect: Float = 0.5 + 0.5 * np.tanh(0.5 * math.log(10) * slope * (dose - ec50))
    return effect


def _jacobian(dose: Float, ec50: float, slope: float, einf: float) -> Float:
    effect = _effect(dose, ec50, slope)
    steep = (1 - einf) * math.log(10) * effect * (1 - effect)
    return np.stack([steep * slope, -steep * (dose - ec50), effect], axis=1)


def _start(dose: Float, seen: Float) -> Float:
    """Best of a grid of EC50 and slope; the effect at infinity follows by least squares."""
    ec50 = np.linspace(dose.min() - 1, dose.max() + 1, _GRID_DOSES)[:, None, None]
    slope = np.array(_GRID_SLOPES)[None, :, None]
    effect = _effect(dose, ec50, slope)
    weight = np.maximum((effect**2).sum(axis=-1), 1e-12)
    most = np.clip((effect * (1 - seen)).sum(axis=-1) / weight, 0, 1)
    error = np.square(1 - most[..., None] * effect - seen).sum(axis=-1)
    n, m = np.unravel_index(int(error.argmin()), error.shape)
    # A start on a bound has nowhere to go.
    einf = float(np.clip(1 - most[n, m], 0.01, 0.99))
    return np.array([ec50[n, 0, 0], slope[0, m, 0], einf])


def _standard_error(jacobian: Float, squares: float, count: int) -> float:
    information = jacobian.T @ jacobian
    try:
        covariance = np.linalg.inv(information) * squares / max(count - 3, 1)
    except np.linalg.LinAlgError:
        return math.inf
    return math.sqrt(covariance[0, 0]) if covariance[0, 0] >= 0 else math.inf


def _least_squares() -> Callable[..., Any]:  # Any: scipy has no type hints
    try:
        from scipy.optimize import least_squares
    except ImportError as error:
        raise InvalidError(
            "dose-response curves are fitted with scipy, which is not installed",
            where="scidata.datasets.candle_uno.hill",
            fix='pip install "fair-scidata[chem]"',
        ) from error
    found: Callable[..., Any] = least_squares
    return found
