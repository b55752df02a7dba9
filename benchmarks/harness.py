"""Runs every task: opens the version, trains on whatever devices, scores, writes the result.

`task` says what a benchmark is, `settings` what can be changed; `devices` starts the processes,
`training` and `scoring` are what each does, `runs` and `mllog` the files that stay.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from lightning_fabric import Fabric

from scidata import split
from scidata.benchmarks import curves, mllog, predictions, runs, torchrun
from scidata.benchmarks.devices import launch, seeded
from scidata.benchmarks.machine import (
    code_facts,
    hardware_facts,
    peak_device_memory_bytes,
    peak_memory_bytes,
)
from scidata.benchmarks.scoring import MODEL, open_part
from scidata.benchmarks.settings import Settings
from scidata.benchmarks.task import Profile, Setup, Task
from scidata.benchmarks.training import State, Training, training_stream
from scidata.dataset import Dataset
from scidata.facts import STATISTICS
from scidata.hashing import Progress
from scidata.loaders.stream import Stream
from scidata.published import find_asset
from scidata.split import SPLITS
from scidata.verifying import verify


@dataclass(frozen=True, kw_only=True)
class Submitter:
    """Who runs it and where, as a log of the benchmark's rules must say."""

    org: str = mllog.UNNAMED
    platform: str = mllog.UNNAMED
    status: str = "research"
    """``onprem``, ``cloud``, ``preview`` or ``research``."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run, as it can be sent to other processes."""

    task: Task[Any]
    profile: Profile
    dataset: Dataset
    settings: Settings
    out: Path
    submitter: Submitter
    splits: Mapping[str, Any]  # Any: JSON

    @property
    def identity(self) -> dict[str, object]:
        """What makes two runs the same."""
        return {
            "task": self.task.name,
            "profile": self.profile.name,
            "dataset": self.dataset.name,
            "digest": str(self.dataset.digest),
            **self.settings.to_json(),
        }

    def setup(self, device: torch.device) -> Setup:
        """Open what the task's functions take."""
        setup: Setup = self.task.setup(
            dataset=self.dataset, profile=self.profile, settings=self.settings, device=device
        )
        return setup


def plan(
    task: Task[Any], profile: Profile, dataset: Dataset, *, changed: Mapping[str, object]
) -> dict[str, Any]:  # Any: a JSON document
    """Open everything that a run needs, and say what it would do."""
    job, streams = prepare(task, profile, dataset, changed=changed)
    setup = job.setup(torch.device("cpu"))
    with seeded(job.settings, setup.device):
        parameters = sum(p.numel() for p in task.model(setup).parameters())
    parts = [stream for part, stream in streams.items() if part != "training"]
    return {
        **described(job),
        "splits": job.splits,
        "parameters": parameters,
        "batches": job.settings.epochs * len(streams["training"]),
        "scoring_batches": sum(map(len, parts)),
    }


