"""CANDLE-UNO: how strongly a drug acts on a tumour cell line.

Question  Which response has a pair of cell line and drug, from features of both?
Dataset   candle-uno (published), -ccle, -ctrp-gdsc and -gdsc2 (real, small),
          candle-uno-mini (simulated, with the truth). Splits by cell, by drug, or by row.
Model     the three towers of the MLCommons Science benchmark, 16,224,001 parameters.
Metric    MSE; beside it MAE, R2 and Pearson's r of the whole part, and how much of it is known.
Target    validation MSE 0.0054 of AUC by the benchmark's policy, on the split by row.
Source    MLCommons Science policy 0.5; ECP-CANDLE Benchmarks, Pilot1/Uno.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, R2Score
from torchmetrics.aggregation import MeanMetric

from scidata.benchmarks.metrics import Correlation, Measures
from scidata.benchmarks.settings import Settings, setting
from scidata.benchmarks.task import (
    Batch,
    Evaluations,
    Forecaster,
    Profile,
    Samples,
    Setup,
    Target,
    Task,
)
from scidata.benchmarks.towers import WIDTH, Towers, drop_always
from scidata.benchmarks.training import learning_rate
from scidata.errors import InvalidError
from scidata.record import Samples as SampleRule

Float64: TypeAlias = npt.NDArray[np.float64]

FARTHEST = 10.0
"""Deviations to which scaled features are clipped: some descriptors have far outliers."""
WARM_EPOCHS, WARM_RATE = 5, 1e-4
PLATEAU_EPOCHS, PLATEAU_RATE, PLATEAU_DELTA = 5, 1e-5, 1e-4
"""Epochs without a better one that halve the rate, the least rate, and what is better at least;
the last is the default of the Keras callback that the published code uses."""
_RIDGE, _ROUNDS = 1.0, 20
_TRUTH = "AUC_true"


@dataclass(frozen=True, kw_only=True)
class UnoSettings(Settings):
    """Size and dropout of the model, besides what every task has."""

    optimizer: Literal["adam", "adamw", "adamax", "sgd"] = "adamax"
    width: int = setting(WIDTH, most=10_000)
    """Of every hidden layer."""
    dropout: float = setting(0.1, zero=True, most=0.9)
    draws: int = setting(0, zero=True, most=1000)
    """Predictions with dropout on, to be averaged; 0 predicts once, with dropout off."""
    published_rate: bool = False
    """Learning rate of the published code: see `rate`."""


@dataclass(frozen=True, kw_only=True)
class UnoProfile(Profile):
    """What is scaled, besides what every profile has."""

    scaled: bool = True
    """Scale features and target by what trains; else take them as published."""


@dataclass(frozen=True, kw_only=True)
class Responses(Setup):
    """The opened version: what trains, and what it is scaled by."""

    settings: UnoSettings
    profile: UnoProfile

    @cached_property
    def samples(self) -> SampleRule:
        """What the record says a sample is."""
        rule = self.dataset.record.samples
        if rule is None or {join.by for join in rule.joins} != {"cell", "drug"}:
            raise InvalidError(
                "its samples do not join a cell and a drug",
                where=f"record of {self.dataset.name}",
                fix="build it with scidata build candle-uno or one of its relatives",
            )
        return rule

    @property
    def target(self) -> str:
        """Name of what is predicted."""
        return self.samples.targets[0]

    @cached_property
    def past(self) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Float64]":
        """Cell, drug and response of the training rows, each (N,)."""
        stream = self.stream("train")
        rows = stream.axes["row"].starts
        stream.close()
        columns = ["cell_number", "drug_number", self.target]
        table = self.dataset.to_pandas(self.samples.asset)[columns]
        cell, drug, seen = (table[name].to_numpy()[rows] for name in columns)
        return cell.astype(np.int64), drug.astype(np.int64), seen.astype(np.float64)

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Mean and deviation of the training responses, if they are scaled."""
        seen = self.past[2]
        return (float(seen.mean()), float(seen.std()) or 1.0) if self.profile.scaled else (0, 1)

    @cached_property
    def features(self) -> Mapping[str, tuple[str, Tensor, Tensor]]:
        """Of each variable: ``cell`` or ``drug``, and mean and deviation by column."""
        found = {}
        for join, numbers in zip(self._joins, self.past[:2], strict=True):
            held = self.dataset.to_xarray(join.asset)
            for name in join.variables:
                values = held[name].values[np.unique(numbers)].astype(np.float64)
                mean, deviation = _moments(values)
                if not self.profile.scaled:
                    mean, deviation = np.zeros_like(mean), np.ones_like(mean)
                found[name] = (
                    join.by,
                    *(
                        torch.from_numpy(a.astype(np.float32)).to(self.device)
                        for a in (mean, deviation)
                    ),
                )
        return found

    @property
    def _joins(self) -> list[Any]:  # Any: the record's joins
        return sorted(self.samples.joins, key=lambda join: join.by)

    def vector(self, samples: Samples, kind: str) -> Tensor:
        """Return the features of the cells or the drugs of a batch; 0 where there is none."""
        return torch.cat(
            [
                ((samples[name].float() - mean) / deviation).nan_to_num(nan=0.0)
                .clamp(-FARTHEST, FARTHEST)
                for name, (by, mean, deviation) in self.features.items()
                if by == kind
            ],
            dim=1,
        )  # fmt: skip

    def width(self, kind: str) -> int:
        """Return how many features a cell or a drug has."""
        return sum(len(mean) for by, mean, _ in self.features.values() if by == kind)

    def scaled(self, values: Tensor) -> Tensor:
        """Return responses as the model predicts them."""
        mean, deviation = self.scale
        return (values - mean) / deviation


