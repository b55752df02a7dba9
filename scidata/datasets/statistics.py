"""Count, mean, standard deviation and range of values that come block by block."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Document = Mapping[str, object]


class Moments:
    """Running statistics of values but NaN; merging blocks loses no precision (Chan et al.)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0
        self.low = math.inf
        self.high = -math.inf

    @classmethod
    def of(cls, values: npt.NDArray[np.generic]) -> "Moments":
        """Return those of one block."""
        found = cls()
        found.add(values)
        return found

    @classmethod
    def unpack(cls, packed: Sequence[float]) -> "Moments":
        """Return what `pack` made numbers of."""
        found = cls()
        if packed[0]:
            found.count = int(packed[0])
            found.mean, found.squares, found.low, found.high = packed[1:]
        return found

    def pack(self) -> list[float]:
        """Return what a line of JSON can hold: no infinity where there was no value."""
        if self.count == 0:
            return [0]
        return [self.count, self.mean, self.squares, self.low, self.high]

    def add(self, values: npt.NDArray[np.generic]) -> None:
        """Take in a block of any shape; NaN is passed over."""
        finite = np.asarray(values, np.float64).ravel()
        finite = finite[~np.isnan(finite)]
        if finite.size == 0:
            return
        block = Moments()
        block.count, block.mean = finite.size, float(finite.mean())
        block.squares = float(np.square(finite - block.mean).sum())
        block.low, block.high = float(finite.min()), float(finite.max())
        self.merge(block)

    def merge(self, other: "Moments") -> None:
        """Take in what another has seen."""
        if other.count == 0:
            return
        total = self.count + other.count
        self.squares += other.squares
        self.squares += (other.mean - self.mean) ** 2 * self.count * other.count / total
        self.mean += (other.mean - self.mean) * other.count / total
        self.count = total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)

    def report(self) -> dict[str, object]:
        """Return the statistics; only the count where there was no value."""
        if self.count == 0:
            return {"count": 0}
        return {
            "count": self.count,
            "mean": self.mean,
            "std": math.sqrt(self.squares / self.count),
            "min": self.low,
            "max": self.high,
        }


def write(path: Path, assets: Mapping[str, Document]) -> None:
    """Write ``statistics.json``, the same bytes for the same values."""
    document = {"schema": "scidata-statistics/1", "assets": assets}
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
