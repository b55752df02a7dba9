"""Judges a submission: its log by the rules, its claims by the pinned version's own bytes.

Every finding is a problem with a code. What contradicts a digest or the data is a matter of
integrity; what breaks a rule of the form is invalid.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from scidata.benchmarks import mllog, predictions
from scidata.benchmarks.folders import Submission, read_files, read_json, read_submission
from scidata.benchmarks.harness import Job, described, prepare, run, verify_read
from scidata.benchmarks.log_rules import check
from scidata.benchmarks.rescoring import Rescorer
from scidata.benchmarks.runs import RESULT, SETTINGS
from scidata.benchmarks.scoring import MODEL
from scidata.benchmarks.settings import read_settings
from scidata.benchmarks.submission import (
    CONFIG,
    DESCRIPTION,
    LOG,
    SYSTEM,
    SYSTEM_FIELDS,
    WRITE_UP,
)
from scidata.benchmarks.task import Task
from scidata.dataset import Dataset
from scidata.errors import IntegrityError, InvalidError, Problem
from scidata.inventory import known_doi
from scidata.loaders.stream import Stream

TOLERANCE = 1e-4
"""Largest difference of a score, relative where it is above 1: processors round differently."""
RERUN_TOLERANCE = 0.02
"""The same of a training that is done again, perhaps on another machine."""

INTEGRITY = frozenset({"dataset-digest", "split-digest", "score", "samples", "rerun"})
"""Codes of problems that are matters of integrity."""

_MOST_LISTED = 100
_PRIVATE = re.compile(rb"/home/|/root/|/Users/|[A-Za-z]:\\\\?Users|AKIA[0-9A-Z]{16}")
_LOGGED = {
    "seed": "seed",
    "global_batch_size": "batch_size",
    "opt_name": "optimizer",
    "opt_base_learning_rate": "learning_rate",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a folder submits, and what was found."""

    submission: Submission
    problems: tuple[Problem, ...]
    doi: str | None = None
    """Of the version as its store knows it, which no submission can change."""


def check_folder(
    folder: Path,
    *,
    load: Callable[[str], Task[Any]],
    open_version: Callable[[str], Dataset],
    elsewhere: Path | None = None,
    rerun: bool = False,
) -> Verdict:
    """Return what a folder submits, and everything that is wrong with it.

    Raises
    ------
    NotFoundError
        If there is no such folder, task or version, or no predictions.
    InvalidError, IntegrityError
        If the folder cannot be read further: see `scidata.benchmarks.folders`.
    """
    files = read_files(folder)
    submission = read_submission(files)
    submission.named.folder("task")  # the names can be those of folders
    result = read_json(files, RESULT)
    problems = [*_of_form(files, submission, result), *_of_log(files, submission, result)]
    if SETTINGS not in files:
        return Verdict(submission=submission, problems=tuple(problems))
    task = load(submission.task)
    profile = task.profile(submission.profile)
    dataset = open_version(submission.dataset.name)
    if str(dataset.digest) != submission.dataset.digest:
        said = f"{submission.dataset.digest} is claimed, the version has {dataset.digest}"
        problems.append(_problem("dataset-digest", submission.dataset.name, said))
        return Verdict(submission=submission, problems=tuple(problems))
    job, streams = prepare(task, profile, dataset, changed=read_settings(files[SETTINGS]))
    data = submission.dataset.model_dump(exclude={"doi"})
    problems += [*_of_claims(job, result, data), *_of_splits(job, streams, result)]
    if problems:  # a score by other rules says nothing
        return Verdict(submission=submission, problems=tuple(problems))
    verify_read(job, streams)
    kept = _predictions(submission, files, elsewhere)
    found = Rescorer(job).scores(kept)
    problems += _of_scores("score", submission.scores, found, TOLERANCE)
    if rerun and not problems:
        problems += _of_rerun(job, submission)
    known = known_doi(dataset.store, dataset.commit)
    return Verdict(
        submission=submission, problems=tuple(problems), doi=known.doi if known else None
    )


def require_sound(problems: tuple[Problem, ...], *, where: str) -> None:
    """Raise what the problems amount to, if there are any.

    Raises
    ------
    IntegrityError
        If a claim contradicts a digest, the data or the predictions.
    InvalidError
        If rules of the form are broken, and nothing worse.
    """
    grave = [problem for problem in problems if problem.code in INTEGRITY]
    fix = "submit what the run wrote, unchanged"
    if grave:
        said = "; ".join(f"{p.path}: {p.message}" for p in (*grave, *problems)[:5])
        raise IntegrityError(f"{len(problems)} failures: {said}", where=where, fix=fix)
    if problems:
        raise InvalidError.listing(problems[:_MOST_LISTED], where=where, fix=fix)