def collate(setup: Responses, samples: Samples) -> Batch:
    """Join what belongs to the cell, and what belongs to the drug."""
    inputs = setup.vector(samples, "cell"), setup.vector(samples, "drug")
    return Batch(inputs, samples[setup.target].float(), samples)


def loss(setup: Responses, found: Tensor, batch: Batch) -> Tensor:
    """Squared error of scaled responses."""
    return ((found - setup.scaled(batch.target)) ** 2).mean()


class ResponseScores:
    """Scores in the unit of the response; and shares of rows whose cell or drug trained."""

    def __init__(self, setup: Responses) -> None:
        mean, deviation = setup.scale
        self._scores = Measures(
            {
                "MSE": MeanSquaredError(),
                "MAE": MeanAbsoluteError(),
                "R2": R2Score(),
                "Pearson": Correlation(),
            },
            lambda found, batch: (found * deviation + mean, batch.target),
        )
        cells, drugs = (torch.from_numpy(np.unique(numbers)) for numbers in setup.past[:2])
        self._trained = {"cell": cells, "drug": drugs}
        self._known = {kind: MeanMetric() for kind in self._trained}

    def update(self, prediction: Tensor, batch: Batch) -> None:
        """Take in a batch."""
        self._scores.update(prediction, batch)
        for kind, numbers in self._trained.items():
            there = torch.isin(batch.samples[f"{kind}_number"].to(numbers), numbers)
            self._known[kind].update(there.float())

    def compute(self) -> dict[str, float]:
        """Return the scores."""
        known = {f"known {kind}s": float(m.compute()) for kind, m in self._known.items()}
        return {**self._scores.compute(), **known}

    def to(self, device: torch.device) -> "ResponseScores":
        """Move to a device."""
        self._scores.to(device)
        self._trained = {kind: held.to(device) for kind, held in self._trained.items()}
        for metric in self._known.values():
            metric.to(device)
        return self


def predict(setup: Responses, model: nn.Module, batch: Batch) -> Tensor:
    """Predict once with dropout off, or as the mean of many with dropout on."""
    if not setup.settings.draws:
        found: Tensor = model(*batch.inputs)
        return found
    drop_always(model)
    total = torch.stack([model(*batch.inputs) for _ in range(setup.settings.draws)]).mean(dim=0)
    model.eval()
    return total


