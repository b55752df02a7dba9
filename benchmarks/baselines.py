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
