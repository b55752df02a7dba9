"""What a run of CANDLE-UNO has opened: what trains, and features that are scaled by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scidata.benchmarks.settings import Settings, setting
from scidata.benchmarks.task import Profile, Samples, Setup
from scidata.benchmarks.towers import WIDTH
from scidata.errors import InvalidError
from scidata.record import Samples as SampleRule

Float64: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

CELL, DRUGS = "cell", ("drug", "drug2")
"""Columns that name the cell and the one or two drugs of a response; with ``_number`` they give
the rows."""
FARTHEST = 10.0
"""Deviations to which scaled features are clipped: some descriptors have far outliers."""


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
    """Learning rate of the published code: see `scidata.benchmarks.uno.rate`."""


@dataclass(frozen=True, kw_only=True)
class UnoProfile(Profile):
    """What is scaled, besides what every profile has."""

    scaled: bool = True
    """Scale features and target by what trains; else take them as published."""


class Trained(NamedTuple):
    """The responses that train."""

    cell: Integers
    """(N,): rows of the cells."""
    drugs: tuple[Integers, ...]
    """(N,) each: rows of the first and, of pairs, the second drug."""
    seen: Float64
    """(N,)"""


class Scale(NamedTuple):
    """How a variable of a batch is scaled."""

    by: str
    """The column that names its rows: the cell, or one of the drugs."""
    mean: Tensor
    """(columns,)"""
    deviation: Tensor
    """(columns,)"""


@dataclass(frozen=True, kw_only=True)
class Responses(Setup):
    """The opened version: what trains, and what it is scaled by."""

    settings: UnoSettings
    profile: UnoProfile

    @cached_property
    def samples(self) -> SampleRule:
        """What the record says a sample is."""
        rule = self.dataset.record.samples
        named = {join.by for join in rule.joins} if rule else set()
        if rule is None or not {CELL, DRUGS[0]} <= named <= {CELL, *DRUGS}:
            raise InvalidError(
                "its samples do not join a cell and one or two drugs",
                where=f"record of {self.dataset.name}",
                fix="build it with scidata build candle-uno or one of its relatives",
            )
        return rule

    @property
    def target(self) -> str:
        """Name of what is predicted."""
        return self.samples.targets[0]

    @cached_property
    def drugs(self) -> tuple[str, ...]:
        """Columns that name the drugs of a response: one, or two."""
        named = {join.by for join in self.samples.joins}
        return tuple(drug for drug in DRUGS if drug in named)

    @cached_property
    def trained(self) -> Trained:
        """What trains."""
        stream = self.stream("train")
        rows = stream.axes["row"].starts
        stream.close()
        table = self.dataset.to_pandas(self.samples.asset)

        def column(name: str) -> Integers:
            return table[f"{name}_number"].to_numpy()[rows].astype(np.int64)

        seen = table[self.target].to_numpy()[rows].astype(np.float64)
        return Trained(column(CELL), tuple(map(column, self.drugs)), seen)

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Mean and deviation of the training responses, if they are scaled."""
        seen = self.trained.seen
        return (float(seen.mean()), float(seen.std()) or 1.0) if self.profile.scaled else (0, 1)

    @cached_property
    def features(self) -> Mapping[str, Scale]:
        """How each variable of a batch is scaled; of two drugs both alike."""
        found = {}
        for join in self.samples.joins:
            is_cell = join.by == CELL
            numbers = self.trained.cell if is_cell else np.concatenate(self.trained.drugs)
            held = self.dataset.to_xarray(join.asset)
            for variable, name in join.named.items():
                values = held[variable].values[np.unique(numbers)].astype(np.float64)
                mean, deviation = _moments(values)
                if not self.profile.scaled:
                    mean, deviation = np.zeros_like(mean), np.ones_like(mean)
                found[name] = Scale(join.by, self._tensor(mean), self._tensor(deviation))
        return found

    def vector(self, samples: Samples, by: str) -> Tensor:
        """Return the features of the cells or drugs of a batch; 0 where there is none.

        Parameters
        ----------
        by : str
            Column that names them.
        """
        return torch.cat(
            [
                ((samples[name].float() - scale.mean) / scale.deviation).nan_to_num(nan=0.0)
                .clamp(-FARTHEST, FARTHEST)
                for name, scale in self.features.items()
                if scale.by == by
            ],
            dim=1,
        )  # fmt: skip

    def width(self, by: str) -> int:
        """Return how many features a cell or a drug has."""
        return sum(len(scale.mean) for scale in self.features.values() if scale.by == by)

    def scaled(self, values: Tensor) -> Tensor:
        """Return responses as the model predicts them."""
        mean, deviation = self.scale
        return (values - mean) / deviation

    def _tensor(self, values: Float64) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device)


def _moments(values: Float64) -> tuple[Float64, Float64]:
    """Mean and deviation by column, of what is a number; 0 and 1 where nothing varies."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0).sum(axis=0) / count)
    return mean, np.where(spread > 1e-6 * (1 + np.abs(mean)), spread, 1.0)
