"""TEvolOp: earthquakes of coming weeks to years in 0.1 degree pixels of Southern California.

Question  How much seismic energy will each pixel release in ten windows ahead?
Dataset   tevolop: a window of 26 fortnights of one pixel is a sample; targets are magnitudes of
          summed energy. Split along time (strict, mini) or along location (reference).
Model     the LSTM of the MLCommons Science earthquake benchmark, 65,560 parameters.
Metric    NNSE, averaged over pixels and of their sum, for each window; higher is better.
Target    0.8 to 0.99 by the benchmark's policy; see persistence and climatology beside it.
Source    MLCommons Science policy 0.5; Fox et al. 2022, doi:10.3390/geohazards3020011
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor, nn

from scidata.benchmarks import baselines
from scidata.benchmarks.metrics import FloatArray, Missing, Series
from scidata.benchmarks.recurrent import SeluLstm
from scidata.benchmarks.settings import Settings, setting
from scidata.benchmarks.task import (
    Batch,
    Forecaster,
    Profile,
    Samples,
    Setup,
    Target,
    Task,
    Use,
)
from scidata.benchmarks.tevolop_features import (
    INPUTS,
    OUTPUTS,
    WINDOWS,
    Encoding,
    Scaling,
    features,
    persistence,
    season,
    wanted,
)
from scidata.datasets.tevolop.fortnights import BACK
from scidata.errors import InvalidError
from scidata.loaders.opening import StreamOptions
from scidata.loaders.stream import Stream

WIDTH, LSTM_WIDTH, DROPOUT = 128, 48, 0.2
ENCODING_WEIGHT = 0.25
TARGET = "magnitude_ahead"


class Lstm(nn.Module):
    """Dense 128, two LSTM of 48, dense 128, dense 24; SELU between them."""

    def __init__(self) -> None:
        super().__init__()
        rates = {"dropout": DROPOUT, "recurrent_dropout": DROPOUT}
        self.embed = nn.Linear(INPUTS, WIDTH)
        self.first = SeluLstm(WIDTH, LSTM_WIDTH, **rates)
        self.second = SeluLstm(LSTM_WIDTH, LSTM_WIDTH, **rates)
        self.merge = nn.Linear(LSTM_WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, OUTPUTS)
        for dense in (self.embed, self.merge, self.head):
            nn.init.xavier_uniform_(dense.weight)  # as Keras does
            nn.init.zeros_(dense.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Forecast.

        Parameters
        ----------
        inputs : (window, B, 27) float32, scaled

        Returns
        -------
        (B, 24) float32, scaled
        """
        hidden = self.second(self.first(torch.selu(self.embed(inputs))))
        forecast: Tensor = self.head(torch.selu(self.merge(hidden[-1])))
        return forecast


def squared_error(predicted: Tensor, observed: Tensor) -> Tensor:
    """Weighted squared error over what is known, divided by the batch size.

    Parameters
    ----------
    predicted, observed : (B, 24) float32, scaled
        Magnitudes weigh 1, encodings 0.25; NaN in `observed` is left out.

    Returns
    -------
    Tensor, scalar
    """
    known = ~torch.isnan(observed)
    error = torch.where(known, predicted - observed.nan_to_num(nan=0.0), 0.0) ** 2
    weighted = error[:, : len(WINDOWS)].sum() + ENCODING_WEIGHT * error[:, len(WINDOWS) :].sum()
    return weighted / len(observed)


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
        pixels, ends = _pixels(stream), stream.axes["time"].last
        near = self.arrays[TARGET].isel(
            location=slice(pixels[0], pixels[-1] + 1), time=slice(ends[0], ends[-1] + 1)
        )
        return pixels, ends, near.values[np.ix_(pixels - pixels[0], ends - ends[0])]


def collate(setup: Quakes, samples: Samples) -> Batch:
    """Scale, and encode place and time."""
    inputs = features(samples, setup.scaling, setup.encoding)
    return Batch((inputs,), wanted(samples, setup.scaling, setup.encoding), samples)


def loss(setup: Quakes, forecast: Tensor, batch: Batch) -> Tensor:
    """Weighted squared error of a batch."""
    return squared_error(forecast, batch.target)


class Magnitudes(Series):
    """NNSE of magnitudes, whose forecasts come scaled."""

    def __init__(self, setup: Quakes) -> None:
        super().__init__(tuple(WINDOWS), missing=setup.profile.missing)
        self._scaling = setup.scaling

    def update(self, forecast: Tensor, batch: Batch) -> None:  # type: ignore[override]  # a task's
        """Take in a batch."""
        restored = self._scaling.restore(TARGET, forecast[:, : len(WINDOWS)])
        samples = batch.samples
        super().update(restored, samples[TARGET], samples["location"], samples["time"])


