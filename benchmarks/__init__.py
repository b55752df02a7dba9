"""Benchmarks: a dataset, an objective and a reference implementation each.

`task` says what one is, `harness` runs them all, `metrics` and `baselines` are what they are
scored with; a task is one module and one line here.
"""

if __name__ != "scidata.benchmarks":
    msg = (
        "import 'scidata.benchmarks', not 'benchmarks': this folder is installed inside scidata"
    )
    raise ImportError(msg)

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scidata.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from scidata.benchmarks.task import Task
    from scidata.dataset import Dataset
    from scidata.storage import StoreLike

TASKS = {
    "candle-uno": "scidata.benchmarks.uno",
    "cloudmask": "scidata.benchmarks.cloudmask",
    "stemdl-classification": "scidata.benchmarks.stemdl",
    "stemdl-reconstruction": "scidata.benchmarks.stemdl_reconstruction",
    "tevolop": "scidata.benchmarks.tevolop",
    "tevolop-leads": "scidata.benchmarks.tevolop_leads",
}
"""One line a task: its name and the module that holds ``TASK``, imported when it is used."""

_NEEDED = ("torch", "lightning_fabric", "torchmetrics", "matplotlib")


def load_task(name: str) -> "Task[Any]":  # Any: its own kind of setup
    """Return a task by name.

    Raises
    ------
    NotFoundError
        If there is no such task.
    InvalidError
        If what benchmarks train with is not installed.
    """
    if name not in TASKS:
        raise NotFoundError(
            f"no task {name!r}; there are {', '.join(TASKS)}",
            where="benchmarks",
            fix="run scidata bench list",
        )
    if absent := [module for module in _NEEDED if find_spec(module) is None]:
        raise InvalidError(
            f"benchmarks train with {', '.join(absent)}, which is not installed",
            where=f"task {name}",
            fix='pip install "fair-scidata[bench]"',
        )
    task: Task[Any] = import_module(TASKS[name]).TASK
    return task


def plan_task(
    name: str,
    *,
    profile: str = "mini",
    dataset: str | None = None,
    store: "StoreLike | None" = None,
    settings: Mapping[str, object] | None = None,
) -> dict[str, Any]:  # Any: a JSON document
    """Say what `run_task` would do with the same arguments, without training.

    Returns
    -------
    dict
        Task, profile, version, digest, hyperparameters, split parts and samples, batches.
    """
    from scidata.benchmarks.harness import plan

    task = load_task(name)
    rules = task.profile(profile)
    opened = _open(dataset, rules.dataset or task.dataset, store)
    return plan(task, rules, opened, changed=settings or {})


def _open(dataset: str | None, usual: str, store: "StoreLike | None") -> "Dataset":
    """Open the version that is named, else the one of the task, which can be built."""
    from scidata.dataset import open as open_version

    try:
        return open_version(dataset or usual, store)
    except NotFoundError as error:
        if dataset is not None:
            raise
        raise NotFoundError(
            error.message,
            where=error.where,
            fix=f"{error.fix}; or make one: scidata build {usual}, then scidata publish "
            f"staged/{usual}",
        ) from error


