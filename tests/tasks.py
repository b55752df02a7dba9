"""A small task on the random earthquakes: images, a convolution, and measures that count."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from scidata.benchmarks.settings import Settings
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
from scidata.loaders.opening import StreamOptions


class Counted(Metric):
    """Squared error, and which samples were scored how often."""

    full_state_update = False
    places: list[Tensor]
    errors: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("places", default=[], dist_reduce_fx="cat")
        self.add_state("errors", default=[], dist_reduce_fx="cat")

    def update(self, prediction: Tensor, batch: Batch) -> None:
        self.places.append(batch.samples["location"] * 10_000 + batch.samples["time"])
        self.errors.append(((prediction - batch.target) ** 2).flatten())

    def compute(self) -> dict[str, float]:
        places, errors = (
            state if isinstance(state, Tensor) else torch.cat(state)
            for state in (self.places, self.errors)
        )
        return {
            "MSE": float(errors.double().mean()),
            "samples": float(len(places)),
            "distinct": float(len(set(places.tolist()))),
        }


def images(setup: Setup) -> nn.Module:
    """Two convolutions and a mean."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 1, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def normalised(setup: Setup) -> nn.Module:
    """The same, with running means and with dropout: state that a checkpoint must hold."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 1),
    )


def collate(setup: Setup, samples: Samples) -> Batch:
    image = samples["magnitude_back"].transpose(1, 2)[:, None]
    target = image.mean(dim=(1, 2, 3))[:, None] + samples["depth"].mean(dim=1, keepdim=True)
    return Batch((image,), target, samples)


def loss(setup: Setup, prediction: Tensor, batch: Batch) -> Tensor:
    return ((prediction - batch.target) ** 2).mean()


def diverging(setup: Setup, prediction: Tensor, batch: Batch) -> Tensor:
    return loss(setup, prediction, batch) * torch.inf


def counted(setup: Setup, part: str) -> Counted:
    return Counted()


def baselines(setup: Setup, part: str) -> Mapping[str, Forecaster]:
    return {"nothing": lambda batch: torch.zeros_like(batch.target)}


def strided(setup: Setup, part: str, use: Use) -> StreamOptions:
    return {"stride": 4}


def profile(name: str = "mini", **fields: Any) -> Profile:  # Any: fields of a profile
    rules: dict[str, Any] = {
        "description": "For tests.",
        "asset": "fortnights",
        "split": "time",
        "target": Target(value=0.5, source="the tests"),
        "settings": Settings(model="images", epochs=3, batch_size=28, learning_rate=1e-2),
    }
    return Profile(name=name, **{**rules, **fields})


TASK = Task(
    name="images",
    title="For tests",
    dataset="quakes",
    metric="MSE",
    unit="1",
    higher_is_better=False,
    source="the tests",
    setup=Setup,
    models={"images": images, "normalised": normalised},
    collate=collate,
    loss=loss,
    measure=counted,
    baselines=baselines,
    stream=strided,
    profiles={
        "mini": profile(),
        "fixed-model": profile("fixed-model", frozen=True),
    },
)


def dying(setup: Setup, prediction: Tensor, batch: Batch) -> Tensor:
    """Kill this process as the system does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)
    return loss(setup, prediction, batch)


DYING = replace(TASK, loss=dying)
