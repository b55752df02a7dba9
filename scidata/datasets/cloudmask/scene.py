"""A scene as every reader gives it, and what makes one unusable. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError, Problem

Float: TypeAlias = npt.NDArray[np.float32]
Flags: TypeAlias = npt.NDArray[np.uint16]
Bits: TypeAlias = npt.NDArray[np.uint8]

COLDEST_K, HOTTEST_K = 130.0, 400.0
"""Median of a channel in kelvin; degrees Celsius lie below, radiances elsewhere."""
LARGEST_REFLECTANCE = 3.0
"""99th percentile; percent lie above. Glint and slanting sun exceed 1."""
LARGEST_FLAG = 2**16 - 1


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A channel of an instrument."""

    name: str
    wavelength_um: float
    """Centre."""


SLSTR_REFLECTANCE = (
    Channel(name="S1", wavelength_um=0.555),
    Channel(name="S2", wavelength_um=0.659),
    Channel(name="S3", wavelength_um=0.865),
    Channel(name="S4", wavelength_um=1.375),
    Channel(name="S5", wavelength_um=1.61),
    Channel(name="S6", wavelength_um=2.25),
)
SLSTR_THERMAL = (
    Channel(name="S7", wavelength_um=3.74),
    Channel(name="S8", wavelength_um=10.85),
    Channel(name="S9", wavelength_um=12.0),
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One image: channels first."""

    refs: Float
    """(R, H, W) top-of-atmosphere reflectance, 1; zero at night, NaN where unknown."""
    bts: Float
    """(T, H, W) brightness temperature, K; NaN where unknown."""
    label: Flags
    """(H, W) flags; not zero is cloud."""
    truth: Bits | None = None
    """(H, W) 1 where there is cloud; of simulated scenes only."""
    facts: Mapping[str, int] = field(default_factory=dict)
    """Numbers of the scene, such as its orbit."""

    @property
    def is_day(self) -> bool:
        """Whether any reflectance was measured."""
        return bool((np.nan_to_num(self.refs, nan=0.0) > 0).any())


def refuse(name: str, code: str, message: str, fix: str = "") -> InvalidError:
    """Say why a file gives no scene."""
    fix = fix or "bring back a sound copy of the file, remove it, or skip it: --damaged skip"
    problem = Problem(code=code, path=name, message=message, fix=fix)
    return InvalidError(f"{name}: {message}", where=name, fix=fix, problems=[problem])


def check_scene(
    scene: Scene, name: str, reflectance: tuple[Channel, ...], thermal: tuple[Channel, ...]
) -> None:
    """Raise unless a scene holds what its units promise.

    Raises
    ------
    InvalidError
        With every channel that is not a number throughout, empty, or in another unit.
    """
    problems = [
        Problem(
            code=code,
            path=name,
            message=message,
            fix="bring back a sound copy of the file, remove it, or skip it: --damaged skip",
        )
        for code, message in (
            *_reflectance_faults(scene, reflectance),
            *_thermal_faults(scene, thermal),
        )
    ]
    if problems:
        raise InvalidError.listing(problems, where=name, fix=problems[0].fix)


def _reflectance_faults(
    scene: Scene, channels: tuple[Channel, ...]
) -> Iterator[tuple[str, str]]:
    for channel, values in zip(channels, scene.refs, strict=True):
        known = values[np.isfinite(values)]
        if known.size == 0:
            yield "channel-nan", f"channel {channel.name} is not a number throughout"
        elif (high := float(np.percentile(known, 99))) > LARGEST_REFLECTANCE:
            message = f"channel {channel.name} reaches {high:.4g}, which is no reflectance"
            yield "channel-range", message


def _thermal_faults(scene: Scene, channels: tuple[Channel, ...]) -> Iterator[tuple[str, str]]:
    for channel, values in zip(channels, scene.bts, strict=True):
        # Borders are filled with zeros.
        known = values[np.isfinite(values) & (values != 0)]
        if known.size == 0:
            yield "channel-nan", f"channel {channel.name} is not a number, or zero, throughout"
        elif not COLDEST_K <= (middle := float(np.median(known))) <= HOTTEST_K:
            message = (
                f"channel {channel.name} is {middle:.4g} in the middle, which is no kelvin"
            )
            yield "channel-range", message
