"""One sample: a raster of diffraction patterns and the projected potential that gave them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.errors import Problem

Half: TypeAlias = npt.NDArray[np.float16]
Facts: TypeAlias = Mapping[str, Any]  # Any: numbers and texts, by name

CBED, POTENTIAL = "cbed", "2d_potential"
"""Names of the variables, as published."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Of every sample of a source."""

    probes: int
    """Positions of the probe, row by row."""
    side: int
    """Pixels on a side of a pattern, and of the potential."""

    @property
    def cbed(self) -> tuple[int, int, int]:
        """Of the patterns."""
        return self.probes, self.side, self.side

    @property
    def potential(self) -> tuple[int, int, int]:
        """Of the potential, which has a first axis of one."""
        return 1, self.side, self.side


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A sample."""

    id: str
    cbed: Half
    """(probes, side, side) float16."""
    potential: Half
    """(1, side, side) float16."""
    facts: Facts


def problem(name: str, code: str, message: str) -> Problem:
    """Say what is wrong with a sample."""
    return Problem(
        code=code,
        path=name,
        message=message,
        fix="get it again, or skip such samples: --damaged skip",
    )
