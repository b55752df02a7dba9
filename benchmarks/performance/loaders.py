"""How fast loaders stream, scidata beside its peers: S3 over loopback, one run, one machine.

Goals (first epoch, published form against each peer's best): W1 and W2 twice the best peer with
the codec chosen for the array, 1.5 times with zstd; W3 twice; W1 with an exact shuffle at least
tensorstore's; later epochs as fast as the best local cache on W1, 1.5 times on W2; 15 times
zarr and s3fs; peak memory 1 GB, first batch within 1 s; CPU seconds a GB below every peer's.

Each loader runs on each workload in a fresh process of its own environment; a crash or a
time-out is a row that says so, and so are samples that are not the workload's. Needs Linux and
the binary nginx (``apt-get install nginx-light``). ``python
benchmarks/performance/loaders.py --prepare`` installs the peers and writes the workloads, some
25 GB; then run it without, and with nothing else running. ``--scale 0.02`` takes minutes and
says only that everything works. Peers and their terms: ``peers/``.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from scidata.benchmarks.performance import environments
from scidata.benchmarks.performance.peers import PEERS, Job, Terms
from scidata.benchmarks.performance.report import Limits, Row, goals, print_tables, summary
from scidata.benchmarks.performance.runner import Order
from scidata.benchmarks.performance.server import Server, serving
from scidata.benchmarks.performance.stores import CODECS, is_stamped, publish_workload, stamp
from scidata.benchmarks.performance.workloads import SEED, WORKLOADS

PREPARE_LIMIT_S = 3600
LIMITS_LIMIT_S = 300


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line said."""

    data: Path
    environments: Path
    codec: str
    scale: float
    epochs: int
    epoch_s: float
    limit_s: float
    rounds: int
    workers: int
    memory: int | None
    threads: str | None
    latency_ms: float

    @property
    def root(self) -> Path:
        """The folder whose sub-folders are buckets."""
        return self.data / f"scale-{self.scale:g}"


def chosen(names: tuple[str, ...], workload: str) -> Iterator[tuple[str, str, Terms]]:
    """Yield the variants that were asked for, as NAME or NAME:VARIANT, and fit the workload."""
    for name in names or PEERS:
        loader, _, wanted = name.partition(":")
        if loader not in PEERS:
            raise click.BadParameter(f"no loader {loader!r}; there are {', '.join(PEERS)}")
        variants: dict[str, Terms] = environments.peer(loader).VARIANTS
        if wanted and wanted not in variants:
            raise click.BadParameter(f"{loader} has the variants {', '.join(variants)}")
        for variant, terms in variants.items():
            if workload in terms.workloads and wanted in ("", variant):
                yield loader, variant, terms


def prepare(job: Job, options: Options) -> str:
    """Write a loader's own format unless it is there; returns what went wrong."""
    if not job.form:
        return ""
    note = options.root / "stamps" / f"{job.peer}-{job.workload}-{job.form}.json"
    wanted = {
        "seed": SEED,
        "scale": job.scale,
        "made_by": environments.peer(job.peer).REQUIREMENTS,
    }
    if is_stamped(note, wanted):
        return ""
    click.echo(f"writing {job.private}", err=True)
    python = environments.python_of(options.environments, job.peer)
    order = Order(job=job, prepare=True, epochs=0, epoch_s=0)
    ended = environments.run(
        python, "runner", order, limit_s=PREPARE_LIMIT_S, threads=options.threads
    )
    if not ended.trouble:
        stamp(note, wanted)
    return ended.trouble


def measure(row: Row, job: Job, options: Options, server: Server) -> None:
    """Run a loader once in a fresh process, and add what it measured to its row."""
    click.echo(f"measuring {job.workload} {job.peer}:{job.variant}", err=True)
    with tempfile.TemporaryDirectory(prefix="scidata-cache-", dir=options.data) as cache:
        order = Order(
            job=replace(job, endpoint=server.endpoint, cache=Path(cache)),
            prepare=False,
            epochs=options.epochs,
            epoch_s=options.epoch_s,
            servers=server.sessions,
            status_url=server.status_url,
        )
        python = environments.python_of(options.environments, job.peer)
        ended = environments.run(
            python, "runner", order, limit_s=options.limit_s, threads=options.threads
        )
    row.runs.append([json.loads(line) for line in ended.written.splitlines()])
    row.trouble = row.trouble or ended.trouble


def measure_limits(job: Job, options: Options, server: Server) -> Limits:
    """Measure what the machine can do at most with this workload."""
    order = Order(
        job=replace(job, endpoint=server.endpoint), prepare=False, epochs=0, epoch_s=0
    )
    python = environments.python_of(options.environments, job.peer)
    ended = environments.run(
        python, "limits", order, limit_s=LIMITS_LIMIT_S, threads=options.threads
    )
    if ended.trouble:
        raise click.ClickException(f"the limits of {job.workload}: {ended.trouble}")
    return Limits(**json.loads(ended.written))