def run_task(
    name: str,
    *,
    profile: str = "mini",
    dataset: str | None = None,
    store: "StoreLike | None" = None,
    out: Path,
    settings: Mapping[str, object] | None = None,
    submitter: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # Any: a JSON document
    """Train and score a task on a published version; continue where an interrupted run stopped.

    Parameters
    ----------
    name : str
        A key of `TASKS`.
    profile : str
        ``mini``, ``reference``, ``strict`` or another one that the task has.
    dataset : str, optional
        Reference such as ``tevolop@1.0.0``. By default the newest of the task's dataset.
    store : Store, str or Path, optional
        As for `scidata.open`.
    out : Path
        Folder for ``result.json``, ``mllog.txt``, ``settings.yaml``, ``curve.png`` and
        ``checkpoint.pt``.
    settings : mapping, optional
        Hyperparameters that replace the profile's, by name, as values or text: see
        `scidata.benchmarks.settings.Settings`; a task may have more.
    submitter : mapping, optional
        Who runs it and where, for the log: org, platform, and status (``onprem``, ``cloud``,
        ``preview`` or ``research``).
    progress : callable, optional
        Told how many batches are done, and of how many.

    Returns
    -------
    dict
        The document of ``result.json``, schema ``scidata-result/2``.

    Raises
    ------
    NotFoundError
        If there is no such task, profile, version or setting.
    ConflictError
        If `out` holds another run.
    """
    from scidata.benchmarks.harness import Submitter, run

    task = load_task(name)
    rules = task.profile(profile)
    return run(
        task,
        rules,
        _open(dataset, rules.dataset or task.dataset, store),
        out,
        changed=settings or {},
        submitter=Submitter(**submitter or {}),
        progress=progress,
    )


def check_log(file: Path) -> dict[str, Any]:  # Any: a JSON document
    """Check the log of a run by the rules of the science benchmarks.

    Parameters
    ----------
    file : Path
        ``mllog.txt`` of a run, or any log in that format.

    Returns
    -------
    dict
        Number of events and epochs, benchmark, organisation and result, as the log has them.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidError
        If the log breaks a rule; all problems are listed, by line.
    """
    from scidata.benchmarks.log_rules import check
    from scidata.benchmarks.mllog import read

    events = read(file)
    if problems := check(events):
        raise InvalidError.listing(
            problems, where=str(file), fix="run it again, or correct what wrote the log"
        )
    said = {event.key: event.value for event in events}
    return {
        "file": str(file),
        "events": len(events),
        "epochs": sum(event.key == "epoch_stop" for event in events),
        "benchmark": said["submission_benchmark"],
        "org": said["submission_org"],
        "result": said["result"],
    }


def submit(
    run: Path,
    *,
    org: str,
    system: str,
    out: Path,
    descriptor: str | None = None,
    doi: str | None = None,
    by_reference: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:  # Any: a JSON document
    """Make the folder of a submission of a finished run.

    Parameters
    ----------
    run : Path
        Folder that `run_task` wrote.
    org, system : str
        Who submits, and on which machine.
    out : Path
        Below it the folder ``ORG/TASK/SYSTEM/DESCRIPTOR`` is made.
    descriptor : str, optional
        Tells submissions of one system apart. By default profile and seed.
    doi : str, optional
        Of the version that was scored on.
    by_reference : bool
        Name the predictions by digest; leave them out of the folder.
    dry_run : bool
        Say what would be written; write nothing.

    Returns
    -------
    dict
        The folder, and its files with their sizes.

    Raises
    ------
    NotFoundError, InvalidError, ConflictError, StorageError
        As `scidata.benchmarks.submission` says.
    """
    from scidata.benchmarks import submission

    files, task = submission.plan(
        run,
        org=org,
        system=system,
        descriptor=descriptor,
        by_reference=by_reference,
        doi=doi,
    )
    folder = out / task
    if not dry_run:
        submission.write(folder, files)
    return {"folder": str(folder), "files": {path: len(data) for path, data in files.items()}}


def check_submission(
    folder: Path,
    *,
    store: "StoreLike | None" = None,
    predictions: Path | None = None,
    rerun: bool = False,
) -> dict[str, Any]:  # Any: a JSON document
    """Check a submission against the pinned version: see `scidata.benchmarks.checking`.

    Returns
    -------
    dict
        Who submits what; its scores, which are those that were computed here; and ``doi``, the
        version's as its store knows it, whatever the submission says.

    Raises
    ------
    NotFoundError
        If there is no such folder, task, version or no predictions.
    InvalidError
        If it breaks a rule; all problems are listed.
    IntegrityError
        If files, digests, splits or scores are not what they are said to be.
    """
    from scidata.benchmarks.checking import TOLERANCE, check_folder, require_sound
    from scidata.dataset import open as open_version

    verdict = check_folder(
        folder,
        load=load_task,
        open_version=lambda name: open_version(name, store),
        elsewhere=predictions,
        rerun=rerun,
    )
    require_sound(verdict.problems, where=str(folder))
    found = verdict.submission.model_dump(mode="json", by_alias=True)
    return {**found, "doi": verdict.doi, "tolerance": TOLERANCE, "rerun": rerun}
