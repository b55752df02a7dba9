"""TEvolOp: earthquakes of coming weeks to years in 0.1 degree pixels of Southern California.

Question  How much seismic energy will each pixel release in ten windows ahead?
Dataset   tevolop: a window of 26 fortnights of one pixel is a sample; targets are magnitudes of
          summed energy. Split along time (strict, mini) or along location (reference).
Model     the LSTM of the MLCommons Science earthquake benchmark, 65,560 parameters.
Metric    NNSE, averaged over pixels and of their sum, for each window; higher is better.
Target    0.8 to 0.99 by the benchmark's policy; see persistence and climatology beside it.
Source    MLCommons Science policy 0.5; Fox et al. 2022, doi:10.3390/geohazards3020011
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from scidata import split
from scidata.benchmarks import baselines
from scidata.benchmarks.harness import Batch, Profile, Scores, Settings, Task
from scidata.benchmarks.metrics import FloatArray, Missing, nnse
from scidata.benchmarks.recurrent import SeluLstm
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
from scidata.dataset import Dataset
from scidata.datasets.tevolop.fortnights import BACK
from scidata.errors import InvalidError
from scidata.loaders.stream import Stream

WIDTH, LSTM_WIDTH, DROPOUT = 128, 48, 0.2
ENCODING_WEIGHT = 0.25
SCORE_BATCH = 2048
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


@dataclass(frozen=True)
class Observed:
    """What was observed after each window of a split part: S series by E ends."""

    magnitudes: FloatArray
    """(S, E, 10), NaN where the data end before the window does."""
    persistent: FloatArray
    """(S, E, 10), the forecast of persistence."""
    season: npt.NDArray[np.int64]
    """(E,) fortnight of the calendar year."""


class Experiment:
    """The task on an opened version."""

    def __init__(self, dataset: Dataset, profile: Profile, settings: Settings) -> None:
        statistics = dataset.statistics(profile.asset)
        _check_statistics(statistics, profile)
        self.model: nn.Module = Lstm()
        self._missing: Missing = profile.missing
        self._arrays = dataset.to_xarray(profile.asset)
        self._scaling = Scaling.of(statistics, self._arrays["fault_label"].values)
        sizes = self._arrays.sizes
        self._encoding = Encoding(sizes["location"], sizes["time"])
        opened = partial(dataset.stream, asset=profile.asset)
        train = f"{profile.split}/train"
        self._train = opened(
            train,
            batch_size=settings.batch_size,
            shuffle=True,
            seed=settings.seed,
            stride=settings.stride,
        )
        self._parts = {
            part: opened(
                f"{profile.split}/{part}",
                batch_size=SCORE_BATCH,
                stride=settings.score_stride,
            )
            for part in profile.parts
        }
        self._history = self._observe(opened(train, batch_size=SCORE_BATCH))

    @property
    def splits(self) -> dict[str, dict[str, Any]]:  # Any: JSON
        """By part: name, digest of the ids, how many ids and samples."""
        found: dict[str, dict[str, Any]] = {
            part: {
                "name": stream.source.split,
                "digest": str(split.digest(stream.source.ids)),
                "ids": len(stream.source.ids),
                "scored_samples": stream.samples,
            }
            for part, stream in self._parts.items()
        }
        found["train"]["samples"] = self._train.samples
        return found

    @property
    def batches(self) -> int:
        """Batches in an epoch."""
        return len(self._train)

    @property
    def scoring_steps(self) -> int:
        """Batches that scoring takes."""
        return sum(len(stream) for stream in self._parts.values())

    def epoch(self, number: int) -> Iterable[Batch]:
        """Shuffle anew for each epoch."""
        self._train.set_epoch(number)
        return self._train

    def loss(self, batch: Batch) -> Tensor:
        """Weighted squared error of a batch."""
        forecast = self.model(features(batch, self._scaling, self._encoding))
        return squared_error(forecast, wanted(batch, self._scaling, self._encoding))

    def score(self, part: str, step: Callable[[], None]) -> Scores:
        """NNSE of the model, persistence, climatology and season, for each window ahead."""
        stream = self._parts[part]
        found, history = self._observe(stream), self._history
        past = history.magnitudes
        # A held-out location has no past that the model may know: it gets the others' mean.
        own = np.array_equal(_pixels(stream), _pixels(self._train))
        seasons = baselines.seasonal(past, history.season, period=BACK[-1], per_series=own)
        forecasts: dict[str, FloatArray] = {
            "model": self._forecast(stream, step),
            "persistence": found.persistent,
            "climatology": baselines.climatology(past, per_series=own),
            "seasonal": seasons[:, found.season],
        }
        return {
            name: self._scores(found.magnitudes, forecast)
            for name, forecast in forecasts.items()
        }

    def _scores(
        self, observed: FloatArray, forecast: FloatArray
    ) -> dict[str, dict[str, float]]:
        full = np.broadcast_to(forecast, observed.shape)
        return {
            window: asdict(nnse(observed[..., k], full[..., k], missing=self._missing))
            for k, window in enumerate(WINDOWS)
        }

    @torch.inference_mode()
    def _forecast(self, stream: Stream, step: Callable[[], None]) -> FloatArray:
        """Return the model's magnitudes, (S, E, 10)."""
        pixels, ends = _pixels(stream), stream.axes["time"].last
        forecast = np.full((len(pixels), len(ends), len(WINDOWS)), np.nan, "f4")
        for batch in stream:
            scaled = self.model(features(batch, self._scaling, self._encoding))
            rows = np.searchsorted(pixels, batch["location"].numpy())
            columns = np.searchsorted(ends, batch["time"].numpy())
            restored = self._scaling.restore(TARGET, scaled[:, : len(WINDOWS)])
            forecast[rows, columns] = restored.numpy()
            step()
        return forecast

    def _observe(self, stream: Stream) -> Observed:
        pixels, ends = _pixels(stream), stream.axes["time"].last
        series = slice(pixels[0], pixels[-1] + 1)
        near = self._arrays.isel(location=series, time=slice(ends[0], ends[-1] + 1))
        rows, columns = np.ix_(pixels - pixels[0], ends - ends[0])
        names = (TARGET, "magnitude", "magnitude_back")
        ahead, magnitude, back = (near[name].values[rows, columns] for name in names)
        return Observed(
            ahead, persistence(magnitude, back), season(near["time"].values[columns[0]])
        )


