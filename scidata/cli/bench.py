"""``scidata bench``: list and run benchmarks, and measure how fast a version streams."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from scidata.cli.bench_submissions import check, leaderboard, submit
from scidata.cli.output import (
    exits,
    json_option,
    print_json,
    print_table,
    progress_bar,
    quiet_option,
    say,
    store_options,
)
from scidata.warning import warn

if TYPE_CHECKING:
    from scidata.loaders.trial import Epoch


@click.group()
def command() -> None:
    """List and run benchmarks, with their baselines; measure how fast a version streams."""


for _verb in (submit, check, leaderboard):
    command.add_command(_verb)


@command.command("list", epilog=exits(2, 4))
@json_option
def list_tasks(*, as_json: bool) -> None:
    """List the tasks and their profiles."""
    from scidata.benchmarks import TASKS, load_task

    tasks = [load_task(name) for name in TASKS]
    if as_json:
        described = [
            {
                "task": t.name,
                "title": t.title,
                "dataset": t.dataset,
                "metric": t.metric,
                "source": t.source,
                "models": list(t.models),
                "profiles": {p.name: p.description for p in t.profiles.values()},
                "targets": {p.name: asdict(p.target) for p in t.profiles.values() if p.target},
            }
            for t in tasks
        ]
        print_json("scidata-tasks/1", {"tasks": described})
        return
    rows = [
        (t.name, p.name, t.metric, p.description) for t in tasks for p in t.profiles.values()
    ]
    print_table(("task", "profile", "metric", "rules"), rows)


@command.command("run", epilog=exits(2, 3, 4, 5, 6, 7))
@click.argument("task")
@click.option("--profile", default="mini", show_default=True, help="Rules of evaluation.")
@click.option(
    "--dataset",
    metavar="NAME",
    help="Version to run on, such as tevolop@1.0.0 [default: newest of the task's dataset].",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for result.json and the checkpoint [default: ./run/TASK-PROFILE].",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="YAML file of settings, such as the settings.yaml of another run.",
)
@click.option(
    "--set",
    "chosen",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting, such as learning_rate=0.001; may be repeated. --dry-run lists all.",
)
@click.option("--epochs", help="Passes over the training part [default: profile's].")
@click.option("--seed", help="Of weights, order and dropout [default: 0].")
@click.option("--device", help="auto, cpu, cuda or mps [default: auto].")
@click.option("--devices", help="Processes that train together [default: 1].")
@click.option("--precision", help="32 or bf16 [default: 32].")
@click.option("--org", default="unnamed", show_default=True, help="Who runs it, for the log.")
@click.option(
    "--platform", default="unnamed", show_default=True, help="The machine's name, for the log."
)
@click.option(
    "--status",
    type=click.Choice(["onprem", "cloud", "preview", "research"]),
    default="research",
    show_default=True,
    help="What kind of machine it is, for the log.",
)
@click.option("--dry-run", is_flag=True, help="Print what would run; train and write nothing.")
@store_options
@json_option
@quiet_option
def run(  # click gives them by name
    task: str,
    profile: str,
    dataset: str | None,
    out: Path | None,
    *,
    config: Path | None,
    chosen: Sequence[str],
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    org: str,
    platform: str,
    status: str,
    **given: str | None,
) -> None:
    """Train and score TASK on a published version, beside its baselines.

    An interrupted run continues when the same command is run again; a finished one is printed.
    Settings come from the profile, then --config, then --set, then the options. Below torchrun
    all its processes train together, and the first one prints.
    """
    from scidata.benchmarks import plan_task, run_task, torchrun
    from scidata.benchmarks.runs import unscored
    from scidata.storage import open_store

    settings = _settings(config, chosen, given)
    folder = out or Path("run") / f"{task}-{profile}"
    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    if dry_run:
        plan = plan_task(task, profile=profile, dataset=dataset, store=store, settings=settings)
        print_json("scidata-run-plan/1", {**plan, "out": folder})
        return
    shown = torchrun.is_first() and not (as_json or quiet)
    with progress_bar(task, shown=shown, unit="") as progress:
        result = run_task(
            task,
            profile=profile,
            dataset=dataset,
            store=store,
            out=folder,
            settings=settings,
            submitter={"org": org, "platform": platform, "status": status},
            progress=progress,
        )
    if not torchrun.is_first():
        return
    if as_json:
        print_json(result["schema"], result)
    else:
        _print(result, folder)
    if fault := unscored(result):
        warn(f"{fault}; this run cannot be ranked or submitted")


@command.command("check-log", epilog=exits(2, 3, 4))
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def check_log(file: Path, *, as_json: bool) -> None:
    """Check FILE, the mllog.txt of a run, by the rules of the science benchmarks."""
    from scidata.benchmarks import check_log as judge

    found = judge(file)
    if as_json:
        print_json("scidata-log-check/1", found)
    else:
        said = f"{found['events']} events, {found['epochs']} epochs"
        say(f"sound: {said} of {found['benchmark']} by {found['org']}")


@command.command("log-rules", epilog=exits(2))
def log_rules() -> None:
    """Print the rules of check-log in the dialect of MLCommons' compliance checker (YAML)."""
    from scidata.benchmarks.log_rules import export

    say(*export().splitlines())


