"""How cloudmask-aatsr is built: a crop of Envisat AATSR, SLSTR's predecessor, as NetCDF.

Variables and flags as SNAP writes the Level-1b product ATS_TOA_1P; both views, nadir and
forward, are images, and tiles of one place are in one part of the split.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from scidata.datasets import Survey, given
from scidata.datasets.cloudmask.netcdf import NetCdf, opened
from scidata.datasets.cloudmask.scene import Channel, Scene, check_scene, refuse
from scidata.datasets.cloudmask.single import Single
from scidata.datasets.cloudmask.tiles import Image, Look

REFLECTANCE = tuple(
    Channel(name=name, wavelength_um=wavelength)
    for name, wavelength in (("0550", 0.55), ("0670", 0.67), ("0870", 0.87), ("1600", 1.6))
)
THERMAL = tuple(
    Channel(name=name, wavelength_um=wavelength)
    for name, wavelength in (("0370", 3.7), ("1100", 10.85), ("1200", 12.0))
)
VIEWS = {"nadir": "nadir", "forward": "fward"}
CLOUDY = 1 << 1
"""Bit of ``cloud_flags_*``: any of the threshold tests found cloud."""
LOOK = Look(
    title="A crop of Envisat AATSR in tiles, with the operational cloud flag",
    size=16,
    reflectance=REFLECTANCE,
    thermal=THERMAL,
    label="1 where any operational threshold test found cloud",
)
_NAME = "ATS_TOA_1*.nc"


class Aatsr:
    """The recipe; see `scidata.datasets.Recipe`."""

    spreads = False

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """There are none."""
        return {}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """Find the one file."""
        place = given.required(source, "cloudmask-aatsr", "a file ATS_TOA_1*.nc")
        paths = [place] if place.is_file() else sorted(place.glob(_NAME))
        if len(paths) != 1:
            raise refuse(
                str(place), "layout", f"{len(paths)} files are called {_NAME}", "give one file"
            )
        files = [(paths[0].name, paths[0])]
        return Single(place, files, form="ATS_TOA_1 product", read=_read, look=LOOK)


def _read(files: Sequence[tuple[str, Path]]) -> list[Image]:
    ((name, path),) = files
    with opened(path, name) as held:
        return [_image(held, name, view, key) for view, key in VIEWS.items()]


def _image(held: NetCdf, name: str, view: str, key: str) -> Image:
    refs_names = [f"reflec_{key}_{channel.name}" for channel in REFLECTANCE]
    bts_names = [f"btemp_{key}_{channel.name}" for channel in THERMAL]
    flags = f"cloud_flags_{key}"
    if missing := [n for n in (*refs_names, *bts_names, flags) if n not in held]:
        fix = "give a product ATS_TOA_1P as NetCDF"
        raise refuse(name, "variable-missing", f"it lacks {', '.join(missing)}", fix)
    shapes = {held.shape(n) for n in (*refs_names, *bts_names, flags)}
    if len(shapes) > 1 or min(next(iter(shapes))) < LOOK.size * 5:
        raise refuse(name, "shape", f"its grids are {sorted(shapes)}", "give a larger crop")
    percent = np.stack([held.decoded(n) for n in refs_names])
    bts = np.stack([held.decoded(n) for n in bts_names])
    # Small negative numbers say why there is none: -5, scaled -0.05 K, where it saturated.
    bts[bts <= 0] = np.nan
    label = (held.raw(flags).astype(np.uint16) & CLOUDY) != 0
    scene = Scene(refs=percent / np.float32(100), bts=bts, label=label.astype(np.uint16))
    check_scene(scene, name, REFLECTANCE, THERMAL)
    known = np.asarray(np.isfinite(scene.bts).any(axis=0))
    return Image(name=view, scene=scene, known=known)


RECIPE = Aatsr()