def _pixels(stream: Stream) -> npt.NDArray[np.int64]:
    """Return the locations of a split part, (S,)."""
    return stream.axes["location"].starts


def _check_statistics(statistics: Mapping[str, Any], profile: Profile) -> None:
    """Refuse statistics that know of held-out data where the profile promises otherwise."""
    over = statistics.get("over")
    if not profile.leaks and over != f"{profile.split}/train":
        raise InvalidError(
            f"the statistics are over {over!r}, which reaches beyond {profile.split}/train",
            where=f"data/statistics.json, asset {profile.asset!r}",
            fix="publish a version with statistics of the training part, or use the profile "
            "reference",
        )


_TIME_PARTS = ("train", "validation", "test")

TASK = Task(
    name="tevolop",
    title="Earthquakes of the coming weeks to years in Southern California",
    dataset="tevolop",
    metric="NNSE",
    higher_is_better=True,
    target="0.8 < NNSE < 0.99 (MLCommons Science policy 0.5)",
    source="doi:10.3390/geohazards3020011",
    build=Experiment,
    profiles={
        "mini": Profile(
            name="mini",
            description="As strict, on every 12th window for two epochs: a minute on a CPU",
            asset="fortnights",
            split="time",
            parts=_TIME_PARTS,
            settings=Settings(
                epochs=2,
                batch_size=128,
                learning_rate=2e-3,
                decay=0.0,
                clip=1.0,
                stride=12,
                score_stride=8,
            ),
        ),
        "strict": Profile(
            name="strict",
            description="Held-out years behind an embargo, scaling from training data only",
            asset="fortnights",
            split="time",
            parts=_TIME_PARTS,
            settings=Settings(epochs=50, batch_size=400, learning_rate=1e-3),
        ),
        "reference": Profile(
            name="reference",
            description="Published rules: four fifths of the pixels train, one fifth validates",
            asset="fortnights-published",
            split="location",
            parts=("train", "validation"),
            settings=Settings(epochs=50, batch_size=400, learning_rate=1e-3),
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
