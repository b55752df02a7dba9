"""TEvolOp: earthquakes of coming weeks to years in 0.1 degree pixels of Southern California.

Question  How much seismic energy will each pixel release in ten windows ahead?
Dataset   tevolop: a window of 26 fortnights of one pixel is a sample; targets are magnitudes of
          summed energy. Split along time (strict, mini) or along location (reference). The
          profile simulated takes tevolop-mini, where the best forecast is known.
Models    the LSTM of the MLCommons Science earthquake benchmark, 65,560 parameters, and its
          Science Transformer, 4,096,280.
Metric    NNSE, averaged over pixels and of their sum, for each window; higher is better.
Target    0.8 to 0.99 by the benchmark's policy; see persistence and climatology beside it.
Source    MLCommons Science policy 0.5; Fox et al. 2022, doi:10.3390/geohazards3020011
"""

import torch
from torch import Tensor, nn

from scidata.benchmarks.metrics import Series
from scidata.benchmarks.recurrent import SeluLstm
from scidata.benchmarks.science_transformer import ScienceTransformer
from scidata.benchmarks.task import Batch, Samples, Target, Task
from scidata.benchmarks.tevolop_baselines import forecasters
from scidata.benchmarks.tevolop_features import INPUTS, OUTPUTS, WINDOWS, features, wanted
from scidata.benchmarks.tevolop_setup import (
    TARGET,
    QuakeProfile,
    Quakes,
    QuakeSettings,
    strides,
)

WIDTH, LSTM_WIDTH, DROPOUT = 128, 48, 0.2
ENCODING_WEIGHT = 0.25
SCIENCE_TRANSFORMER = "science-transformer"


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


def collate(setup: Quakes, samples: Samples) -> Batch:
    """Scale, and encode place and time."""
    inputs: tuple[Tensor, ...] = (features(samples, setup.scaling, setup.encoding),)
    if setup.settings.model == SCIENCE_TRANSFORMER:
        inputs = (*inputs, samples["time"])
    return Batch(inputs, wanted(samples, setup.scaling, setup.encoding), samples)


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


TIME_PARTS = ("train", "validation", "test")
TARGET_SCORE = Target(value=0.8, source="0.8 < NNSE < 0.99: MLCommons Science policy 0.5")
PUBLISHED_QUIRKS = (
    "what was not observed is scored as predicted, so late windows are perfect",
    "minimum and maximum over all times and pixels, held-out ones, too",
    "an empty day counts as magnitude 0, so an empty fortnight is 0.764",
    "an empty day weighs 1 in the mean depth, which draws it towards 0 km",
    "the active pixels are chosen with all times, held-out ones, too",
    "an input tells each pixel apart, so its own past can be learnt by heart",
    "the windows end with 2019; later earthquakes are left out",
    "a gap in the catalogue counts as a time without earthquakes",
)
PUBLISHED_LEAKS = (
    "no time is held out: training pixels show the times of the held-out pixels",
    "held-out pixels lie beside training pixels and share their shocks",
    "scaling knows the extremes of the held-out pixels",
)

TASK = Task(
    name="tevolop",
    title="Earthquakes of the coming weeks to years in Southern California",
    dataset="tevolop",
    metric="NNSE",
    unit="1",
    higher_is_better=True,
    source="doi:10.3390/geohazards3020011",
    setup=Quakes,
    models={
        "lstm": lambda setup: Lstm(),
        SCIENCE_TRANSFORMER: lambda setup: ScienceTransformer(
            INPUTS, OUTPUTS, past_only=not setup.profile.leaks
        ),
    },
    collate=collate,
    loss=loss,
    measure=lambda setup, part: Magnitudes(setup),
    baselines=forecasters,
    stream=strides,
    mixed=lambda setup: setup.settings.model == SCIENCE_TRANSFORMER,
    profiles={
        "mini": QuakeProfile(
            name="mini",
            description="As strict, on every 12th window for two epochs: a minute on a CPU",
            asset="fortnights",
            split="time",
            parts=TIME_PARTS,
            target=TARGET_SCORE,
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
        "simulated": QuakeProfile(
            name="simulated",
            description="As strict, on simulated earthquakes, beside the best forecast",
            dataset="tevolop-mini",
            asset="fortnights",
            split="time",
            parts=TIME_PARTS,
            settings=QuakeSettings(
                model="lstm",
                epochs=10,
                batch_size=256,
                learning_rate=1e-3,
                decay=0.0,
                clip=1.0,
                stride=2,
                score_stride=2,
                evaluate_every=2,
                keep="best",
            ),
        ),
        "strict": QuakeProfile(
            name="strict",
            description="Held-out years behind an embargo, scaling from training data only",
            asset="fortnights",
            split="time",
            parts=TIME_PARTS,
            target=TARGET_SCORE,
            settings=QuakeSettings(
                model="lstm",
                epochs=20,
                batch_size=400,
                learning_rate=1e-3,
                stride=4,
                score_stride=2,
                evaluate_every=5,
                keep="best",
            ),
        ),
        "fixed-model": QuakeProfile(
            name="fixed-model",
            description="As strict, with hyperparameters frozen: for comparing systems",
            asset="fortnights",
            split="time",
            parts=TIME_PARTS,
            target=TARGET_SCORE,
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
            target=TARGET_SCORE,
            settings=QuakeSettings(model="lstm", epochs=50, batch_size=400, learning_rate=1e-3),
            missing="as-predicted",
            quirks=PUBLISHED_QUIRKS,
            leaks=(
                *PUBLISHED_LEAKS,
                "the science-transformer sees sequences of its batch that end later",
            ),
        ),
    },
)
