"""Cloud masks that need no network: the commoner class, and thresholds set in training.

A threshold mask says cloud where it is bright or cold by day, and where it is cold by night.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Counts = npt.NDArray[np.int64]

REFLECTANCE = np.linspace(0.0, 1.0, 101)
KELVIN = np.linspace(200.0, 320.0, 121)
"""Thresholds that are tried."""
MOST_PIXELS = 100_000_000
"""Of the training part, from which thresholds are set."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What the training pixels say."""

    share: float
    """Of cloudy pixels."""
    bright: float
    """Reflectance above which it is cloud by day."""
    cold: tuple[float, float]
    """Temperature in kelvin below which it is cloud, by night and by day."""
    right: float
    """Share of the training pixels in which the thresholds agree with the label."""

    def majority(self, like: Tensor) -> Tensor:
        """Return the logit of the share everywhere: the class is the commoner one."""
        return torch.full_like(like, _logit(self.share))

    def mask(self, reflectance: Tensor, kelvin: Tensor, day: Tensor) -> Tensor:
        """Return logits of cloud, as sure as the thresholds were right in training.

        Parameters
        ----------
        reflectance, kelvin : (B, H, W) float32
            At 0.66 and 10.85 um; not a number, or 0 K, is no cloud.
        day : (B,)
        """
        lit = (day != 0).reshape(-1, 1, 1)
        cold = torch.where(lit, self.cold[1], self.cold[0])
        cloud = (kelvin > 0) & ((kelvin < cold) | (lit & (reflectance > self.bright)))
        sure = _logit(self.right)
        return torch.where(cloud, sure, -sure)


def fit(batches: Iterable[tuple[Tensor, Tensor, Tensor, Tensor]]) -> Thresholds:
    """Choose the thresholds that are right in most pixels.

    Parameters
    ----------
    batches : iterable of (reflectance, kelvin, day, cloud)
        (B, H, W) each, `day` (B,); taken until there are `MOST_PIXELS`.
    """
    shape = 2, 2, len(REFLECTANCE) + 1, len(KELVIN) + 1
    counts: Counts = np.zeros(shape, np.int64)
    empty = np.zeros(2, np.int64)  # clear and cloudy pixels outside the swath
    for reflectance, kelvin, day, cloud in batches:
        counts += _histogram(reflectance, kelvin, day, cloud, shape)
        outside = ~(kelvin > 0)
        empty += np.bincount((cloud[outside] != 0).long().cpu().numpy(), minlength=2)
        if counts.sum() + empty.sum() >= MOST_PIXELS:
            break
    total = max(int(counts.sum() + empty.sum()), 1)
    night, _, cold_night = _best(counts[0], bright=False)
    by_day, bright, cold_day = _best(counts[1], bright=True)
    return Thresholds(
        share=(int(counts[:, 1].sum()) + int(empty[1])) / total,
        bright=bright,
        cold=(cold_night, cold_day),
        right=(night + by_day + int(empty[0])) / total,
    )


def _histogram(
    reflectance: Tensor, kelvin: Tensor, day: Tensor, cloud: Tensor, shape: tuple[int, ...]
) -> Counts:
    """Count pixels by day, cloud, and which thresholds they exceed."""
    reflectance, kelvin = reflectance.contiguous(), kelvin.contiguous()
    inside = kelvin > 0
    place = torch.bucketize(reflectance.nan_to_num(nan=0.0), _tensor(REFLECTANCE, kelvin))
    warm = torch.bucketize(kelvin, _tensor(KELVIN, kelvin), right=True)
    lit = (day != 0).long().reshape(-1, 1, 1).expand_as(place)
    cell = ((lit * 2 + (cloud != 0).long()) * shape[2] + place) * shape[3] + warm
    found = torch.bincount(cell[inside], minlength=math.prod(shape))
    return found.cpu().numpy().reshape(shape)


def _best(counts: Counts, *, bright: bool) -> tuple[int, float, float]:
    """Return how many pixels the best thresholds get right, and these."""
    # [r, t]: pixels not brighter than threshold r and not colder than threshold t.
    clear, missed = (_unseen(c, bright=bright) for c in counts)
    right = clear + counts[1].sum() - missed
    row, column = np.unravel_index(int(right.argmax()), right.shape)
    level = float(REFLECTANCE[row]) if bright else math.inf
    return int(right[row, column]), level, float(KELVIN[column])


def _unseen(counts: Counts, *, bright: bool) -> Counts:
    darker = np.cumsum(counts, axis=0)[:-1] if bright else counts.sum(axis=0, keepdims=True)
    warmer: Counts = np.cumsum(darker[:, ::-1], axis=1)[:, ::-1]
    return warmer[:, 1:]


def _tensor(values: npt.NDArray[np.float64], like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.device, like.dtype)


def _logit(share: float) -> float:
    share = min(max(share, 1e-7), 1 - 1e-7)
    return math.log(share / (1 - share))
