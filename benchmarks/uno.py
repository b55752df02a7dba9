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
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanSquaredError, R2Score
from torchmetrics.aggregation import MeanMetric

from scidata.benchmarks.metrics import Correlation, Measures
from scidata.benchmarks.settings import Settings
from scidata.benchmarks.task import Batch, Evaluations, Profile, Samples, Target, Task
from scidata.benchmarks.towers import Towers, drop_always
from scidata.benchmarks.training import learning_rate
from scidata.benchmarks.uno_baselines import forecasters
from scidata.benchmarks.uno_setup import CELL, Responses, UnoProfile, UnoSettings

WARM_EPOCHS, WARM_RATE = 5, 1e-4
PLATEAU_EPOCHS, PLATEAU_RATE, PLATEAU_DELTA = 5, 1e-5, 1e-4
"""Epochs without a better one that halve the rate, the least rate, and what is better at least;
the last is the default of the Keras callback that the published code uses."""


def collate(setup: Responses, samples: Samples) -> Batch:
    """Join what belongs to the cell, and what belongs to each drug."""
    inputs = tuple(setup.vector(samples, by) for by in (CELL, *setup.drugs))
    return Batch(inputs, samples[setup.target].float(), samples)


def loss(setup: Responses, found: Tensor, batch: Batch) -> Tensor:
    """Squared error of scaled responses."""
    return ((found - setup.scaled(batch.target)) ** 2).mean()


class ResponseScores:
    """Scores in the unit of the response; and shares of rows whose cell or drugs trained."""

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
        trained = setup.trained
        numbers = {"cell": trained.cell, "drug": np.concatenate(trained.drugs)}
        self._trained = {kind: torch.from_numpy(np.unique(n)) for kind, n in numbers.items()}
        self._columns = {"cell": (CELL,), "drug": setup.drugs}
        self._known = {kind: MeanMetric() for kind in self._trained}

    def update(self, prediction: Tensor, batch: Batch) -> None:
        """Take in a batch."""
        self._scores.update(prediction, batch)
        for kind, numbers in self._trained.items():
            columns = [batch.samples[f"{by}_number"] for by in self._columns[kind]]
            there = torch.isin(torch.stack(columns, dim=1).to(numbers), numbers)
            self._known[kind].update(there.all(dim=1).float())

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
            setup.width(CELL),
            setup.width(setup.drugs[0]),
            drugs=len(setup.drugs),
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
        **_profiles("pairs", "Simulated, two drugs", "candle-uno-pairs-mini", _SMALL),
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
