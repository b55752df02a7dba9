"""Scores of images that are quantities: relative L1, and Fourier-ring correlation."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

_RESOLVED = 1 / 7
"""Correlation above which a ring counts as resolved, as usual for one image and its truth."""


class RelativeL1(Metric):
    """Sum of absolute errors over the sum of absolute observations, of the whole set."""

    full_state_update = False
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(2, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, observed: Tensor) -> None:
        """Take in a batch, of any shape."""
        error = (predicted - observed).double().abs().sum()
        self.sums += torch.stack([error, observed.double().abs().sum()])

    def compute(self) -> Tensor:
        """Return the score; infinite if everything observed is 0 and not predicted so."""
        return self.sums[0] / self.sums[1]


class RingCorrelation(Metric):
    """Fourier-ring correlation, the mean over images and rings.

    Parameters
    ----------
    resolved : bool
        Give the share of the rings, from the lowest frequency on, before the mean curve falls
        below 1/7 instead.
    """

    full_state_update = False
    curves: Any  # Any: a tensor once there is one

    def __init__(self, *, resolved: bool = False) -> None:
        super().__init__()
        self._resolved = resolved
        self.add_state("curves", default=[], dist_reduce_fx="cat")

    def update(self, predicted: Tensor, observed: Tensor) -> None:
        """Take in a batch: (B, 1, H, H) each."""
        self.curves.append(ring_correlation(predicted[:, 0], observed[:, 0]))

    def compute(self) -> Tensor:
        """Return the score."""
        held = self.curves
        curve = (held if isinstance(held, Tensor) else torch.cat(held)).mean(dim=0)
        if not self._resolved:
            return curve.mean()
        below = (curve < _RESOLVED).nonzero()
        return torch.tensor(float(below[0] if len(below) else len(curve)) / len(curve))


def ring_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Correlate the spectra of images ring by ring.

    Parameters
    ----------
    first, second : (B, H, H) floating

    Returns
    -------
    (B, H // 2) float64
        At 1, 2, … H // 2 periods a side. 1 where both are the same but for a positive factor,
        -1 where one is the other's negative, 0 where one has nothing. The mean of an image,
        which is no structure, is in no ring.

    Notes
    -----
    Source: Saxton and Baumeister, J. Microscopy 127 (1982) 127; no window is applied.
    """
    side = first.shape[-1]
    one, two = (torch.fft.fft2(image.double()) for image in (first, second))
    line = torch.fft.fftfreq(side, 1 / side, device=first.device)
    ring = torch.round(torch.hypot(line[:, None], line[None])).long().flatten()
    count = side // 2 + 1
    kept = (ring < count) & (ring > 0)

    def summed(values: Tensor) -> Tensor:
        held = values.flatten(1)[:, kept]
        sums = torch.zeros(len(held), count, dtype=held.dtype, device=held.device)
        return sums.index_add_(1, ring[kept], held)[:, 1:]

    both = summed((one * two.conj()).real)
    power = summed(one.abs() ** 2) * summed(two.abs() ** 2)
    # Rounding leaves something of this size where an image has nothing.
    whole = (first.double() ** 2).sum((1, 2)) * (second.double() ** 2).sum((1, 2)) * side**4
    there = power > 1e-24 * whole[:, None]
    return torch.where(there, both / power.clamp(min=1e-300).sqrt(), torch.zeros_like(both))
