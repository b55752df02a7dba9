"""What a benchmark is: data and a few short functions. The harness does all the rest.

A task reads no clock, draws no seed, writes no file and knows neither devices nor processes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from scidata.benchmarks.settings import Settings
from scidata.dataset import Dataset
from scidata.errors import NotFoundError
from scidata.loaders.opening import StreamOptions
from scidata.loaders.stream import Stream

Samples: TypeAlias = Mapping[str, Tensor]
"""A batch as the stream gives it, on the run's device: every variable of the samples, and the
index along each dimension that they stand along."""


class Batch(NamedTuple):
    """A batch as the model, the loss and the measures take it."""

    inputs: tuple[Tensor, ...]
    """Arguments of the model."""
    target: Tensor
    """What the model should give."""
    samples: Samples
    """What it was made from."""

    @property
    def size(self) -> int:
        """Samples in it."""
        return len(self.target)


Use: TypeAlias = Literal["train", "score"]
"""What a part is streamed for: the training part is trained on, and scored, too."""

Evaluations: TypeAlias = Sequence[float | None]
"""The metric on the part that training is watched on after each epoch that is done; None where
it was not evaluated."""

Forecaster: TypeAlias = Callable[[Batch], Tensor]
"""Gives what the model gives, for a batch."""


class Measure(Protocol):
    """Scores predictions; every `torchmetrics.Metric` with this ``update`` is one.

    ``scidata.benchmarks.metrics.Measures`` makes one of torchmetrics' own. Over several
    processes a metric gathers its state by itself.
    """

    def update(self, prediction: Tensor, batch: Batch) -> None:
        """Take in a batch."""
        ...

    def compute(self) -> Mapping[str, Any]:  # Any: a number or a scalar tensor
        """Return scores by name, over all that was taken in."""
        ...

    def to(self, device: torch.device) -> Any:  # Any: itself, as torch has it
        """Move to a device."""
        ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """What counts as solved."""

    value: float
    """Of the task's metric on the validation part."""
    source: str
    """Who says so."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Rules of evaluation: which data, which split, which habits of the published code."""

    name: str
    """``mini``, ``reference``, ``strict``, ``fixed-model``, or one of the task alone."""
    description: str
    settings: Settings
    split: str
    """Name of the split; ``train`` is one of its parts."""
    asset: str | None = None
    """Asset to stream; by default the split's, else the samples'."""
    dataset: str | None = None
    """In place of the task's dataset: a ``mini`` one may be another."""
    parts: tuple[str, ...] = ("train", "validation", "test")
    """Parts that are scored."""
    validate: str = "validation"
    """The part that training is watched on."""
    target: Target | None = None
    frozen: bool = False
    """Whether only settings of the machine can be changed."""
    quirks: tuple[str, ...] = ()
    """What is done as published although it is not right; named in every result."""
    leaks: tuple[str, ...] = ()
    """What the model can know of the held-out part; named in every result."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a run has opened: the first argument of each of a task's functions.

    A task that computes something once, such as a scaling, puts it into a subclass as a
    `functools.cached_property`.
    """

    dataset: Dataset
    profile: Profile
    settings: Settings
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def statistics(self) -> dict[str, Any]:  # Any: JSON
        """The version's statistics of the profile's asset."""
        return self.dataset.statistics(self.profile.asset)

    def stream(self, part: str, **options: Any) -> Stream:  # Any: as Dataset.stream takes them
        """Open a part of the split, by default whole and in order: for fitting a baseline."""
        given = {
            "asset": self.profile.asset,
            "batch_size": self.settings.score_batch_size,
            "memory": self.settings.memory * 2**20,
            **options,
        }
        return self.dataset.stream(f"{self.profile.split}/{part}", **given)


S = TypeVar("S", bound=Setup)


@dataclass(frozen=True, kw_only=True)
class Task(Generic[S]):
    """Everything that tells one benchmark from another.

    Four functions are needed, and the baselines; `stream` and what follows it only where
    a task departs from what all others do.
    """

    name: str
    title: str
    dataset: str
    """Reference; without a number the newest version."""
    metric: str
    """Name of the score that the target is about; one of those that `measure` gives."""
    unit: str
    """Of the metric; 1 if it has none."""
    higher_is_better: bool
    source: str
    """Where the task is defined: a DOI or a document."""
    profiles: Mapping[str, Profile]
    setup: type[S]
    models: Mapping[str, Callable[[S], nn.Module]]
    """Reference models by name; untrained, on the CPU."""
    collate: Callable[[S, Samples], Batch]
    loss: Callable[[S, Tensor, Batch], Tensor]
    """Of what the model gave: a scalar, the mean over the batch."""
    measure: Callable[[S, str], Measure]
    """New measures for a part."""
    baselines: Callable[[S, str], Mapping[str, Forecaster]]
    """What the model is compared with on a part, by name."""
    stream: Callable[[S, str, Use], StreamOptions] | None = None
    """Further options of a part's stream, such as other samples for whole images."""
    mixed: Callable[[S], bool] | None = None
    """Whether a forecast depends on the batch that it stands in: then batches are scored mixed,
    as in training, in an order that never changes; otherwise as the samples lie."""
    predict: Callable[[S, nn.Module, Batch], Tensor] | None = None
    """How the model is asked when it is scored; by default ``model(*batch.inputs)``."""
    schedule: Callable[[Settings, float, Evaluations], float] | None = None
    """Learning rate after so many epochs (a fraction counts) with these evaluations; by default
    warm-up and decay."""

    def __reduce_ex__(self, protocol: Any) -> Any:  # Any: as object has them
        """Travel to another process by name, if known there: functions may be lambdas."""
        from scidata.benchmarks import TASKS, load_task

        if self.name in TASKS and load_task(self.name) is self:
            return load_task, (self.name,)
        return super().__reduce_ex__(protocol)

    def profile(self, name: str) -> Profile:
        """Return a profile by name; `NotFoundError` if there is none."""
        if name not in self.profiles:
            raise NotFoundError(
                f"no profile {name!r} of {self.name}; there are {', '.join(self.profiles)}",
                where=f"task {self.name}",
                fix="choose one of these",
            )
        return self.profiles[name]

    def model(self, setup: S) -> nn.Module:
        """Make the model that the settings name; `NotFoundError` if there is none."""
        name = setup.settings.model
        if name not in self.models:
            raise NotFoundError(
                f"no model {name!r} of {self.name}; there are {', '.join(self.models)}",
                where=f"task {self.name}",
                fix=f"--set model={next(iter(self.models))}",
            )
        return self.models[name](setup)

    def is_better(self, score: float, than: float | None) -> bool:
        """Say whether a score beats another; anything beats none, and no number nothing."""
        if score != score or than is None:  # noqa: PLR0124 - not a number
            return than is None and score == score  # noqa: PLR0124
        return score > than if self.higher_is_better else score < than

    def reaches(self, score: float, target: Target | None) -> bool:
        """Say whether a score is as good as a target, if there is one."""
        if target is None:
            return False
        return score >= target.value if self.higher_is_better else score <= target.value