def stored_bytes(folder: Path) -> int:
    """Return the bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def rows_of(
    workload: str, loaders: tuple[str, ...], options: Options
) -> Iterator[tuple[Row, Job]]:
    """Prepare a workload for each variant; yield an empty row, and the job that fills it."""
    for loader, variant, terms in chosen(loaders, workload):
        job = Job(
            peer=loader,
            variant=variant,
            workload=workload,
            scale=options.scale,
            codec=options.codec,
            form=terms.form,
            root=options.root.resolve(),
            workers=options.workers,
            memory=options.memory,
        )
        trouble = prepare(job, options)
        published = job.root / job.bucket / job.published
        yield (
            Row(
                loader=loader,
                variant=variant,
                workload=workload,
                terms=terms,
                codec=terms.codec or options.codec,
                array_bytes=job.work.nbytes,
                stored_bytes=stored_bytes(job.folder if job.form else published),
                trouble=trouble,
            ),
            job,
        )


Ready = dict[str, tuple[Job, list[tuple[Row, Job]]]]
"""By workload: the published one, and each variant's empty row with the job that fills it."""


def make_ready(workloads: tuple[str, ...], loaders: tuple[str, ...], options: Options) -> Ready:
    """Publish workloads, and write the loaders' own formats, unless they are there."""
    ready: Ready = {}
    for workload in workloads:
        ours = _published_job(workload, options)
        if publish_workload(ours):
            click.echo(f"published {ours.dataset}", err=True)
        ready[workload] = ours, list(rows_of(workload, loaders, options))
    return ready


def run(ready: Ready, options: Options) -> dict[str, Any]:  # Any: JSON
    """Measure; rounds go over all loaders, one after the other."""
    limits: dict[str, Limits] = {}
    summaries = []
    with serving(options.root, latency_ms=options.latency_ms, lists=True) as server:
        for workload, (ours, pairs) in ready.items():
            limits[workload] = measure_limits(ours, options, server)
            for _ in range(options.rounds):
                for row, job in pairs:
                    if not row.trouble:
                        measure(row, job, options, server)
            summaries += [summary(row, limits[workload]) for row, _ in pairs]
    return {
        "schema": "scidata-performance/1",
        "script": "loaders",
        **{name: getattr(options, name) for name in ("codec", "scale", "epochs", "rounds")},
        "threads": options.threads,
        "workers": options.workers,
        "latency_ms": options.latency_ms,
        "cpus": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
        "limits": {name: asdict(found) for name, found in limits.items()},
        "goals": goals(summaries),
        "rows": summaries,
    }


def _published_job(workload: str, options: Options) -> Job:
    return Job(
        peer=PEERS[0],
        variant="",
        workload=workload,
        scale=options.scale,
        codec=options.codec,
        form="",
        root=options.root.resolve(),
    )


@click.command(help=__doc__)
@click.option("--workload", "workloads", multiple=True, type=click.Choice(list(WORKLOADS)))
@click.option(
    "--loader", "loaders", multiple=True, metavar="NAME[:VARIANT]", help="[default: all]"
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("loaders-data"),
    show_default=True,
    help="Where the workloads are, or are written.",
)
@click.option(
    "--environments",
    type=click.Path(path_type=Path),
    default=Path("loaders-envs"),
    show_default=True,
    help="Where the peers are, or are installed.",
)
@click.option(
    "--codec",
    type=click.Choice(CODECS),
    default="zstd",
    show_default=True,
    help="Of the published Zarr.",
)
@click.option("--scale", default=1.0, show_default=True, help="Makes the workloads smaller.")
@click.option("--epochs", default=3, show_default=True, help="In one process.")
@click.option("--rounds", default=1, show_default=True, help="Fresh processes of each loader.")
@click.option(
    "--epoch-seconds",
    "epoch_s",
    default=30.0,
    show_default=True,
    help="Leave an epoch after so long.",
)
@click.option(
    "--limit-seconds",
    "limit_s",
    default=120.0,
    show_default=True,
    help="End a process after so long.",
)
@click.option(
    "--workers", default=0, show_default=True, help="num_workers of the peers' DataLoader."
)
@click.option("--memory", type=int, help="Bytes that scidata may hold.  [default: its own]")
@click.option(
    "--threads", default="1", show_default=True, help="OMP_NUM_THREADS; 'unset' leaves it."
)
@click.option("--latency-ms", default=0.0, show_default=True, help="Added to each request.")
@click.option(
    "--prepare",
    "only_prepare",
    is_flag=True,
    help="Install the peers, write the data, measure nothing.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all figures into a JSON document.",
)
def main(
    *,
    workloads: tuple[str, ...],
    loaders: tuple[str, ...],
    only_prepare: bool,
    json_file: Path | None,
    threads: str,
    **others: Any,  # Any: click's
) -> None:
    """Prepare, measure, print, and fail if a goal is missed."""
    options = Options(**others, threads=None if threads == "unset" else threads)
    names = tuple(name.partition(":")[0] for name in loaders) or PEERS
    for workload in workloads or tuple(WORKLOADS):
        tuple(chosen(loaders, workload))
    environments.make(options.environments, names)
    # Before the server begins, which does not list what is written later.
    ready = make_ready(workloads or tuple(WORKLOADS), loaders, options)
    if only_prepare:
        return
    document = run(ready, options)
    if json_file:
        json_file.write_text(json.dumps(document, indent=1) + "\n")
    print_tables(document)
    raise SystemExit(0 if all(document["goals"].values()) else 1)


if __name__ == "__main__":
    main()