def run(
    task: Task[Any],
    profile: Profile,
    dataset: Dataset,
    out: Path,
    *,
    changed: Mapping[str, object],
    submitter: Submitter | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:  # Any: a JSON document
    """Train and score; `scidata.benchmarks.run_task` says what each parameter means."""
    job, streams = prepare(
        task, profile, dataset, changed=changed, out=out, submitter=submitter
    )
    if finished := runs.read_result(out, job.identity):
        return finished
    if torchrun.is_first():
        verify_read(job, streams)
        runs.prepare(out)
    document: dict[str, Any] = launch(
        job.settings, _work, job, progress or (lambda done, total: None)
    )
    return document


def prepare(
    task: Task[Any],
    profile: Profile,
    dataset: Dataset,
    *,
    changed: Mapping[str, object],
    out: Path = Path(),
    submitter: Submitter | None = None,
) -> tuple[Job, dict[str, Stream]]:
    """Open every part once: most mistakes show here, before any process is started."""
    frozen = profile.name if profile.frozen else ""
    settings = profile.settings.changed({**torchrun.settings(), **changed}, frozen=frozen)
    job = Job(
        task=task,
        profile=profile,
        dataset=dataset,
        settings=settings,
        out=out,
        submitter=submitter or Submitter(),
        splits={},
    )
    setup = job.setup(torch.device("cpu"))
    streams = {
        part: open_part(task, setup, part, "score", batch_size=settings.score_batch_size)
        for part in dict.fromkeys((*profile.parts, profile.validate))
    }
    streams["training"] = training_stream(task, setup, 0, settings.devices)
    splits = {part: _split_facts(stream) for part, stream in streams.items()}
    splits[profile.parts[0]]["samples"] = splits.pop("training")["scored_samples"]
    return replace(job, splits=splits), streams


def _split_facts(stream: Stream) -> dict[str, Any]:  # Any: JSON
    return {
        "name": stream.source.split,
        "digest": str(split.digest(stream.source.ids)),
        "ids": len(stream.source.ids),
        "scored_samples": stream.samples,
    }


def verify_read(job: Job, streams: Mapping[str, Stream]) -> None:
    """Verify all that is read: a score names the bytes that it was computed on."""
    dataset, globs = job.dataset, (*_files_read(job, streams), f"{SPLITS}*", STATISTICS)
    verify(dataset.name, dataset.store, digest=dataset.digest, globs=globs).require_sound()


def _files_read(job: Job, streams: Mapping[str, Stream]) -> set[str]:
    keys = {
        key
        for stream in streams.values()
        for key in (stream.source.asset.key, *stream.source.joined)
    }
    return {f"{find_asset(job.dataset.commit, key).path}*" for key in keys}


def _work(fabric: Fabric, job: Job, progress: Progress) -> dict[str, Any]:  # Any: JSON
    """Be one process of a run."""
    first = fabric.global_rank == 0
    log = mllog.Log(job.out / mllog.NAME if first else None)
    checkpoints = runs.Checkpoints(job.out, job.identity)
    counter = _Counter(progress)
    begin = perf_counter()
    with seeded(job.settings, fabric.device):
        if not checkpoints.path.exists():
            log.restart(0)
            _log_header(job, log)
        setup = job.setup(fabric.device)
        training = Training(
            fabric, job.task, setup, checkpoints=checkpoints, log=log, tell=counter
        )
        counter.total = _batches(training)
        if training.restore():
            log.point("resumed", training.state.step)
        else:
            _log_beginning(job, training, log)
        build_s = perf_counter() - begin
        state = training.run()
        log.stop("run_stop", status="success")
        begin = perf_counter()
        scores, kept = _scores(fabric, job, training)
        log.point("result", {part: found[MODEL] for part, found in scores.items()})
    seconds = {
        "build": build_s,
        "train": state.train_s,
        "evaluate": state.evaluate_s,
        "score": perf_counter() - begin,
    }
    result = {
        "schema": runs.SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        **described(job),
        "splits": job.splits,
        "parameters": training.parameters,
        "scores": scores,
        "predictions": kept,
        "curve": state.curve,
        "target": _target(job, state),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        **_measured(fabric, job, state),
    }
    document: dict[str, Any] = {}
    if first:
        runs.write_settings(job.out, job.settings.to_json())
        curves.draw(job.out / curves.NAME, mllog.plain(result))
        # Last: a folder with a result is a finished run.
        document = runs.write_result(job.out, job.identity, result)
    shared: dict[str, Any] = fabric.broadcast(document)
    return shared


def _scores(fabric: Fabric, job: Job, training: Training) -> tuple[dict[str, Any], ...]:
    """Score every part, and keep what the model predicted; the first process knows where."""
    scores, kept = dict[str, Any](), dict[str, Any]()
    for part in job.profile.parts:
        keeper = predictions.Keeper(tuple(training.scorer.stream(part).axes))
        scores[part] = training.scorer.score(part, baselines=True, keeper=keeper)
        kept[part] = keeper.write(
            job.out / predictions.FOLDER / f"{part}.safetensors",
            first=fabric.global_rank == 0,
            world_size=fabric.world_size,
        )
    return scores, kept


def _batches(training: Training) -> int:
    """Batches of training, evaluating and scoring together."""
    scorer, profile = training.scorer, training.setup.profile
    watched = training.evaluations()
    return (
        training.settings.epochs * training.steps
        + (watched * scorer.batches(profile.validate) if watched else 0)
        + sum(map(scorer.batches, profile.parts))
    )


def _log_header(job: Job, log: mllog.Log) -> None:
    code = code_facts()
    log.point("submission_benchmark", job.task.name)
    log.point("submission_org", job.submitter.org)
    log.point("submission_division", mllog.DIVISION)
    log.point("submission_version", code["scidata"])
    log.point("submission_github_commit_version", code["commit"] or "unknown")
    log.point("submission_status", job.submitter.status)
    log.point("submission_platform", job.submitter.platform)
    # No cache_clear: nothing here clears the system's caches, and a log must not say so.
    log.start("init_start")


def _log_beginning(job: Job, training: Training, log: mllog.Log) -> None:
    settings, train = job.settings, job.splits[job.profile.parts[0]]
    log.point("seed", settings.seed)
    log.point("global_batch_size", settings.batch_size)
    log.point("opt_name", settings.optimizer)
    log.point("opt_base_learning_rate", settings.learning_rate)
    log.point("train_samples", train["samples"])
    log.point("eval_samples", job.splits[job.profile.validate]["scored_samples"])
    log.point("dataset", {"name": job.dataset.name, "digest": str(job.dataset.digest)})
    log.stop("init_stop")
    log.start("run_start")


def described(job: Job) -> dict[str, Any]:  # Any: JSON
    """Return what a result says of the task, the data and the settings."""
    task, profile = job.task, job.profile
    return {
        "task": task.name,
        "title": task.title,
        "profile": profile.name,
        "description": profile.description,
        "dataset": {
            "name": job.dataset.name,
            "digest": str(job.dataset.digest),
            "asset": profile.asset,
        },
        "metric": task.metric,
        "unit": task.unit,
        "higher_is_better": task.higher_is_better,
        "source": task.source,
        "hyperparameters": job.settings.to_json(),
        "quirks": list(profile.quirks),
        "leaks": list(profile.leaks),
    }


def _target(job: Job, state: State) -> dict[str, Any] | None:  # Any: JSON
    target = job.profile.target
    if target is None:
        return None
    return {
        "value": target.value,
        "source": target.source,
        "reached": state.target_s is not None,
        "seconds": state.target_s,
    }


def _measured(fabric: Fabric, job: Job, state: State) -> dict[str, Any]:  # Any: JSON
    """Return speed and use of the machine; what nothing tells is left out, not zero."""
    spent = max(state.train_s, 1e-9)
    memory: Any = fabric.all_reduce(torch.tensor(float(peak_memory_bytes())), reduce_op="max")
    found = {
        "ended": state.ended or "epochs",
        "best": {"epoch": state.best_epoch, job.task.metric: state.best},
        "samples_per_second": round(state.samples / spent, 1),
        "stall_share": round(state.wait_s / spent, 4),
        "code": code_facts(),
        "hardware": hardware_facts(job.settings.threads, fabric.device, fabric.world_size),
        "peak_memory_bytes": int(memory),
        "peak_device_memory_bytes": peak_device_memory_bytes(fabric.device),
        "energy_joules": _sum(fabric, state.joules),
    }
    return {name: value for name, value in found.items() if value is not None}


def _sum(fabric: Fabric, value: float | None) -> float | None:
    """Add up what every process measured; None if one could not."""
    held = math.nan if value is None else value
    total: Any = fabric.all_reduce(torch.tensor(held, dtype=torch.float32), reduce_op="sum")
    return None if math.isnan(float(total)) else float(total)


class _Counter:
    """Counts batches of training, evaluating and scoring together."""

    def __init__(self, progress: Progress) -> None:
        self.total = 0
        self._done, self._progress = 0, progress

    def __call__(self, batches: int) -> None:
        self._done += batches
        self._progress(self._done, self.total)