def forecasters(setup: Quakes, part: str) -> Mapping[str, Forecaster]:
    """Forecast by persistence, climatology and season, from the training part alone."""
    pixels, ends, past = setup.past
    # A held-out location has no past that the model may know: it gets the others' mean.
    own = np.array_equal(_pixels(setup.stream(part)), pixels)
    always = baselines.climatology(past, per_series=own)
    yearly = baselines.seasonal(past, setup.seasons[ends], period=BACK[-1], per_series=own)

    def scaled(magnitudes: npt.NDArray[np.float64]) -> Tensor:
        return setup.scaling.scale(
            TARGET, torch.from_numpy(magnitudes).to(setup.device)
        ).float()

    def row(batch: Batch) -> npt.NDArray[np.int64]:
        places = batch.samples["location"].cpu().numpy()
        return np.searchsorted(pixels, places) if own else np.zeros_like(places)

    def repeat(batch: Batch) -> Tensor:
        last = (
            batch.samples[name][:, -1].cpu().numpy() for name in ("magnitude", "magnitude_back")
        )
        return scaled(persistence(*last))

    def repeat_year(batch: Batch) -> Tensor:
        return scaled(yearly[row(batch), setup.seasons[batch.samples["time"].cpu().numpy()]])

    return {
        "persistence": repeat,
        "climatology": lambda batch: scaled(always[row(batch), 0]),
        "seasonal": repeat_year,
    }


def strides(setup: Quakes, part: str, use: Use) -> StreamOptions:
    """Leave out windows as the settings say."""
    settings = setup.settings
    return {"stride": settings.stride if use == "train" else settings.score_stride}


def _pixels(stream: Stream) -> npt.NDArray[np.int64]:
    """Return the locations of a split part, (S,)."""
    return stream.axes["location"].starts


_TIME_PARTS = ("train", "validation", "test")
_TARGET = Target(value=0.8, source="0.8 < NNSE < 0.99: MLCommons Science policy 0.5")

TASK = Task(
    name="tevolop",
    title="Earthquakes of the coming weeks to years in Southern California",
    dataset="tevolop",
    metric="NNSE",
    unit="1",
    higher_is_better=True,
    source="doi:10.3390/geohazards3020011",
    setup=Quakes,
    models={"lstm": lambda setup: Lstm()},
    collate=collate,
    loss=loss,
    measure=lambda setup, part: Magnitudes(setup),
    baselines=forecasters,
    stream=strides,
    profiles={
        "mini": QuakeProfile(
            name="mini",
            description="As strict, on every 12th window for two epochs: a minute on a CPU",
            asset="fortnights",
            split="time",
            parts=_TIME_PARTS,
            target=_TARGET,
            settings=QuakeSettings(
                model="lstm",
                epochs=2,
                batch_size=128,
                learning_rate=2e-3,
                decay=0.0,
                clip=1.0,
                stride=12,
                score_stride=8,
            ),
        ),
        "strict": QuakeProfile(
            name="strict",
            description="Held-out years behind an embargo, scaling from training data only",
            asset="fortnights",
            split="time",
            parts=_TIME_PARTS,
            target=_TARGET,
            settings=QuakeSettings(model="lstm", epochs=50, batch_size=400, learning_rate=1e-3),
        ),
        "fixed-model": QuakeProfile(
            name="fixed-model",
            description="As strict, with hyperparameters frozen: for comparing systems",
            asset="fortnights",
            split="time",
            parts=_TIME_PARTS,
            target=_TARGET,
            frozen=True,
            settings=QuakeSettings(
                model="lstm",
                epochs=50,
                batch_size=400,
                learning_rate=1e-3,
                stop_at_target=True,
            ),
        ),
        "reference": QuakeProfile(
            name="reference",
            description="Published rules: four fifths of the pixels train, one fifth validates",
            asset="fortnights-published",
            split="location",
            parts=("train", "validation"),
            target=_TARGET,
            settings=QuakeSettings(model="lstm", epochs=50, batch_size=400, learning_rate=1e-3),
            missing="as-predicted",
            quirks=(
                "what was not observed is scored as predicted, so late windows are perfect",
                "minimum and maximum over all times and pixels, held-out ones, too",
                "an empty day counts as magnitude 0, so an empty fortnight is 0.764",
                "an empty day weighs 1 in the mean depth, which draws it towards 0 km",
                "the active pixels are chosen with all times, held-out ones, too",
                "an input tells each pixel apart, so its own past can be learnt by heart",
            ),
            leaks=(
                "no time is held out: training pixels show the times of the held-out pixels",
                "held-out pixels lie beside training pixels and share their shocks",
                "scaling knows the extremes of the held-out pixels",
            ),
        ),
    },
)
