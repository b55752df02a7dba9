"""How scenes lie in ``data/scenes.zarr``; a shard holds one scene of one variable."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scidata.datasets.array_store import Attributes
from scidata.datasets.cloudmask.scene import (
    SLSTR_REFLECTANCE,
    SLSTR_THERMAL,
    Channel,
    Scene,
)
from scidata.datasets.samples import Coordinate, Fact, Layout, Sample, Variable

ASSET = "scenes"
CHUNK = 128
"""Pixels on a side of an inner chunk: 393 kB of reflectance."""
CLOUDY, PIXELS = "cloudy", "pixels"
"""Tallies: pixels whose label is not zero, and all."""

_ATTRIBUTES: Mapping[str, Attributes] = {
    "refs": {
        "units": "1",
        "long_name": "top-of-atmosphere reflectance",
        "standard_name": "toa_bidirectional_reflectance",
        "coordinates": "refs_wavelength",
    },
    "bts": {
        "units": "K",
        "long_name": "top-of-atmosphere brightness temperature",
        "standard_name": "toa_brightness_temperature",
        "coordinates": "bts_wavelength",
    },
    "bayes": {"units": "1", "long_name": "cloud flags; not zero is taken as cloud"},
    "truth": {"units": "1", "long_name": "1 where there is cloud, as simulated"},
}
_FACTS: Mapping[str, Fact] = {
    "day": Fact(
        dtype="uint8",
        attributes={"units": "1", "long_name": "1 if any reflectance was measured"},
    ),
    "time": Fact(
        dtype="int64",
        attributes={
            "standard_name": "time",
            "long_name": "first line of the frame, UTC",
            "units": "seconds since 1970-01-01",
            "calendar": "proleptic_gregorian",
        },
    ),
    "cycle": Fact(dtype="int64", attributes={"units": "1", "long_name": "cycle of 385 orbits"}),
    "orbit": Fact(dtype="int64", attributes={"units": "1", "long_name": "orbit in its cycle"}),
    "frame": Fact(
        dtype="int64",
        attributes={"units": "1", "long_name": "along-track coordinate of the frame"},
    ),
}


def layout(title: str, height: int, width: int, *, truth: bool) -> Layout:
    """Lay out scenes of one size, with the true mask or without."""
    area = {"y": height, "x": width}
    chunk = tuple(min(CHUNK, n) for n in area.values())
    measured = {
        name: Variable(
            shape={f"{name}_channel": len(channels), **area},
            dtype="float32",
            attributes=_ATTRIBUTES[name],
            chunk=(len(channels), *chunk),
            codec="lz4",
        )
        for name, channels in (("refs", SLSTR_REFLECTANCE), ("bts", SLSTR_THERMAL))
    }
    masks = {
        name: Variable(
            shape=area, dtype=dtype, attributes=_ATTRIBUTES[name], chunk=chunk, counted=False
        )
        for name, dtype in (("bayes", "uint16"), *((("truth", "uint8"),) if truth else ()))
    }
    return Layout(
        asset=ASSET,
        title=title,
        dimension="scene",
        naming="name of the file, without suffix",
        variables={**measured, **masks},
        facts=_FACTS,
        coordinates={**channels("refs", SLSTR_REFLECTANCE), **channels("bts", SLSTR_THERMAL)},
    )


def sample_of(name: str, scene: Scene, **tallies: int) -> Sample:
    """Make a sample of a scene, whose facts are those of its name."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "refs": scene.refs,
        "bts": scene.bts,
        "bayes": scene.label,
    }
    if scene.truth is not None:
        arrays["truth"] = scene.truth
    return Sample(
        id=name,
        arrays=arrays,
        facts={**scene.facts, "day": int(scene.is_day)},
        tallies={
            CLOUDY: int(np.count_nonzero(scene.label)),
            PIXELS: scene.label.size,
            **tallies,
        },
    )


def channels(variable: str, held: Sequence[Channel]) -> dict[str, Coordinate]:
    """Return the names and wavelengths of a variable's channels."""
    dim = f"{variable}_channel"
    return {
        dim: Coordinate(
            dimension=dim,
            values=tuple(channel.name for channel in held),
            attributes={"long_name": "channel of the instrument"},
        ),
        f"{variable}_wavelength": Coordinate(
            dimension=dim,
            values=tuple(channel.wavelength_um for channel in held),
            attributes={
                "units": "um",
                "standard_name": "sensor_band_central_radiation_wavelength",
                "long_name": "wavelength at the centre of the channel",
            },
        ),
    }
