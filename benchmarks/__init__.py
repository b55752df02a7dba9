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
    from scidata.storage import StoreLike

TASKS = {
    "cloudmask": "scidata.benchmarks.cloudmask",
    "stemdl-classification": "scidata.benchmarks.stemdl",
    "stemdl-reconstruction": "scidata.benchmarks.stemdl_reconstruction",
    "tevolop": "scidata.benchmarks.tevolop",
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
    from scidata.dataset import open as open_version

    task = load_task(name)
    rules = task.profile(profile)
    opened = open_version(dataset or rules.dataset or task.dataset, store)
    return plan(task, rules, opened, changed=settings or {})


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
        ``mini``, ``reference``, ``strict`` or ``fixed-model``, as the task has them.
    dataset : str, optional
        Reference such as ``tevolop@1.0.0``. By default the newest of the task's dataset.
    store : Store, str or Path, optional
        As for `scidata.open`.
    out : Path
        Folder for ``result.json``, ``mllog.txt``, ``config.yaml``, ``curve.png`` and
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
    from scidata.dataset import open as open_version

    task = load_task(name)
    rules = task.profile(profile)
    return run(
        task,
        rules,
        open_version(dataset or rules.dataset or task.dataset, store),
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
