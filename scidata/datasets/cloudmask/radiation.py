"""Planck's law and the sun: what a simulated scene needs of physics. Pure.

Constants: h, c, k are exact by definition of the SI (2019). Solar temperature and radius are
the nominal ones of IAU resolution B3 (2015), the astronomical unit that of B2 (2012).
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[Any]

PLANCK_J_S = 6.62607015e-34
LIGHT_M_S = 299_792_458.0
BOLTZMANN_J_K = 1.380649e-23
SUN_K = 5772.0
SUN_RADIUS_M = 6.957e8
ASTRONOMICAL_UNIT_M = 149_597_870_700.0

_FIRST = 2 * PLANCK_J_S * LIGHT_M_S**2
_SECOND = PLANCK_J_S * LIGHT_M_S / BOLTZMANN_J_K


def radiance(temperature_k: Values | float, wavelength_um: float) -> Values:
    """Radiance of a black body, W m-2 sr-1 um-1.

    Examples
    --------
    >>> round(float(radiance(300.0, 10.85)), 2)
    9.65
    """
    metres = wavelength_um * 1e-6
    spectral = _FIRST / metres**5 / np.expm1(_SECOND / (metres * np.asarray(temperature_k)))
    return np.asarray(spectral * 1e-6)


def temperature(radiance_: Values | float, wavelength_um: float) -> Values:
    """Brightness temperature, K: ``temperature(radiance(t, w), w) == t``."""
    metres = wavelength_um * 1e-6
    spectral = np.asarray(radiance_) * 1e6
    return np.asarray(_SECOND / (metres * np.log1p(_FIRST / metres**5 / spectral)))


def sunlight(wavelength_um: float) -> float:
    """Irradiance of the sun at one astronomical unit, W m-2 um-1.

    Examples
    --------
    >>> round(sunlight(3.74), 1)
    11.7
    """
    solid_angle = np.pi * (SUN_RADIUS_M / ASTRONOMICAL_UNIT_M) ** 2
    return float(radiance(SUN_K, wavelength_um) * solid_angle)
