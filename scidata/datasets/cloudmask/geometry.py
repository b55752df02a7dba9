"""How scenes are cut into patches: the crop at the centre to train on, overlaps to predict on.

Pure. Source: reference code of the MLCommons Science benchmark CloudMask, whose overlapping
patches are those of TensorFlow's padding ``SAME``: zeros on both sides, one more behind if odd.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[Any]

PATCH = 256
"""Pixels on a side, as published."""
SMALLEST = 8
MARGIN = 40
"""Pixels that are cut from every side of a prediction, as published: half of CROP_SIZE 80."""


def centre_crop(length: int, patch: int) -> tuple[int, int]:
    """Return where the first patch of the centre crop begins along an axis, and how many fit.

    Examples
    --------
    >>> centre_crop(1200, 256), centre_crop(1500, 256)
    ((88, 4), (110, 5))
    """
    return length % patch // 2, length // patch


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """Overlapping patches along one axis."""

    length: int
    patch: int
    margin: int

    @property
    def stride(self) -> int:
        """Pixels of a patch that are kept."""
        return self.patch - 2 * self.margin

    @property
    def count(self) -> int:
        return -(-self.length // self.stride)

    @property
    def padding(self) -> tuple[int, int]:
        total = (self.count - 1) * self.stride + self.patch - self.length
        return total // 2, total - total // 2

    @property
    def offset(self) -> int:
        """Pixels of the stitched cores that lie before the image."""
        return self.padding[0] - self.margin


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Overlapping patches of an image, and the way back.

    ``stitch(split(x)) == x`` for every image, patch and margin.

    Parameters
    ----------
    height, width : int
        Pixels of the image.
    patch, margin : int
        Pixels on a side of a patch, and how many are cut from each of its sides.

    Raises
    ------
    ValueError
        If nothing is left of a patch without its margins.
    """

    height: int
    width: int
    patch: int = PATCH
    margin: int = MARGIN

    def __post_init__(self) -> None:
        if self.margin < 0 or 2 * self.margin >= self.patch or min(self.height, self.width) < 1:
            msg = f"a patch of {self.patch} pixels without {self.margin} on each side is empty"
            raise ValueError(msg)

    @property
    def axes(self) -> tuple[_Axis, _Axis]:
        """Along rows and along columns."""
        rest = {"patch": self.patch, "margin": self.margin}
        return _Axis(length=self.height, **rest), _Axis(length=self.width, **rest)

    @property
    def count(self) -> int:
        """Number of patches."""
        rows, columns = self.axes
        return rows.count * columns.count

    def split(self, image: Pixels) -> Pixels:
        """Cut an image into its patches, row by row.

        Parameters
        ----------
        image : (..., height, width)

        Returns
        -------
        (count, ..., patch, patch)
            Zero outside the image.
        """
        rows, columns = self.axes
        ahead = [(0, 0)] * (image.ndim - 2)
        padded = np.pad(image, [*ahead, rows.padding, columns.padding])
        size = (self.patch, self.patch)
        views = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(-2, -1))
        chosen = np.moveaxis(
            views[..., :: rows.stride, :: columns.stride, :, :], (-4, -3), (0, 1)
        )
        return chosen.reshape(self.count, *chosen.shape[2:])

    def stitch(self, patches: Pixels) -> Pixels:
        """Put predictions together: margins are cut, cores laid side by side.

        Parameters
        ----------
        patches : (count, ..., patch, patch)

        Returns
        -------
        (..., height, width)
        """
        rows, columns = self.axes
        keep = slice(self.margin, self.patch - self.margin)
        cores = patches[..., keep, keep]
        grid = cores.reshape(rows.count, columns.count, *cores.shape[1:])
        # (row, column, ..., y, x) to (..., row, y, column, x)
        moved = np.moveaxis(np.moveaxis(grid, 0, -3), 0, -2)
        joined = moved.reshape(
            *moved.shape[:-4], rows.count * rows.stride, columns.count * columns.stride
        )
        found: Pixels = joined[
            ...,
            rows.offset : rows.offset + self.height,
            columns.offset : columns.offset + self.width,
        ]
        return found


def patch_of(height: int, width: int) -> int | None:
    """Return the patch that scenes of a size are trained on: four fit along the shorter side.

    Returns
    -------
    int or None
        A power of two, at most the published 256; None if fewer than 8 pixels would be left,
        of which a network that halves three times sees one.

    Examples
    --------
    >>> patch_of(1200, 1500), patch_of(600, 750), patch_of(300, 375), patch_of(24, 30)
    (256, 128, 64, None)
    """
    quarter = min(height, width) // 4
    size = min(PATCH, 1 << quarter.bit_length() - 1) if quarter else 0
    return size if size >= SMALLEST else None
