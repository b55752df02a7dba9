"""Intensities to what the published networks see: logarithm first, then smaller. Pure."""

from math import gcd
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Float: TypeAlias = npt.NDArray[np.float32]

FLOOR, FACTOR, HIGHEST = -17.0, 10.0, 255.0
"""v = clip((max(FLOOR, ln I) - FLOOR) FACTOR, 0, HIGHEST): of the benchmark's own code."""
SIDE = 128
"""Pixels on a side of a scaled pattern."""


def log_scale(intensity: npt.NDArray[Any]) -> Float:  # Any: any kind of number
    """Scale intensities to 0 to 255; zero, and what is below exp(-17), becomes 0.

    Parameters
    ----------
    intensity : any shape
        Linear, not negative.

    Returns
    -------
    Same shape, float32
    """
    lowest = np.exp(FLOOR)
    logarithm = np.log(np.maximum(intensity, lowest), dtype=np.float64)
    return np.asarray(np.clip((logarithm - FLOOR) * FACTOR, 0, HIGHEST), np.float32)


def shrink(images: Float, side: int = SIDE) -> Float:
    """Resize images to a smaller square by averaging areas.

    Parameters
    ----------
    images : (..., N, N) float32
    side : int
        At most N. Of a divisor of N, the result is the mean of blocks.

    Returns
    -------
    (..., side, side) float32
    """
    size = images.shape[-1]
    step = gcd(size, side)
    if side == size:
        return images
    if step == side:
        block = size // side
        blocks = images.reshape(*images.shape[:-2], side, block, side, block)
        return np.asarray(blocks.mean(axis=(-3, -1), dtype=np.float64), np.float32)
    weights = _overlaps(size, side)
    return (weights @ images.astype(np.float64) @ weights.T).astype(np.float32)


def _overlaps(size: int, side: int) -> npt.NDArray[np.float64]:
    """Share of each of `size` old pixels in each of `side` new ones; rows add up to one."""
    edges = np.arange(side + 1) * (size / side)
    low, high = edges[:-1, None], edges[1:, None]
    old = np.arange(size)
    shared = np.minimum(high, old + 1) - np.maximum(low, old)
    return np.asarray(np.clip(shared, 0, None) * (side / size), np.float64)
