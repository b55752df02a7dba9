"""What every earthquake task opens: arrays, scaling, encodings and the training past.

And how much of it: windows in time that are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr

from scidata.benchmarks.metrics import FloatArray, Missing
from scidata.benchmarks.settings import Settings, setting
from scidata.benchmarks.task import Profile, Samples, Setup, Use
from scidata.benchmarks.tevolop_features import Encoding, Scaling, season
from scidata.errors import InvalidError
from scidata.loaders.opening import StreamOptions
from scidata.loaders.stream import Stream

TARGET = "magnitude_ahead"


@dataclass(frozen=True, kw_only=True)
class QuakeSettings(Settings):
    """Which windows in time are used, besides what every task has."""

    stride: int = setting(1)
    """Every stride-th window in time trains."""
    score_stride: int = setting(1)
    """Every score_stride-th window in time is scored."""
    score_batch_size: int = 2048


@dataclass(frozen=True, kw_only=True)
class QuakeProfile(Profile):
    """What becomes of observations that do not exist, besides what every profile has."""

    missing: Missing = "exclude"


@dataclass(frozen=True, kw_only=True)
class Quakes(Setup):
    """The opened version, with what its statistics scale and what the past was like."""

    settings: QuakeSettings
    profile: QuakeProfile

    def __post_init__(self) -> None:
        over = self.statistics.get("over")
        if not self.profile.leaks and over != f"{self.profile.split}/train":
            raise InvalidError(
                f"the statistics are over {over!r}, beyond {self.profile.split}/train",
                where=f"data/statistics.json, asset {self.profile.asset!r}",
                fix="publish a version with statistics of the training part, or use the "
                "profile reference",
            )

    @cached_property
    def arrays(self) -> xr.Dataset:
        """The asset of the profile, not read yet."""
        return self.dataset.to_xarray(str(self.profile.asset))

    @cached_property
    def scaling(self) -> Scaling:
        """From the version's statistics."""
        faults = self.arrays["fault_label"].values
        return Scaling.of(self.statistics, faults).to(self.device)

    @cached_property
    def encoding(self) -> Encoding:
        """Of all places and times."""
        sizes = self.arrays.sizes
        return Encoding(sizes["location"], sizes["time"], device=self.device)

    @cached_property
    def seasons(self) -> npt.NDArray[np.int64]:
        """Fortnight of the calendar year of every time step, (T,)."""
        return season(self.arrays["time"].values)

    @cached_property
    def past(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
        """Pixels (S,), ends of windows (E,) and observed magnitudes (S, E, 10) of training."""
        stream = self.stream("train")
        pixels, ends = pixels_of(stream), stream.axes["time"].last
        near = self.arrays[TARGET].isel(
            location=slice(pixels[0], pixels[-1] + 1), time=slice(ends[0], ends[-1] + 1)
        )
        return pixels, ends, near.values[np.ix_(pixels - pixels[0], ends - ends[0])]

    def known(self) -> Iterator[Samples]:
        """Yield the training part on the device, to fit a forecast without a model."""
        stream = self.stream("train", stride=self.settings.score_stride)
        for samples in stream:
            yield {name: value.to(self.device) for name, value in samples.items()}
        stream.close()


def strides(setup: Quakes, part: str, use: Use) -> StreamOptions:
    """Leave out windows as the settings say."""
    settings = setup.settings
    return {"stride": settings.stride if use == "train" else settings.score_stride}


def pixels_of(stream: Stream) -> npt.NDArray[np.int64]:
    """Return the locations of a split part, (S,)."""
    return stream.axes["location"].starts
