"""Sentinel-3 SLSTR Level-1 products SL_1_RBT: a SAFE folder, or one NetCDF file of it.

Radiances become reflectances, on the 1 km grid of the nadir view. Names, units, flags and grids
are those of the Sentinel-3 SLSTR Product Data Format Specification, Level 1
(S3IPF.PDS.005); the fill value of flags is 255.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scidata.datasets.cloudmask.netcdf import NetCdf, opened
from scidata.datasets.cloudmask.published import Header, coarsen
from scidata.datasets.cloudmask.scene import (
    SLSTR_REFLECTANCE,
    SLSTR_THERMAL,
    Flags,
    Float,
    Scene,
    check_scene,
    refuse,
)

SOLAR_IRRADIANCE = {
    "S1": 1837.39,
    "S2": 1525.94,
    "S3": 956.17,
    "S4": 365.90,
    "S5": 248.33,
    "S6": 78.33,
}
"""W m-2 um-1, of products that do not state their own; from SNAP's radiance-to-reflectance
processor (Rad2ReflConstants.java, SLSTR_SOLAR_FLUXES_DEFAULT)."""
SUMMARY_CLOUD = 1 << 14
"""Bit of ``confidence_in``."""
UNFILLED = 255
"""Of ``bayes_in``: no flag was computed."""
_PLANE = 2
LOWEST_SUN = 85.0
"""Zenith angle in degrees from which on no reflectance is computed: it would be noise."""
_MOST_FILES = 200


def read_header(path: Path, name: str) -> Header:
    """Read which variables a product has, and the size of its grid.

    Raises
    ------
    InvalidError
        If a variable is missing, or grids do not fit each other.
    """
    with _product(path, name) as held:
        return _header(held)


def read_scene(path: Path, name: str, facts: Mapping[str, int], *, label: str) -> Scene:
    """Read the nadir view of a product.

    Parameters
    ----------
    path : Path
        The folder ``*.SEN3``, or one NetCDF file that holds its variables.
    name : str
        For messages.
    facts : mapping
        Of the scene, from its name.
    label : {"bayes", "summary"}
        The Bayesian flags, or the summary of all cloud tests.

    Raises
    ------
    InvalidError
        If the product is damaged, or its Bayesian flags are not filled in.

    Notes
    -----
    Reflectance is pi L / (E cos z). Where the sun is down, or less than 5 degrees up, it is 0,
    as at night in the published files; where a radiance is missing it is NaN. Flags that were
    not computed are 0 where others were.
    """
    with _product(path, name) as held:
        header = _header(held)
        zenith = _zenith(held, header)
        refs = np.stack([_reflectance(held, c.name, zenith) for c in SLSTR_REFLECTANCE])
        bts = np.stack([held.of(_bt(c.name)).decoded(_bt(c.name)) for c in SLSTR_THERMAL])
        flags = _bayes(held) if label == "bayes" else _summary(held)
    scene = Scene(refs=refs, bts=bts, label=flags, facts=facts)
    check_scene(scene, name, SLSTR_REFLECTANCE, SLSTR_THERMAL)
    return scene


@dataclass(frozen=True)
class _Product:
    """The open files of a product."""

    name: str
    files: tuple[NetCdf, ...]

    def find(self, variable: str) -> NetCdf | None:
        return next((file for file in self.files if variable in file), None)

    def of(self, variable: str) -> NetCdf:
        found = self.find(variable)
        if found is None:
            raise refuse(self.name, "variable-missing", f"it lacks {variable}")
        return found


@contextmanager
def _product(path: Path, name: str) -> Iterator[_Product]:
    paths = [path] if path.is_file() else sorted(path.glob("*.nc"))
    if not 0 < len(paths) <= _MOST_FILES:
        raise refuse(name, "product", f"it holds {len(paths)} NetCDF files")
    with ExitStack() as stack:
        files = [
            stack.enter_context(opened(p, name if p == path else f"{name}/{p.name}"))
            for p in paths
        ]
        yield _Product(name, tuple(files))


def _header(held: _Product) -> Header:
    names = [_bt(c.name) for c in SLSTR_THERMAL]
    names += [_radiance(c.name) for c in SLSTR_REFLECTANCE]
    missing = [n for n in (*names, "solar_zenith_tn") if held.find(n) is None]
    if missing:
        raise refuse(held.name, "variable-missing", f"it lacks {', '.join(missing)}")
    shapes = {n: held.of(n).shape(n) for n in names}
    thermal = {shapes[_bt(c.name)] for c in SLSTR_THERMAL}
    visible = {shapes[_radiance(c.name)] for c in SLSTR_REFLECTANCE}
    size = next(iter(thermal))
    fine = visible == {tuple(2 * n for n in size)}
    if len(thermal) > 1 or len(size) != _PLANE or not (fine or visible == {size}):
        message = f"its grids are {sorted(thermal | visible)}, which do not fit"
        raise refuse(held.name, "shape", message)
    return Header(height=size[0], width=size[1], fine=fine, truth=False)


def _reflectance(held: _Product, channel: str, zenith: Float) -> Float:
    name = _radiance(channel)
    radiance = held.of(name).decoded(name)
    if radiance.shape != zenith.shape:
        radiance = coarsen(radiance[None])[0]
    stated = f"{channel}_solar_irradiance_an"
    source = held.find(stated)
    irradiance = (
        float(np.nanmean(source.decoded(stated))) if source else SOLAR_IRRADIANCE[channel]
    )
    lit = zenith < LOWEST_SUN
    height = np.where(lit, np.cos(np.deg2rad(zenith)), 1.0)
    found = np.where(lit, np.pi * radiance / (irradiance * height), 0.0)
    return found.astype(np.float32)


def _zenith(held: _Product, header: Header) -> Float:
    """Return the zenith angle of the sun in degrees, on the grid of the channels."""
    name = "solar_zenith_tn"
    zenith = held.of(name).decoded(name)
    if zenith.shape == header.size:
        return zenith
    across, image = "x_tx", "x_in"
    if held.find(across) is None or held.find(image) is None or len(zenith) != header.height:
        message = f"{name} has the shape {zenith.shape}, and nothing says where its points lie"
        raise refuse(held.name, "shape", message)
    tie = held.of(across).decoded(across)
    wanted = held.of(image).decoded(image)
    if tie.shape != zenith.shape or wanted.shape != header.size:
        message = f"{across} and {image} have other shapes than what they place"
        raise refuse(held.name, "shape", message)
    return np.stack([_along_row(*row) for row in zip(wanted, tie, zenith, strict=True)])


def _along_row(wanted: Float, tie: Float, zenith: Float) -> Float:
    known = np.isfinite(tie) & np.isfinite(zenith)
    if not known.any():
        return np.full(wanted.shape, np.nan, np.float32)
    order = np.argsort(tie[known])
    found = np.interp(wanted, tie[known][order], zenith[known][order])
    return found.astype(np.float32)


def _bayes(held: _Product) -> Flags:
    flags = held.of("bayes_in").raw("bayes_in").astype(np.uint8)
    if (flags == UNFILLED).all():
        raise refuse(
            held.name,
            "label-missing",
            "its Bayesian flags were not computed, as in products of 2017",
            "take the summary of all cloud tests: --label summary",
        )
    return np.where(flags == UNFILLED, 0, flags).astype(np.uint16)


def _summary(held: _Product) -> Flags:
    flags = held.of("confidence_in").raw("confidence_in").astype(np.uint16)
    return np.where(flags & SUMMARY_CLOUD, 1, 0).astype(np.uint16)


def _bt(channel: str) -> str:
    return f"{channel}_BT_in"


def _radiance(channel: str) -> str:
    return f"{channel}_radiance_an"