def rate(settings: Settings, epochs: float, seen: Evaluations) -> float:
    """Return the learning rate; by the published rule it *falls* in what is called warm-up.

    For whole epochs e of 0 to 5 it is ((5 - e) base + e 1e-4) / 5. Whenever five epochs bring
    no better evaluation it is halved, down to 1e-5; warm-up overrides that while it lasts.
    """
    if not (isinstance(settings, UnoSettings) and settings.published_rate):
        return learning_rate(settings, epochs)
    base, best, waited = settings.learning_rate, math.inf, 0
    found, scores = base, dict(enumerate(seen))
    for epoch in range(int(epochs) + 1):
        if epoch <= WARM_EPOCHS:
            found = ((WARM_EPOCHS - epoch) * base + epoch * WARM_RATE) / WARM_EPOCHS
        if epoch == int(epochs) or (score := scores.get(epoch)) is None:
            continue
        if score < best - PLATEAU_DELTA:
            best, waited = score, 0
        elif (waited := waited + 1) >= PLATEAU_EPOCHS:
            found, waited = max(found / 2, PLATEAU_RATE), 0
    return found


def effects(
    cell: npt.NDArray[np.int64], drug: npt.NDArray[np.int64], seen: Float64
) -> tuple[float, Float64, Float64]:
    """Fit mean + cell + drug by ridge regression, in turns.

    Returns
    -------
    float, (cells,), (drugs,)
        Effects are 0 where nothing was seen.
    """
    mean = float(seen.mean())
    of_cell, of_drug = np.zeros(cell.max() + 1), np.zeros(drug.max() + 1)
    for _ in range(_ROUNDS):
        of_drug = _shrunk(drug, seen - mean - of_cell[cell], len(of_drug))
        of_cell = _shrunk(cell, seen - mean - of_drug[drug], len(of_cell))
    return mean, of_cell, of_drug


def forecasters(setup: Responses, part: str) -> Mapping[str, Forecaster]:
    """Predict the mean; the drug's mean; cell and drug added up; and, if known, the truth."""
    cell, drug, seen = setup.past
    mean, of_cell, of_drug = effects(cell, drug, seen)
    counts = np.bincount(drug)
    sums = np.bincount(drug, seen)
    of_drug_alone = np.where(counts > 0, sums / np.maximum(counts, 1), mean)

    def at(effect: Float64, numbers: Tensor, otherwise: float) -> Tensor:
        held = torch.from_numpy(np.append(effect, otherwise).astype(np.float32))
        return held.to(numbers.device)[numbers.long().clamp(max=len(effect))]

    def additive(batch: Batch) -> Tensor:
        cells, drugs = batch.samples["cell_number"], batch.samples["drug_number"]
        return setup.scaled(mean + at(of_cell, cells, 0.0) + at(of_drug, drugs, 0.0))

    found: dict[str, Forecaster] = {
        "mean": lambda batch: setup.scaled(torch.full_like(batch.target, mean)),
        "drug mean": lambda batch: setup.scaled(
            at(of_drug_alone, batch.samples["drug_number"], mean)
        ),
        "additive": additive,
    }
    if _TRUTH in setup.samples.targets:
        found["truth"] = lambda batch: setup.scaled(batch.samples[_TRUTH].float())
    return found


