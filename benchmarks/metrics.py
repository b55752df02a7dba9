"""Scores of forecasts of many series, and nothing else.

NNSE, the normalised Nash-Sutcliffe efficiency, is V / (V + SSE): V the squared deviation of the
observations from their mean, SSE the squared error. 1 is perfect; 0.5 is as good as knowing the
mean; it is 1 / (2 - NSE).
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.floating]
Missing: TypeAlias = Literal["exclude", "as-predicted"]


@dataclass(frozen=True, kw_only=True)
class Nnse:
    """Both conventions of the earthquake benchmark, always reported together."""

    averaged: float
    """Mean over the series that have a score, one NNSE each. NaN if none has."""
    summed: float
    """One NNSE of the series summed over all locations."""
    series: int
    """How many series have a score: those whose observations vary."""


def nnse(observed: FloatArray, predicted: FloatArray, *, missing: Missing = "exclude") -> Nnse:
    """Score forecasts.

    Parameters
    ----------
    observed, predicted : (S, T) floating
        Series by time, in the same unit; NaN where nothing was observed.
    missing : {"exclude", "as-predicted"}
        Leave out what was not observed; or take it to be exactly as predicted, as the
        published code does, which adds perfect entries and moves the mean.

    Returns
    -------
    Nnse
        The sum over locations uses the times at which any was observed, and at each the
        locations that were.

    Notes
    -----
    Source: reference code of the MLCommons Science earthquake benchmark (TEvolOp).
    """
    known: npt.NDArray[np.bool_] = ~np.isnan(observed)
    if missing == "as-predicted":
        observed = np.where(known, observed, predicted)
        known = np.full(observed.shape, fill_value=True)
    # Float64: sums over half a million float32 entries lose digits that same-seed runs compare.
    seen = np.where(known, observed, 0).astype(np.float64)
    guessed = np.where(known, predicted, 0).astype(np.float64)
    each = _efficiency(seen, guessed, known)
    there: npt.NDArray[np.bool_] = np.any(known, axis=0, keepdims=True)
    total = _efficiency(seen.sum(axis=0)[None], guessed.sum(axis=0)[None], there)
    scored = each[~np.isnan(each)]
    return Nnse(
        averaged=float(scored.mean()) if len(scored) else float("nan"),
        summed=float(total[0]),
        series=len(scored),
    )


def _efficiency(
    seen: npt.NDArray[np.float64],
    guessed: npt.NDArray[np.float64],
    known: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """NNSE of each row; NaN where the observations do not vary, so that no score exists."""
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, seen, 0).sum(axis=1) / count
    spread = np.where(known, (seen - mean[:, None]) ** 2, 0).sum(axis=1)
    error = np.where(known, (seen - guessed) ** 2, 0).sum(axis=1)
    score = np.full(len(seen), np.nan)
    # Rounding of the mean leaves a spread of this size where all observations are equal.
    varies = spread > 1e-12 * np.maximum((seen**2).sum(axis=1), 1e-300)
    score[varies] = spread[varies] / (spread[varies] + error[varies])
    return score