def _of_form(
    files: Mapping[str, Path], submission: Submission, result: Mapping[str, Any]
) -> Iterator[Problem]:
    for path in (CONFIG, SETTINGS, LOG, SYSTEM, WRITE_UP, "README.md"):
        if path not in files:
            yield _problem("missing", path, "a submission needs it")
    system = read_json(dict(files), SYSTEM)
    if absent := [name for name in SYSTEM_FIELDS if name not in system]:
        yield _problem("system", SYSTEM, f"no {', '.join(absent)}")
    elif (system["submitter"], system["system_name"]) != (submission.org, submission.system):
        yield _problem("system", SYSTEM, "submitter and system differ from the submission's")
    yield from _of_privacy(files)
    claimed = submission.model_dump(mode="json")
    same = ("task", "profile", "metric", "higher_is_better", "created", "quirks", "leaks",
            "scores", "splits")  # fmt: skip
    for name in same:
        if result.get(name) != claimed[name]:
            yield _problem("claim", RESULT, f"{name} here and in {DESCRIPTION} differ")
    kept = {part: each["sha256"] for part, each in claimed["predictions"].items()}
    if _digests(result.get("predictions")) != kept:
        yield _problem("claim", RESULT, "its predictions are not the submission's")


def _digests(kept: object) -> dict[str, Any] | None:  # Any: JSON
    """Return the digests of predictions by part, as a result has them."""
    if not isinstance(kept, dict) or not all(isinstance(each, dict) for each in kept.values()):
        return None
    return {part: each.get("sha256") for part, each in kept.items()}


def _of_privacy(files: Mapping[str, Path]) -> Iterator[Problem]:
    for path, place in files.items():
        if not path.startswith(predictions.FOLDER) and _PRIVATE.search(place.read_bytes()):
            yield _problem("private", path, "it names a home folder or an access key")


def _of_log(
    files: Mapping[str, Path], submission: Submission, result: Mapping[str, Any]
) -> Iterator[Problem]:
    if LOG not in files:
        return
    try:
        events = mllog.read(files[LOG])
    except InvalidError as error:
        yield from error.problems or [_problem("mllog-line", LOG, error.message)]
        return
    yield from check(events)
    said = {event.key: event.value for event in events}
    claimed = submission.model_dump(mode="json")
    expected: dict[str, Any] = {
        "submission_benchmark": submission.task,
        "submission_org": submission.org,
        "submission_platform": submission.system,
        "dataset": {k: claimed["dataset"][k] for k in ("name", "digest")},
        "result": {part: found.get(MODEL) for part, found in claimed["scores"].items()},
    }
    settings = result.get("hyperparameters")
    if isinstance(settings, dict):
        expected |= {key: settings.get(name) for key, name in _LOGGED.items()}
    for key, value in expected.items():
        if said.get(key) != value:
            yield _problem("log-claim", LOG, f"its {key} is not what the submission says")
    yield from _of_curve(events, result)


def _of_curve(events: tuple[mllog.Event, ...], result: Mapping[str, Any]) -> Iterator[Problem]:
    """Compare the epochs and the evaluations of the log with the curve of the result."""
    curve = [entry for entry in result.get("curve") or () if isinstance(entry, dict)]
    ended = [e.metadata.get("epoch_num") for e in events if e.key == "epoch_stop"]
    if ended != [entry.get("epoch") for entry in curve]:
        yield _problem("log-claim", LOG, "its epochs are not those of the curve")
    metric = result.get("metric")
    logged = [e.value for e in events if e.key == "eval_accuracy"]
    drawn = [
        part.get(metric)
        for entry in curve
        for part in entry.values()
        if isinstance(part, dict) and metric in part
    ]
    if logged != drawn:
        yield _problem("log-claim", LOG, "its evaluations are not those of the curve")