@command.command("loader", epilog=exits(2, 3, 4, 5, 6))
@click.argument("name")
@click.option("--split", default="train", show_default=True, help="Part of a split.")
@click.option("--asset", help="Asset to stream [default: the one of the split or the samples].")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Samples in a batch.",
)
@click.option(
    "--shuffle",
    type=click.Choice(["none", "window", "exact"]),
    default="window",
    show_default=True,
    help="Order of the samples: as stored, mixed within memory, or one permutation of all.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Passes over the part.",
)
@click.option(
    "--batches",
    type=click.IntRange(min=1),
    help="Stop each epoch after so many [default: never].",
)
@click.option(
    "--memory", type=click.IntRange(min=1), help="MiB that the stream may hold [default: 512]."
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads that decode [default: one a core]."
)
@click.option("--verify", is_flag=True, help="Compare each object with its digest.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that keeps objects on the local disk [default: none].",
)
@store_options
@json_option
@quiet_option
def loader(  # click gives them by name
    name: str,
    *,
    split: str,
    batch_size: int,
    shuffle: Literal["none", "window", "exact"],
    epochs: int,
    batches: int | None,
    memory: int | None,
    store_url: str | None,
    endpoint_url: str | None,
    anonymous: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,  # Any: asset, threads, verify and cache, as Dataset.stream takes them
) -> None:
    """Stream NAME without training, and say how fast it comes and where the time goes."""
    from scidata import open as open_dataset
    from scidata.storage import open_store

    store = open_store(store_url, endpoint_url=endpoint_url, anonymous=anonymous)
    stream = open_dataset(name, store).stream(
        split,
        batch_size=batch_size,
        shuffle=shuffle,
        memory=None if memory is None else memory * 2**20,
        **options,
    )
    from scidata.loaders.trial import run_epoch

    found = []
    for number in range(epochs):
        with progress_bar(f"epoch {number}", shown=not (as_json or quiet), unit="") as progress:
            found.append(run_epoch(stream, number, batches=batches, progress=progress))
    stream.close()
    if as_json:
        described: dict[str, object] = {
            "name": stream.source.name,
            "digest": stream.source.digest,
            "split": split,
        }
        described |= {"batch_size": batch_size, "shuffle": shuffle, "reach": stream.reach}
        print_json(
            "scidata-loader/1", {**described, "epochs": [asdict(epoch) for epoch in found]}
        )
        return
    _print_epochs(found, stream.reach)


def _print_epochs(found: "Sequence[Epoch]", reach: float) -> None:
    names = ("epoch", "samples/s", "MB/s", "first batch", "fetch", "decode", "assemble", "wait")
    rows = [
        (
            number,
            f"{epoch.samples_per_s:,.0f}",
            f"{epoch.mb_per_s:,.0f}",
            f"{epoch.first_batch_s:.2f} s",
            f"{epoch.fetch:.1f}",
            f"{epoch.decode:.1f}",
            f"{epoch.assemble:.0%}",
            f"{epoch.wait:.0%}",
            epoch.requests,
            f"{epoch.fetched_bytes / 1e6:,.0f} MB",
            f"{epoch.peak_memory_bytes / 1e6:,.0f} MB",
        )
        for number, epoch in enumerate(found)
    ]
    print_table((*names, "requests", "fetched", "peak memory"), rows)
    say("fetch and decode: how many were under way at once; assemble and wait: of the time")
    say(f"each sample is mixed with {reach:.0%} of the epoch")


def _settings(
    config: Path | None, chosen: Sequence[str], given: Mapping[str, str | None]
) -> dict[str, object]:
    """Put the settings together; what stands further right on this line wins."""
    from scidata.benchmarks.settings import read_settings

    pairs = [pair.partition("=") for pair in chosen]
    if wrong := [name for name, equals, _ in pairs if not (name and equals)]:
        raise click.UsageError(f"--set {wrong[0]!r} is not NAME=VALUE")
    return {
        **(read_settings(config) if config else {}),
        **{name.strip(): value for name, _, value in pairs},
        **{name: value for name, value in given.items() if value is not None},
    }


def _print(result: Mapping[str, Any], folder: Path) -> None:  # Any: JSON
    data, seconds = result["dataset"], result["seconds"]
    say(f"{result['task']} {result['profile']} on {data['name']} {data['digest']}")
    for part, scores in result["scores"].items():
        say()
        rows = [
            (measure, *(_number(found[measure]) for found in scores.values()))
            for measure in scores["model"]
        ]
        print_table((part, *scores), rows)
    say()
    for title in ("quirks", "leaks"):
        for sentence in result[title]:
            say(f"{title[:-1]}: {sentence}")
    if target := result["target"]:
        reached = f"reached after {target['seconds']} s" if target["reached"] else "not reached"
        say(f"target {result['metric']} {target['value']}: {reached} ({target['source']})")
    say(
        f"{result['parameters']:,} parameters, {result['samples_per_second']:,} samples/s, "
        f"{result['stall_share']:.0%} of training waited for data"
    )
    say(", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    say(f"written to {folder / 'result.json'}, beside curve.png and mllog.txt")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
