"""Simulated scenes: surface, clouds and radiation, with the true mask. Pure, of a seed alone.

What is simulated: sea, land and sea ice with their spectra and temperatures, sun glint, water
vapour; stratus, cumulus and cirrus as fields with a power-law spectrum; clouds mixed in layer
by layer, two-stream in sunlight and by emissivity in the infrared. What is not: slanting views,
shadows, aerosol, polarisation, scattering in the infrared, and weather.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.datasets.cloudmask.radiation import radiance, sunlight, temperature
from scidata.datasets.cloudmask.scene import SLSTR_THERMAL

Field: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

OCEAN = (0.06, 0.04, 0.03, 0.0, 0.02, 0.01)
LAND = (0.10, 0.12, 0.30, 0.0, 0.25, 0.15)
ICE = (0.80, 0.78, 0.70, 0.0, 0.10, 0.06)
WATER_CLOUD = (1.0, 1.0, 0.98, 0.02, 0.80, 0.60)
ICE_CLOUD = (1.0, 1.0, 0.97, 0.90, 0.45, 0.30)
"""Reflectance of channels S1 to S6, of clouds where they are thick. Water vapour hides all but
high clouds in S4."""
GLINT = (1.0, 1.0, 1.0, 0.0, 0.9, 0.8)
REFLECTED_S7 = {"ocean": 0.01, "land": 0.08, "ice": 0.02, "water": 0.15, "icy": 0.03}
"""Reflectance at 3.74 um."""
ASYMMETRY = 0.85
"""Of scattering by cloud drops."""
LAPSE_K_KM = 6.5
"""International Standard Atmosphere."""
NOISE_K, NOISE = 0.05, 0.02
"""Of brightness temperatures, and of reflectances relative to them."""
ICE_NORTH = 65.0
"""Degrees north of which the sea freezes, give or take 2."""
NIGHTS = (1, 3)
"""Of five scenes, those by night."""
_SPLIT_WINDOW = (0.6, 1.0, 2.0)
"""Cooling by water vapour in S7, S8 and S9, relative to S8."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """A scene without flags."""

    refs: npt.NDArray[np.float32]
    """(6, H, W) reflectance, zero at night and in the border."""
    bts: npt.NDArray[np.float32]
    """(3, H, W) K, zero in the border."""
    truth: Mask
    """(H, W) where there is cloud."""
    forecast_k: Field
    """(H, W) temperature of the surface that a forecast gives, which errs by 1.2 K at sea and
    by 3 K on land."""
    land: Mask
    inside: Mask
    """(H, W) False in the border."""
    day: bool


@dataclass(frozen=True, kw_only=True)
class _Surface:
    reflectance: Field
    s7: Field
    kelvin: Field
    background_k: Field
    forecast_k: Field
    land: Mask


@dataclass(frozen=True, kw_only=True)
class _Cloud:
    depth: Field
    """Optical depth; 0 where there is none."""
    kelvin: Field
    spectrum: tuple[float, ...]
    s7: float


def simulate(seed: int, number: int, height: int, width: int) -> Simulated:
    """Simulate scene `number` of a series.

    Parameters
    ----------
    seed, number : int
        Scenes of a series differ; each depends on these two and the size alone.
    height, width : int
        Pixels of 1 km.
    """
    rng = np.random.default_rng([seed, number])
    day = number % 5 not in NIGHTS
    shape = height, width
    surface = _surface(rng, shape, day=day)
    clouds = _clouds(rng, shape, surface)
    sun = np.deg2rad(rng.uniform(25, 65))
    refs = surface.reflectance
    for cloud in clouds:
        albedo = _albedo(cloud.depth)
        refs = refs * (1 - albedo) + albedo * _spectrum(cloud.spectrum)
    refs = refs * (1 + NOISE * rng.standard_normal(refs.shape)) if day else np.zeros_like(refs)
    bts = _brightness(surface, clouds, float(np.cos(sun)) if day else 0.0)
    bts = bts + NOISE_K * rng.standard_normal(bts.shape)
    inside = _inside(rng, shape)
    return Simulated(
        refs=np.where(inside, np.maximum(refs, 0), 0).astype(np.float32),
        bts=np.where(inside, bts, 0).astype(np.float32),
        truth=inside & np.any([cloud.depth > 0 for cloud in clouds], axis=0),
        forecast_k=surface.forecast_k,
        land=surface.land,
        inside=inside,
        day=day,
    )


def fractal(
    rng: np.random.Generator, shape: tuple[int, int], slope: float, largest: float = 0.0
) -> Field:
    """Return a random field with the power spectrum f ** -slope, mean 0, deviation 1.

    Parameters
    ----------
    largest : float
        Pixels of the largest structures; 0 for those of the whole image.
    """
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    least = 1 / largest if largest else 0.0
    frequency = np.sqrt(rows**2 + columns**2 + least**2)
    frequency[0, 0] = np.inf
    white = np.fft.rfft2(rng.standard_normal(shape))
    field = np.fft.irfft2(white * frequency ** (-slope / 2), s=shape)
    return np.asarray((field - field.mean()) / field.std())


def _surface(rng: np.random.Generator, shape: tuple[int, int], *, day: bool) -> _Surface:
    latitude = rng.uniform(25, 72) - np.arange(shape[0])[:, None] / 111.0 + np.zeros(shape)
    sea_k = 300 - 0.6 * np.abs(latitude)
    land = fractal(rng, shape, 3.0) > np.quantile(
        fractal(rng, shape, 3.0), 1 - rng.choice([0.0, 0.15, 0.35, 0.6])
    )
    ice = ~land & (latitude + 2 * fractal(rng, shape, 3.0) > ICE_NORTH)
    offset = rng.uniform(3, 10) if day else -rng.uniform(3, 8)
    background = np.where(land, sea_k + offset, np.where(ice, np.minimum(sea_k, 264), sea_k))
    relief = np.where(land, 4.0, 0.7)
    kelvin = background + relief * fractal(rng, shape, 2.0)
    error = np.where(land, 3.0, 1.2) * fractal(rng, shape, 3.5)
    kinds = [land[None], ice[None]]
    refs = np.select(kinds, [_spectrum(LAND), _spectrum(ICE)], _spectrum(OCEAN))
    refs = refs * (1 + 0.15 * fractal(rng, shape, 2.5)[None])
    s7 = np.select(kinds, [REFLECTED_S7["land"], REFLECTED_S7["ice"]], REFLECTED_S7["ocean"])[0]
    glint = np.where(land | ice, 0, _glint(rng, shape))
    return _Surface(
        reflectance=np.clip(refs, 0, 1) + glint * _spectrum(GLINT),
        s7=s7 + 0.5 * glint,
        kelvin=kelvin,
        background_k=background,
        forecast_k=background + error,
        land=land,
    )


def _glint(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    strength = rng.choice([0.0, 0.15, 0.35])
    middle = rng.uniform(0.2, 0.8, 2) * shape
    across = ((rows - middle[0]) / (0.4 * shape[0])) ** 2
    along = ((columns - middle[1]) / (0.08 * shape[1])) ** 2
    return np.asarray(strength * np.exp(-across - along))


def _clouds(
    rng: np.random.Generator, shape: tuple[int, int], surface: _Surface
) -> tuple[_Cloud, ...]:
    """Three layers, the lowest first."""
    scale = shape[0]
    stratus = _covered(rng, fractal(rng, shape, 3.0, scale / 2), (0.05, 0.35))
    cumulus = _covered(rng, fractal(rng, shape, 2.2, scale / 12), (0.02, 0.15))
    cirrus = _covered(rng, fractal(rng, shape, 3.0, scale / 3), (0.05, 0.30))
    low, middle = rng.uniform(0.3, 1.8), rng.uniform(1.0, 3.0)
    return (
        _Cloud(
            depth=np.where(stratus > 0, 1 + 12 * stratus, 0),
            kelvin=surface.background_k - LAPSE_K_KM * low,
            spectrum=WATER_CLOUD,
            s7=REFLECTED_S7["water"],
        ),
        _Cloud(
            depth=np.where(cumulus > 0, 0.5 + 10 * cumulus, 0),
            kelvin=surface.background_k - LAPSE_K_KM * middle,
            spectrum=WATER_CLOUD,
            s7=REFLECTED_S7["water"],
        ),
        _Cloud(
            depth=np.where(cirrus > 0, np.clip(0.1 + 0.6 * cirrus, 0, 3), 0),
            kelvin=np.full(shape, rng.uniform(225, 245)),
            spectrum=ICE_CLOUD,
            s7=REFLECTED_S7["icy"],
        ),
    )


def _covered(rng: np.random.Generator, field: Field, cover: tuple[float, float]) -> Field:
    """Keep what lies above the quantile that leaves a random share covered; 0 elsewhere."""
    level = np.quantile(field, 1 - rng.uniform(*cover))
    return np.maximum(field - level, 0)


def _albedo(depth: Field) -> Field:
    """Two-stream reflectance of a layer that absorbs nothing."""
    scaled = (1 - ASYMMETRY) * depth
    return scaled / (2 + scaled)


def _brightness(surface: _Surface, clouds: tuple[_Cloud, ...], sun: float) -> Field:
    """Return (3, H, W) brightness temperatures; `sun` is the cosine of its zenith angle."""
    vapour = np.clip(0.12 * (surface.background_k - 272), 0.2, None)
    found = []
    for channel, damping in zip(SLSTR_THERMAL, _SPLIT_WINDOW, strict=True):
        wavelength = channel.wavelength_um
        light = radiance(surface.kelvin - damping * vapour, wavelength)
        reflected = surface.s7
        for cloud in clouds:
            emissivity = -np.expm1(-cloud.depth / 2)
            light = (1 - emissivity) * light + emissivity * radiance(cloud.kelvin, wavelength)
            reflected = (1 - emissivity) * reflected + emissivity * cloud.s7
        if channel.name == "S7":
            light = light + reflected * sunlight(wavelength) * sun / np.pi
        found.append(temperature(light, wavelength))
    return np.stack(found)


def _inside(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """Leave a border of 20 to 80 pixels on a full scene, on the left or right as the swath."""
    inside = np.ones(shape, bool)
    border = round(rng.uniform(20, 80) * shape[1] / 1500)
    if rng.random() < 0.5:  # noqa: PLR2004 - one side or the other
        inside[:, :border] = False
    else:
        inside[:, -border:] = False
    return inside


def _spectrum(values: tuple[float, ...]) -> Field:
    return np.array(values)[:, None, None]
