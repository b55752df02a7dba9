"""Memory of batches, used again when nobody holds the batch any more.

Fresh memory costs a page fault every 4 KiB, which for large samples is a good part of the time
that a batch takes. A buffer is free when its tensor, and every view of it, is gone: then only
the list here refers to it.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scidata.loaders.samples import Field

SPARE = 3
"""Buffers of a variable besides those that are being filled: one that waits, and some that the
loop still holds."""


def _holders(kept: Sequence[object], n: int) -> int:
    return sys.getrefcount(kept[n])


_NOBODY = _holders([object()], 0)
"""What `_holders` returns if only the list holds it: interpreters count differently."""


class Buffers:
    """Gives out tensors for batches of one size.

    Parameters
    ----------
    batch_size : int
    filled : int
        Batches that are being filled at once.
    pinned : bool
        In page-locked memory, which a GPU copies from without waiting.
    """

    def __init__(self, batch_size: int, *, filled: int, pinned: bool) -> None:
        self._batch_size, self._most, self._pinned = batch_size, filled + SPARE, pinned
        self._kept: dict[str, list[npt.NDArray[Any]]] = {}

    def take(self, field: Field, samples: int) -> Tensor:
        """Return a tensor (samples, …) of a field, not filled."""
        shape = (samples, *field.shape)
        if self._pinned:  # torch keeps and reuses page-locked memory by itself
            like = torch.from_numpy(np.empty(0, field.layout.dtype))
            return torch.empty(shape, dtype=like.dtype, pin_memory=True)
        if samples != self._batch_size:
            return torch.from_numpy(np.empty(shape, field.layout.dtype))
        kept = self._kept.setdefault(field.name, [])
        for n in range(len(kept)):
            if _holders(kept, n) == _NOBODY:
                return torch.from_numpy(kept[n])
        fresh = np.empty(shape, field.layout.dtype)
        if len(kept) < self._most:
            kept.append(fresh)
        return torch.from_numpy(fresh)
