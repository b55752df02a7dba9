"""Forecasts that need no model. A score means something only beside them.

Series by time by target window everywhere: (S, T, K).
"""

import numpy as np
import numpy.typing as npt

from scidata.benchmarks.metrics import FloatArray

Float64 = npt.NDArray[np.float64]


def climatology(train: FloatArray, *, per_series: bool) -> Float64:
    """Mean of the training observations.

    Parameters
    ----------
    train : (S, T, K)
        NaN where nothing was observed.
    per_series : bool
        One mean a series; else one for all, since held-out series have no past to average.

    Returns
    -------
    (S or 1, 1, K)
        Per series and scored on `train` itself it has NNSE 0.5: V / (V + V).
    """
    return _mean(train, (1,) if per_series else (0, 1))


def seasonal(
    train: FloatArray, phase: npt.NDArray[np.int64], *, period: int, per_series: bool
) -> Float64:
    """Mean of the training observations at each phase of the year.

    Parameters
    ----------
    train : (S, T, K)
    phase : (T,)
        Step modulo `period`.
    period : int
        Steps in a year.
    per_series : bool
        As for `climatology`.

    Returns
    -------
    (S or 1, period, K)
        A phase without observations has the climatology.
    """
    rest = climatology(train, per_series=per_series)
    means = [climatology(train[:, phase == p], per_series=per_series) for p in range(period)]
    return np.concatenate([np.where(np.isnan(m), rest, m) for m in means], axis=1)


def _mean(values: FloatArray, axes: tuple[int, ...]) -> Float64:
    known = ~np.isnan(values)
    count = known.sum(axis=axes, keepdims=True)
    total = np.where(known, values, 0).astype(np.float64).sum(axis=axes, keepdims=True)
    return np.where(count, total / np.maximum(count, 1), np.nan)


class LeastSquares:
    """Linear forecasts of several targets from a few features, fitted batch by batch.

    Parameters
    ----------
    features, targets : int
        How many there are.
    """

    def __init__(self, features: int, targets: int) -> None:
        self._products = np.zeros((targets, features, features))
        self._sums = np.zeros((targets, features))

    def add(self, features: FloatArray, observed: FloatArray) -> None:
        """Take in a batch.

        Parameters
        ----------
        features : (B, F)
        observed : (B, K)
            NaN where nothing was observed: left out for that target alone.
        """
        values = np.asarray(features, np.float64)
        for k, target in enumerate(np.asarray(observed, np.float64).T):
            known = ~np.isnan(target)
            self._products[k] += values[known].T @ values[known]
            self._sums[k] += values[known].T @ target[known]

    def solve(self) -> Float64:
        """Return the coefficients, (F, K): the smallest ones where several fit as well."""
        return np.stack(
            [
                np.linalg.lstsq(p, s, rcond=1e-10)[0]
                for p, s in zip(self._products, self._sums, strict=True)
            ],
            axis=1,
        )


def omori_weights(steps: int, *, days: float, c: float = 0.01, p: float = 1.1) -> Float64:
    """Return how much the shocks of each past step count for the coming one, (steps,).

    Parameters
    ----------
    steps : int
        The last one is the step that just ended.
    days : float
        Of a step.
    c, p : float
        Of the Omori-Utsu law, days and 1: aftershocks fall off as ``(t + c)**-p``.

    Notes
    -----
    Source: Utsu, Ogata and Matsu'ura 1995, doi:10.4294/jpe1952.43.1; p = 1.1 is typical there.
    """
    edges = days * np.arange(steps + 1) + days / 2 + c
    weights: Float64 = -np.diff(edges ** (1 - p))[::-1]
    shares: Float64 = weights / weights.sum()
    return shares
