"""How cloudmask-landsat8 is built: bands of one Landsat 8 scene, with a computed label.

The label is the first pass of Fmask, potential cloud pixels. Sources of the tests and their
thresholds: Zhu and Woodcock (2012), doi:10.1016/j.rse.2011.10.028; the cirrus test of Landsat 8
from Zhu, Wang and Woodcock (2015), doi:10.1016/j.rse.2014.12.014.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.datasets import Survey, given
from scidata.datasets.cloudmask.scene import Channel, Float, Scene, check_scene, refuse
from scidata.datasets.cloudmask.single import Single
from scidata.datasets.cloudmask.tiff import read_tiff
from scidata.datasets.cloudmask.tiles import Image, Look

Mask: TypeAlias = npt.NDArray[np.bool_]

REFLECTANCE = tuple(
    Channel(name=name, wavelength_um=wavelength)
    for name, wavelength in (
        ("B1", 0.443), ("B2", 0.482), ("B3", 0.561), ("B4", 0.655),
        ("B5", 0.865), ("B6", 1.609), ("B7", 2.201), ("B9", 1.373),
    )
)  # fmt: skip
THERMAL = (
    Channel(name="B10", wavelength_um=10.9),
    Channel(name="B11", wavelength_um=12.0),
)
ZERO_CELSIUS_K = 273.15
MIN_SWIR, WARMEST_C, MOST_INDEX, MOST_COLOUR, HAZE, MIN_RATIO = 0.03, 27.0, 0.8, 0.7, 0.08, 0.75
MIN_CIRRUS = 0.01
"""Of the tests: reflectance of band 7, temperature, NDSI and NDVI, whiteness, haze-optimised
transform, band 5 over band 6, reflectance of band 9."""
LOOK = Look(
    title="A Landsat 8 scene in tiles, with potential cloud pixels",
    size=32,
    reflectance=REFLECTANCE,
    thermal=THERMAL,
    label="1 where the first pass of Fmask finds a potential cloud pixel",
)
_BAND = re.compile(r"(?P<scene>LC8\w+?)_(?P<band>B\d+)_toa\.tif", re.ASCII)


class Landsat8:
    """The recipe; see `scidata.datasets.Recipe`."""

    spreads = False

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """There are none."""
        return {}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """Find a file of each band."""
        what = "a folder of LC8…_B1_toa.tif to LC8…_B11_toa.tif"
        place = given.required(source, "cloudmask-landsat8", what)
        named = {p: _BAND.fullmatch(p.name) for p in sorted(place.glob("*_toa.tif"))}
        scenes = {m["scene"] for m in named.values() if m}
        bands = {m["band"]: path for path, m in named.items() if m}
        missing = [c.name for c in (*REFLECTANCE, *THERMAL) if c.name not in bands]
        if missing or len(scenes) > 1:
            message = (
                f"it lacks the bands {', '.join(missing)}"
                if missing
                else f"it holds the scenes {', '.join(sorted(scenes))}"
            )
            raise refuse(str(place), "layout", message, f"give {what}, of one scene")
        files = [(bands[c.name].name, bands[c.name]) for c in (*REFLECTANCE, *THERMAL)]
        return Single(place, files, form="Landsat 8 bands as TIFF", read=_read, look=LOOK)


def potential_cloud(refs: Float, kelvin: Float) -> Mask:
    """Find potential cloud pixels: the first pass of Fmask.

    Parameters
    ----------
    refs : (8, H, W)
        Bands 1 to 7 and 9.
    kelvin : (H, W)
        Band 10.

    Returns
    -------
    (H, W)
        False where a band is not a number.
    """
    _, blue, green, red, nir, swir1, swir2, cirrus = refs.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ndsi = (green - swir1) / (green + swir1)
        ndvi = (nir - red) / (nir + red)
        mean = (blue + green + red) / 3
        whiteness = sum(abs(band - mean) for band in (blue, green, red)) / mean
        found = (
            (swir2 > MIN_SWIR)
            & (kelvin < WARMEST_C + ZERO_CELSIUS_K)
            & (ndsi < MOST_INDEX)
            & (ndvi < MOST_INDEX)
            & (whiteness < MOST_COLOUR)
            & (blue - 0.5 * red - HAZE > 0)
            & (nir / swir1 > MIN_RATIO)
        )
    return np.asarray(found | (cirrus > MIN_CIRRUS))


def _read(files: Sequence[tuple[str, Path]]) -> list[Image]:
    bands = [(name, read_tiff(path, name)) for name, path in files]
    shape = bands[0][1].shape
    for name, values in bands:
        if values.shape != shape or min(shape) < LOOK.size * 5:
            raise refuse(name, "shape", f"it has {values.shape} pixels", "give whole bands")
    stacked = np.stack([values.astype(np.float32) for _, values in bands])
    known = np.isfinite(stacked).all(axis=0) & (stacked != 0).any(axis=0)
    refs, bts = np.split(np.where(known, stacked, np.nan), [len(REFLECTANCE)])
    kelvin = bts + np.float32(ZERO_CELSIUS_K)
    label = known & potential_cloud(refs, kelvin[0])
    scene = Scene(refs=refs, bts=kelvin, label=label.astype(np.uint16))
    check_scene(scene, files[0][0], REFLECTANCE, THERMAL)
    return [Image(name="scene", scene=scene, known=known)]


RECIPE = Landsat8()
