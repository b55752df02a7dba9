"""The one loop that runs every task: settings, seeds, epochs, checkpoints, scores, the result.

A task is data (`Task`), and an experiment (`Experiment`) is what it makes of an opened version.
No task touches clocks, seeds, files or progress.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from scidata.benchmarks import runs
from scidata.benchmarks.machine import code_facts, hardware_facts, peak_memory_bytes
from scidata.benchmarks.metrics import Missing
from scidata.dataset import Dataset
from scidata.errors import InvalidError, NotFoundError
from scidata.facts import STATISTICS
from scidata.hashing import Progress
from scidata.published import find_asset
from scidata.split import SPLITS
from scidata.verifying import verify

Batch: TypeAlias = dict[str, Tensor]
Scores: TypeAlias = dict[str, dict[str, dict[str, float]]]
"""By forecaster (model, baselines), then target, then convention."""

_MAY_BE_ZERO = {"seed", "decay", "clip"}
_LARGEST = {"seed": 2**63 - 1, "threads": 1024}  # what torch takes, and a machine may have
_LARGEST_OTHER = 2**31


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Hyperparameters; each can be replaced by name."""

    epochs: int
    batch_size: int
    """Samples."""
    learning_rate: float
    decay: float = 1.0
    """Share of the learning rate that is left at the end; it falls along half a cosine."""
    clip: float = 0.0
    """Largest norm of a gradient; 0 does not clip."""
    seed: int = 0
    stride: int = 1
    """Every stride-th window in time trains."""
    score_stride: int = 1
    """Every score_stride-th window in time is scored."""
    threads: int = 1
    """CPU threads. Another number may change the last digits of a result; beside other busy
    processes more than one is slower."""

    def changed(self, values: Mapping[str, int | float]) -> "Settings":
        """Replace settings by name.

        Raises
        ------
        NotFoundError
            If there is no such setting.
        InvalidError
            If a value is out of range.
        """
        names = [f.name for f in fields(self)]
        if unknown := sorted(set(values) - set(names)):
            raise NotFoundError(
                f"no setting {', '.join(unknown)}; there are {', '.join(names)}",
                where="settings",
                fix="choose one of these",
            )
        wrong = [name for name, value in values.items() if not _is_in_range(name, value)]
        if wrong:
            raise InvalidError(
                "out of range: " + ", ".join(f"{name} {values[name]}" for name in wrong),
                where="settings",
                fix="give a number above 0 and of usual size",
            )
        return replace(self, **values)  # type: ignore[arg-type]  # by name, checked above


def _is_in_range(name: str, value: float) -> bool:
    # Not a number is in no range.
    return 0 <= value <= _LARGEST.get(name, _LARGEST_OTHER) and (
        value > 0 or name in _MAY_BE_ZERO
    )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Rules of evaluation: which data, which split, which habits of the published code."""

    name: str
    description: str
    asset: str
    split: str
    """Name of the split; `train` is one of its parts."""
    parts: tuple[str, ...]
    """Parts that are scored, `train` first."""
    settings: Settings
    missing: Missing = "exclude"
    """What becomes of observations that do not exist."""
    quirks: tuple[str, ...] = ()
    """What is done as published although it is not right; named in every result."""
    leaks: tuple[str, ...] = ()
    """What the model can know of the held-out part; named in every result."""


class Experiment(Protocol):
    """A task on an opened version."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        ...

    @property
    def splits(self) -> dict[str, dict[str, Any]]:  # Any: JSON
        """By part: name, digest, number of ids and samples."""
        ...

    @property
    def batches(self) -> int:
        """Batches in an epoch."""
        ...

    @property
    def scoring_steps(self) -> int:
        """Batches that scoring takes."""
        ...

    def epoch(self, number: int) -> Iterable[Batch]:
        """Batches of one epoch, in an order that the seed fixes."""
        ...

    def loss(self, batch: Batch) -> Tensor:
        """Training loss, scalar."""
        ...

    def score(self, part: str, step: Callable[[], None]) -> Scores:
        """Score model and baselines on a part; call `step` after each batch."""
        ...


@dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that tells one benchmark from another, as data."""

    name: str
    title: str
    dataset: str
    """Reference; without a number the newest version."""
    metric: str
    higher_is_better: bool
    target: str
    """What counts as solved, and who says so."""
    source: str
    profiles: Mapping[str, Profile]
    build: Callable[[Dataset, Profile, Settings], Experiment]

    def profile(self, name: str) -> Profile:
        """Return a profile by name; `NotFoundError` if there is none."""
        if name not in self.profiles:
            raise NotFoundError(
                f"no profile {name!r} of {self.name}; there are {', '.join(self.profiles)}",
                where=f"task {self.name}",
                fix="choose one of these",
            )
        return self.profiles[name]


def plan(
    task: Task, profile: Profile, dataset: Dataset, *, changed: Mapping[str, int | float]
) -> dict[str, Any]:  # Any: a JSON document
    """Open everything that a run needs, and say what it would do."""
    settings = profile.settings.changed(changed)
    with _alone(settings.seed, settings.threads):
        experiment = task.build(dataset, profile, settings)
    return {
        **_described(task, profile, dataset, settings),
        "splits": experiment.splits,
        "batches": settings.epochs * experiment.batches,
        "scoring_batches": experiment.scoring_steps,
    }


def run(
    task: Task,
    profile: Profile,
    dataset: Dataset,
    out: Path,
    *,
    changed: Mapping[str, int | float],
    progress: Progress | None = None,
) -> dict[str, Any]:  # Any: a JSON document
    """Train and score; `scidata.benchmarks.run_task` says what each parameter means."""
    settings = profile.settings.changed(changed)
    identity = {
        "task": task.name,
        "profile": profile.name,
        "dataset": dataset.name,
        "digest": str(dataset.digest),
        **asdict(settings),
    }
    if finished := runs.read_result(out, identity):
        return finished
    # A score names the bytes that it was computed on, so they are looked at first.
    data = find_asset(dataset.commit, profile.asset).path
    globs = (f"{data}*", f"{SPLITS}*", STATISTICS)
    verify(dataset.name, dataset.store, digest=dataset.digest, globs=globs).require_sound()
    runs.prepare(out)
    with _alone(settings.seed, settings.threads):
        begin = perf_counter()
        experiment = task.build(dataset, profile, settings)
        build_s = perf_counter() - begin
        counter = _Counter(experiment, settings.epochs, progress)
        state = _train(experiment, settings, runs.Checkpoints(out, identity), counter)
        begin = perf_counter()
        experiment.model.eval()
        scores = {part: experiment.score(part, counter.step) for part in profile.parts}
    seconds = {"build": build_s, "train": state.seconds, "score": perf_counter() - begin}
    result = {
        "schema": runs.SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        **_described(task, profile, dataset, settings),
        "splits": experiment.splits,
        "parameters": sum(p.numel() for p in experiment.model.parameters()),
        "scores": scores,
        "summary": {part: _means(found) for part, found in scores.items()},
        "losses": state.losses,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "samples_per_second": round(state.samples / max(state.seconds, 1e-9), 1),
        "code": code_facts(),
        "hardware": hardware_facts(settings.threads),
        "peak_memory_bytes": peak_memory_bytes(),
    }
    return runs.write_result(out, identity, result)


def _train(
    experiment: Experiment,
    settings: Settings,
    checkpoints: runs.Checkpoints,
    counter: "_Counter",
) -> runs.State:
    optimizer = torch.optim.Adam(experiment.model.parameters(), lr=settings.learning_rate)
    state = checkpoints.restore(experiment.model, optimizer)
    counter.skip(state.epoch * experiment.batches)
    experiment.model.train()
    steps = settings.epochs * experiment.batches
    while state.epoch < settings.epochs:
        begin, total, samples = perf_counter(), 0.0, 0
        for number, batch in enumerate(experiment.epoch(state.epoch)):
            share = (state.epoch * experiment.batches + number) / steps
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings, share)
            loss = _step(experiment, optimizer, batch, settings.clip)
            size = len(next(iter(batch.values())))
            total, samples = total + loss * size, samples + size
            counter.step()
        state = runs.State(
            epoch=state.epoch + 1,
            losses=[*state.losses, total / max(samples, 1)],
            seconds=state.seconds + perf_counter() - begin,
            samples=state.samples + samples,
        )
        checkpoints.save(experiment.model, optimizer, state)
    return state


def learning_rate(settings: Settings, share: float) -> float:
    """Return the learning rate when a share of all steps is done.

    Examples
    --------
    >>> half = Settings(epochs=1, batch_size=1, learning_rate=1.0, decay=0.5)
    >>> learning_rate(half, 0.0), learning_rate(half, 1.0)
    (1.0, 0.5)
    """
    left = (1 + math.cos(math.pi * share)) / 2
    return settings.learning_rate * (settings.decay + (1 - settings.decay) * left)


def _step(
    experiment: Experiment, optimizer: torch.optim.Optimizer, batch: Batch, clip: float
) -> float:
    optimizer.zero_grad(set_to_none=True)
    loss = experiment.loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    if clip:
        nn.utils.clip_grad_norm_(experiment.model.parameters(), clip)
    optimizer.step()
    return loss.item()


def _described(
    task: Task, profile: Profile, dataset: Dataset, settings: Settings
) -> dict[str, Any]:  # Any: JSON
    return {
        "task": task.name,
        "profile": profile.name,
        "description": profile.description,
        "dataset": {
            "name": dataset.name,
            "digest": str(dataset.digest),
            "asset": profile.asset,
        },
        "metric": task.metric,
        "higher_is_better": task.higher_is_better,
        "target": task.target,
        "source": task.source,
        "hyperparameters": {"optimizer": "Adam", **asdict(settings)},
        "quirks": list(profile.quirks),
        "leaks": list(profile.leaks),
    }


def _means(scores: Scores) -> dict[str, dict[str, float]]:
    """Mean over the targets of each convention, by forecaster."""
    return {
        forecaster: {
            convention: sum(s[convention] for s in targets.values()) / len(targets)
            for convention in ("averaged", "summed")
        }
        for forecaster, targets in scores.items()
    }


class _Counter:
    """Counts steps of training and scoring together."""

    def __init__(self, experiment: Experiment, epochs: int, progress: Progress | None) -> None:
        self._total = epochs * experiment.batches + experiment.scoring_steps
        self._done = 0
        self._progress = progress or (lambda done, total: None)

    def skip(self, steps: int) -> None:
        self._done += steps
        self._progress(self._done, self._total)

    def step(self) -> None:
        self.skip(1)


@contextmanager
def _alone(seed: int, threads: int) -> Iterator[None]:
    """Seed torch and set its threads, and leave both as they were for the caller."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