def _moments(values: Float64) -> tuple[Float64, Float64]:
    """Mean and deviation by column, of what is a number; 0 and 1 where nothing varies."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0).sum(axis=0) / count)
    return mean, np.where(spread > 1e-6 * (1 + np.abs(mean)), spread, 1.0)


def _shrunk(numbers: npt.NDArray[np.int64], rest: Float64, length: int) -> Float64:
    counts = np.bincount(numbers, minlength=length)
    return np.bincount(numbers, rest, minlength=length) / (counts + _RIDGE)


_TARGET = Target(value=0.0054, source="validation MSE 0.0054: MLCommons Science policy 0.5")
_LEAKS = {
    "cell": ("drugs of held-out rows train, so the effect of a drug is known",),
    "drug": ("cells of held-out rows train, so the sensitivity of a cell is known",),
    "row": ("cells and drugs of held-out rows train: only the pair is new",),
}
_SAYS = {
    "cell": "no cell line in two parts",
    "drug": "no drug in two parts",
    "row": "rows at random, which leaks cell lines and drugs",
}
_PUBLISHED = UnoSettings(
    model="towers", epochs=50, batch_size=32, learning_rate=1e-3, patience=10, keep="best"
)
_AS_PUBLISHED = replace(_PUBLISHED, published_rate=True, shuffle="none")
_QUIRKS = (
    "what is called warm-up lets the learning rate fall from 1e-3 to 1e-4",
    "later it is halved whenever five epochs bring no better validation MSE",
    "rows come in the same order in every epoch",
    "features were scaled over all cells and drugs, held-out ones, too",
    "not kept: dropout at evaluation (--set draws=1 keeps it, draws=30 averages it)",
)
_SMALL = UnoSettings(
    model="towers",
    width=128,
    epochs=8,
    batch_size=64,
    learning_rate=2e-3,
    decay=0.05,
    keep="best",
)


def _profiles(name: str, of: str, dataset: str, settings: UnoSettings) -> dict[str, Profile]:
    """Make a profile for each split of a small dataset; by cell it has the plain name."""
    found: dict[str, Profile] = {}
    for split, says in _SAYS.items():
        own = name if split == "cell" else f"{name}-{split}"
        found[own] = UnoProfile(
            name=own,
            description=f"{of}: {says}",
            dataset=dataset,
            split=split,
            settings=settings,
            leaks=_LEAKS[split],
        )
    return found


TASK = Task(
    name="candle-uno",
    title="How strongly a drug acts on a tumour cell line",
    dataset="candle-uno",
    metric="MSE",
    unit="1",
    higher_is_better=False,
    source="MLCommons Science benchmark CANDLE-UNO, https://github.com/mlcommons/science",
    setup=Responses,
    models={
        "towers": lambda setup: Towers(
            setup.width("cell"),
            setup.width("drug"),
            width=setup.settings.width,
            dropout=setup.settings.dropout,
        )
    },
    collate=collate,
    loss=loss,
    measure=lambda setup, part: ResponseScores(setup),
    baselines=forecasters,
    predict=predict,
    schedule=rate,
    profiles={
        **_profiles("mini", "Simulated", "candle-uno-mini", _SMALL),
        "strict": UnoProfile(
            name="strict",
            description="No cell line in two parts; scaling from training data only",
            split="cell",
            target=_TARGET,
            settings=_PUBLISHED,
            leaks=_LEAKS["cell"],
        ),
        "strict-drug": UnoProfile(
            name="strict-drug",
            description="No drug in two parts; scaling from training data only",
            split="drug",
            target=_TARGET,
            settings=_PUBLISHED,
            leaks=_LEAKS["drug"],
        ),
        "reference": UnoProfile(
            name="reference",
            description="Published rules: rows at random, features and rate as published",
            split="row",
            target=_TARGET,
            scaled=False,
            settings=replace(_AS_PUBLISHED, seed=2018),
            quirks=_QUIRKS,
            leaks=_LEAKS["row"],
        ),
        "fixed-model": UnoProfile(
            name="fixed-model",
            description="As reference, with all but the machine fixed: to compare systems",
            split="row",
            target=_TARGET,
            scaled=False,
            frozen=True,
            settings=replace(_AS_PUBLISHED, stop_at_target=True),
            quirks=_QUIRKS,
            leaks=_LEAKS["row"],
        ),
        **_profiles("ccle", "Real, CCLE", "candle-uno-ccle", _SMALL),
        **_profiles("ctrp-gdsc", "Real, CTRP and GDSC", "candle-uno-ctrp-gdsc", _SMALL),
        **_profiles(
            "gdsc2",
            "Real, GDSC2 ln IC50",
            "candle-uno-gdsc2",
            replace(_SMALL, epochs=5, batch_size=256),
        ),
    },
)