def _of_claims(
    job: Job, result: Mapping[str, Any], dataset: Mapping[str, Any]
) -> Iterator[Problem]:
    if result.get("dataset") != dataset:
        yield _problem("claim", RESULT, "its dataset is not the submission's")
    for name, value in mllog.plain(described(job)).items():
        if result.get(name) != value:
            code = "leaking-split" if name == "leaks" else "claim"
            yield _problem(code, RESULT, f"its {name} is not what the task and profile say")
    if list(result.get("scores") or ()) != list(job.profile.parts):
        yield _problem("parts", RESULT, f"its parts are not {', '.join(job.profile.parts)}")
    if result.get("identity") != mllog.plain(job.identity):
        yield _problem("claim", RESULT, "its identity is not that of these settings")


def _of_splits(
    job: Job, streams: Mapping[str, Stream], result: Mapping[str, Any]
) -> Iterator[Problem]:
    claimed = result.get("splits")
    if claimed != mllog.plain(job.splits):
        yield _problem("split-digest", RESULT, "its splits are not those of the version")
    if job.profile.leaks:
        return
    first, *others = job.profile.parts
    trained = touched(streams[first])
    for part in others:
        if shared := int((trained & touched(streams[part])).sum()):
            said = (
                f"{shared:,} steps of {streams[part].source.dimension} belong to samples of "
                f"{first}, too, and no leak is declared"
            )
            yield _problem("leaking-split", f"{job.profile.split}/{part}", said)


def touched(stream: Stream) -> npt.NDArray[np.bool_]:
    """Say which entries or steps of the split's dimension belong to a part's samples.

    Windows take all of their steps, and those up to the nearest target: parts whose ids differ
    share what their windows have in common.

    Returns
    -------
    (length,) bool
    """
    axis, samples = stream.axes[stream.source.dimension], stream.source.samples
    is_first = any(window.dimension == axis.dimension for window in samples.windows[:1])
    change = np.zeros(axis.length + 1, np.int64)
    np.add.at(change, axis.starts, 1)
    stops = axis.starts + axis.size + (samples.lead if is_first else 0)
    np.add.at(change, stops, -1)
    return np.cumsum(change)[:-1] > 0


def _predictions(
    submission: Submission, files: Mapping[str, Path], elsewhere: Path | None
) -> dict[str, predictions.Predictions]:
    found = {}
    for part in submission.scores:
        if part not in submission.predictions:
            raise InvalidError(
                f"no predictions of {part}", where=DESCRIPTION, fix="submit them, too"
            )
        kept = submission.predictions[part]
        path = files.get(kept.path) if kept.path else None
        beside = (elsewhere or Path(predictions.FOLDER)) / f"{Path(part).name}.safetensors"
        found[part] = predictions.read(path or beside, sha256=kept.sha256)
        if len(found[part].ids) != kept.samples:
            raise InvalidError(
                f"{kept.samples:,} predictions are claimed, {len(found[part].ids):,} are there",
                where=f"{DESCRIPTION}, {part}",
                fix="submit what the run wrote, unchanged",
            )
    return found


def _of_scores(
    code: str, claimed: Mapping[str, Any], found: Mapping[str, Any], tolerance: float
) -> Iterator[Problem]:
    ours, theirs = dict(_flat(found)), dict(_flat(claimed))
    for place in sorted(ours.keys() | theirs.keys()):
        if place not in ours or place not in theirs:
            yield _problem(code, place, "only one of claim and recomputation has it")
        elif not _is_close(theirs[place], ours[place], tolerance):
            said = f"{theirs[place]} is claimed, {ours[place]} is found"
            yield _problem(code, place, f"{said}; the tolerance is {tolerance:g}")


def _flat(scores: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, float | None]]:
    for name, value in scores.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{place}{name}/")
        else:
            yield place + name, value


def _is_close(claimed: float | None, found: float | None, tolerance: float) -> bool:
    if claimed is None or found is None:
        return claimed is found
    return math.isclose(claimed, found, rel_tol=tolerance, abs_tol=tolerance)


def _of_rerun(job: Job, submission: Submission) -> Iterator[Problem]:
    """Train again from the settings, on this machine, and compare the model's scores."""
    changed = {**asdict(job.settings), "device": "auto", "devices": 1}
    with TemporaryDirectory() as out:
        again = run(job.task, job.profile, job.dataset, Path(out), changed=changed)
    claimed, found = (
        {part: {MODEL: scores[part][MODEL]} for part in job.profile.parts}
        for scores in (submission.scores, again["scores"])
    )
    yield from _of_scores("rerun", claimed, found, RERUN_TOLERANCE)


def _problem(code: str, path: str, message: str) -> Problem:
    return Problem(
        code=code, path=path, message=message, fix="submit what the run wrote, unchanged"
    )
