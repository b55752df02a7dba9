"""Count, mean, standard deviation and range of values that come block by block."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

Document = Mapping[str, object]


class Moments:
    """Running statistics of finite values; merging blocks loses no precision (Chan et al.)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.squares = 0.0
        self.low = math.inf
        self.high = -math.inf

    def add(self, values: npt.NDArray[np.generic]) -> None:
        """Take in a block of any shape; NaN is passed over."""
        finite = np.asarray(values, np.float64).ravel()
        finite = finite[~np.isnan(finite)]
        if finite.size == 0:
            return
        mean = float(finite.mean())
        total = self.count + finite.size
        self.squares += float(np.square(finite - mean).sum())
        self.squares += (mean - self.mean) ** 2 * self.count * finite.size / total
        self.mean += (mean - self.mean) * finite.size / total
        self.count = total
        self.low = min(self.low, float(finite.min()))
        self.high = max(self.high, float(finite.max()))

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
