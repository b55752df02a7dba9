"""How samples lie in ``data/rasters.zarr``: patterns of a raster, and the potential."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.datasets.samples import Layout, Variable
from scidata.datasets.stemdl.layout import FACTS
from scidata.errors import Problem

Half: TypeAlias = npt.NDArray[np.float16]

ASSET = "rasters"
CBED, POTENTIAL = "cbed", "2d_potential"
"""Names of the variables, as published."""
KNOWN = ("material", "space_group", "formula", "prototype")
"""What is known of a simulated sample."""
_SHARD_BYTES = 2**26
_MOST_A_SHARD = 64
_LONG = {
    CBED: "diffracted intensity at each position of the probe, row by row",
    POTENTIAL: "electrostatic potential, projected along the beam",
}


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

    @property
    def shard(self) -> int:
        """Samples in a shard: as many as are read, and held in memory, together."""
        size = np.dtype(np.float16).itemsize * (prod(self.cbed) + prod(self.potential))
        return max(1, min(_MOST_A_SHARD, _SHARD_BYTES // size))


def layout(
    title: str, shape: Shape, *, units: Mapping[str, str], facts: Collection[str] = ()
) -> Layout:
    """Lay out samples.

    Parameters
    ----------
    title : str
    shape : Shape
    units : mapping
        Of the two variables, where they are known.
    facts : collection of str
        Names of what is known of every sample.
    """
    dims = {CBED: ("probe", "ky", "kx"), POTENTIAL: ("layer", "y", "x")}
    sizes = {CBED: shape.cbed, POTENTIAL: shape.potential}
    return Layout(
        asset=ASSET,
        title=title,
        dimension="sample",
        naming="name of the sample",
        variables={
            name: Variable(
                shape=dict(zip(dims[name], sizes[name], strict=True)),
                dtype="float16",
                attributes={
                    "long_name": _LONG[name],
                    **({"units": units[name]} if name in units else {}),
                },
            )
            for name in dims
        },
        facts={name: FACTS[name] for name in facts},
        shard=shape.shard,
    )


def problem(name: str, code: str, message: str) -> Problem:
    """Say what is wrong with a sample."""
    return Problem(
        code=code,
        path=name,
        message=message,
        fix="get it again, or skip such samples: --damaged skip",
    )
