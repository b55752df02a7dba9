"""Scores: torchmetrics' own as a task takes them, and those of forecasts of many series.

NNSE, the normalised Nash-Sutcliffe efficiency, is V / (V + SSE): V the squared deviation of the
observations from their mean, SSE the squared error. 1 is perfect; 0.5 is as good as knowing the
mean; it is 1 / (2 - NSE).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric

if TYPE_CHECKING:
    from scidata.benchmarks.task import Batch

_CONSTANT = 1e-12
"""Of the mean square: a variance below is that of a constant, in rounded numbers."""

FloatArray: TypeAlias = npt.NDArray[np.floating]
Missing: TypeAlias = Literal["exclude", "as-predicted"]


class Measures:
    """Several of torchmetrics' metrics, by the names that they have in a result.

    Parameters
    ----------
    metrics : mapping
        Each is of a whole set, whatever the batches were.
    arguments : callable
        Makes of a prediction and its batch what the metrics' ``update`` takes, such as
        predicted and true classes.
    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        arguments: "Callable[[Tensor, Batch], tuple[Tensor, ...]]",
    ) -> None:
        self._metrics = dict(metrics)
        self._arguments = arguments

    def update(self, prediction: Tensor, batch: "Batch") -> None:
        """Take in a batch."""
        arguments = self._arguments(prediction, batch)
        for metric in self._metrics.values():
            metric.update(*arguments)

    def compute(self) -> dict[str, float]:
        """Return every score, over all processes."""
        return {name: float(metric.compute()) for name, metric in self._metrics.items()}

    def to(self, device: torch.device) -> "Measures":
        """Move to a device."""
        for metric in self._metrics.values():
            metric.to(device)
        return self


class Correlation(Metric):
    """Pearson's r of a whole set; 0 where predictions or targets do not vary.

    What varies by less than a millionth of its size is constant: float32 tells no less. A
    constant explains nothing of what varies, so 0 is what such a forecast earns; the usual
    formula divides zero by zero. A prediction that is no number has no score.
    """

    full_state_update = False
    higher_is_better = True
    moments: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state(
            "moments", default=torch.zeros(6, dtype=torch.float64), dist_reduce_fx="sum"
        )

    def update(self, predicted: Tensor, observed: Tensor) -> None:
        """Take in a batch: (B,) each."""
        x, y = predicted.to(self.moments), observed.to(self.moments)
        each = torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y])
        self.moments = self.moments + each.sum(dim=1)

    def compute(self) -> Tensor:
        """Return r, a scalar."""
        count, *sums = self.moments
        x, y, xx, yy, xy = torch.stack(sums) / count
        spread_x, spread_y = xx - x * x, yy - y * y
        is_constant = (spread_x <= _CONSTANT * xx) | (spread_y <= _CONSTANT * yy)
        r = (xy - x * y) / (spread_x * spread_y).clamp(min=0).sqrt()
        return torch.where(is_constant, torch.zeros_like(r), r.clamp(-1, 1))


class Series(Metric):
    """NNSE of several target windows, of forecasts that come in batches.

    Parameters
    ----------
    windows : sequence of str
        Names of the columns of predictions and observations.
    missing : {"exclude", "as-predicted"}
        As for `nnse`.
    """

    full_state_update = False
    higher_is_better = True
    predicted: list[Tensor]
    observed: list[Tensor]
    places: list[Tensor]

    def __init__(self, windows: tuple[str, ...], *, missing: Missing) -> None:
        super().__init__()
        self._windows, self._missing = windows, missing
        for state in ("predicted", "observed", "places"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, predicted: Tensor, observed: Tensor, place: Tensor, time: Tensor) -> None:
        """Take in a batch.

        Parameters
        ----------
        predicted, observed : (B, K) float32
        place, time : (B,) int64
            Which series, and where in it.
        """
        self.predicted.append(predicted)
        self.observed.append(observed)
        self.places.append(torch.stack([place, time], dim=1))

    def compute(self) -> dict[str, float]:
        """Return the scores.

        Returns
        -------
        dict
            ``NNSE`` and ``NNSE, summed``, the means over the windows; both of each window; and
            ``series``, how many have a score.
        """
        predicted, observed = (_joined(s).float() for s in (self.predicted, self.observed))
        (places, rows), (times, columns) = (
            np.unique(numbers, return_inverse=True)
            for numbers in _joined(self.places).cpu().numpy().T
        )
        grids = np.full((2, len(places), len(times), len(self._windows)), np.nan, np.float32)
        grids[0, rows, columns] = observed.cpu().numpy()
        grids[1, rows, columns] = predicted.cpu().numpy()
        found = {
            window: nnse(grids[0, ..., k], grids[1, ..., k], missing=self._missing)
            for k, window in enumerate(self._windows)
        }
        return {
            "NNSE": float(np.mean([score.averaged for score in found.values()])),
            "NNSE, summed": float(np.mean([score.summed for score in found.values()])),
            **{window: score.averaged for window, score in found.items()},
            **{f"{window}, summed": score.summed for window, score in found.items()},
            "series": min(score.series for score in found.values()),
        }


def _joined(state: Any) -> Tensor:  # Any: a list, or a tensor once it has been gathered
    return state if isinstance(state, Tensor) else torch.cat(state)


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
