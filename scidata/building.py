"""Source files to a staged dataset, by name: written elsewhere, checked, then renamed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path

from scidata.about import TOOL, __version__
from scidata.datasets import JOURNAL, Prepared, Survey, choose, spreading
from scidata.errors import ConflictError, InvalidError, ScidataError, StorageError
from scidata.fetching import Bucket, fetch, list_bucket
from scidata.hashing import Progress, hash_files
from scidata.record import (
    Record,
    Software,
    Source,
    Step,
    load_record,
    parse_record,
    record_yaml,
)
from scidata.spreading import scheduled
from scidata.storage.refusals import out_of_room

_TOTAL = 1000
_READING = 0.4  # share of the work
_SOFTWARE = "scidata"


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a build made, found there already, or would make."""

    staged: Path
    dataset: str
    source: str
    form: str
    files: tuple[str, ...]
    """Names below the source."""
    counts: Mapping[str, int | float]
    """What was counted in the source; empty if all was there already."""
    assets: tuple[str, ...]
    already: bool
    """The same build had been done before; nothing was written."""
    written: bool
    """False for a dry run, or if all was there already."""


def build(
    name: str,
    source: Path | str | None,
    out: Path | str,
    *,
    options: Mapping[str, str] | None = None,
    dry_run: bool = False,
    scheduler: str | None = None,
    endpoint_url: str | None = None,
    anonymous: bool = False,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Built:
    """Turn source files into a staged dataset: ``record.yaml`` and ``data/``.

    Parameters
    ----------
    name : str
        Of a recipe, such as ``tevolop``.
    source : Path, str or None
        File or folder, or ``s3://bucket/prefix``, whose objects are fetched beside `out` and
        removed when the build is done; None takes the real data that ship with scidata.
    out : Path or str
        The folder to make. Nothing is there before everything is.
    options : mapping, optional
        Of the recipe, such as ``{"quirks": "published"}``.
    dry_run : bool
        Read and check the source, write nothing but what was fetched.
    scheduler : str, optional
        Of Dask, as `scidata.spreading.scheduled` takes it, for datasets
        whose recipe `spreads`; it changes no byte.
    endpoint_url : str, optional
        S3 server of the source; by default the AWS environment's.
    anonymous : bool
        Read the bucket without credentials.
    now : datetime, optional
        With time zone; by default the clock's. Nothing in a source can be later.
    progress : Progress, optional
        Thousandths of the work.

    Returns
    -------
    Built
        The same source and options give the same bytes. If `out` holds them, nothing is done.

    Raises
    ------
    NotFoundError
        If there is no such recipe or source.
    InvalidError
        With everything that is wrong with the source.
    ConflictError
        If `out` exists and is not what this build would make.
    StorageError
        If the disk is full, or something cannot be read or written.
    """
    order = _Order(
        name=name,
        out=Path(out),
        options=options or {},
        dry_run=dry_run,
        scheduler=scheduler,
        now=now or datetime.now(UTC),
        progress=progress,
    )
    if isinstance(source, str) and "://" in source:
        bucket = list_bucket(source, endpoint_url=endpoint_url, anonymous=anonymous)
        return _build_fetched(order, bucket)
    if endpoint_url or anonymous:
        raise InvalidError(
            "an endpoint and reading without credentials are for a bucket",
            where=f"source {source or 'of the dataset itself'}",
            fix="leave both out, or give --source s3://bucket/prefix",
        )
    return _build(order, Path(source) if source else None)


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What is to be built, and how."""

    name: str
    out: Path
    options: Mapping[str, str]
    dry_run: bool
    scheduler: str | None
    now: datetime
    progress: Progress | None


def _build_fetched(order: _Order, bucket: Bucket) -> Built:
    """Build from what a bucket holds; done already if the record says that it was fetched."""
    name, out = order.name, order.out
    fetched = Step(activity=bucket.activity)
    step = _step(name, choose(name, order.options).options)
    if _is_taken(out):
        held = _held(out, name).provenance.steps
        if fetched in held and step in held:
            return Built(
                staged=out,
                dataset=name,
                source=bucket.store.url,
                form="",
                files=tuple(held.key for held in bucket.objects),
                counts={},
                assets=(),
                already=True,
                written=False,
            )
    folder = out.parent / f".{out.name}.source"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _not_writable(out, error) from error
    try:
        _claim(lock, out, folder)
        built = _build(order, fetch(bucket, folder, progress=order.progress), fetched)
        if built.written:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
    return replace(built, source=bucket.store.url)


def _build(order: _Order, source: Path | None, *steps: Step) -> Built:
    """Build from files; `steps` came before."""
    name, out, scheduler = order.name, order.out, order.scheduler
    choice = choose(name, order.options)
    if scheduler is not None and not choice.recipe.spreads:
        raise InvalidError(
            f"no scheduler can spread the build of {name}",
            where="--scheduler",
            fix=f"leave --scheduler out: it is for {', '.join(spreading())}",
        )
    survey = choice.recipe.survey(source, choice.options)
    sources = _sources(survey)
    step = _step(name, choice.options)
    if _is_done(out, name, sources, step):
        return _report(name, survey, out, None, already=True)
    advance = _thousandths(order.progress)
    prepared = survey.prepare(now=order.now, advance=lambda share: advance(_READING * share))
    if not order.dry_run:
        with _replacing(out, resumable=prepared.resumable) as folder:
            (folder / "data").mkdir(exist_ok=True)
            with scheduled(scheduler):
                prepared.write(
                    folder / "data", lambda share: advance(_READING + (1 - _READING) * share)
                )
            record = _signed(prepared.complete(_record(name)), sources, (*steps, step))
            data = record_yaml(record)
            parse_record(data, where=f"{name}/record.yaml")
            (folder / "record.yaml").write_bytes(data)
            (folder / JOURNAL).unlink(missing_ok=True)
    return _report(name, survey, out, prepared, written=not order.dry_run)


def _report(
    name: str,
    survey: Survey,
    out: Path,
    prepared: Prepared | None,
    *,
    already: bool = False,
    written: bool = False,
) -> Built:
    return Built(
        staged=out,
        dataset=name,
        source=survey.source,
        form=survey.form,
        files=tuple(key for key, _ in survey.files),
        counts=prepared.counts if prepared else {},
        assets=prepared.assets if prepared else (),
        already=already,
        written=written,
    )


def _thousandths(progress: Progress | None) -> Callable[[float], None]:
    return lambda share: progress(round(_TOTAL * share), _TOTAL) if progress else None


def _sources(survey: Survey) -> tuple[Source, ...]:
    hashed = hash_files(survey.files)
    return tuple(Source(title=name, sha256=digest.hex) for name, (digest, _) in hashed.items())


def _step(name: str, options: Mapping[str, str]) -> Step:
    words = " ".join(f"--{option} {value}" for option, value in sorted(options.items()))
    return Step(activity=f"scidata build {name} {words}".strip(), software=TOOL)


def _record(name: str) -> Record:
    with as_file(files("scidata") / "metadata" / f"{name}.yaml") as path:
        return load_record(path)


def _signed(record: Record, sources: tuple[Source, ...], steps: tuple[Step, ...]) -> Record:
    """Add the source files, the program and the build itself: what `_is_done` looks for."""
    provenance = record.provenance
    others = tuple(s for s in provenance.software if s.name != _SOFTWARE)
    software = Software(name=_SOFTWARE, version=__version__)
    return record.model_copy(
        update={
            "provenance": provenance.model_copy(
                update={
                    "sources": (*provenance.sources, *sources),
                    "software": (*others, software),
                    "steps": (*provenance.steps, *steps),
                }
            )
        }
    )


def _is_done(out: Path, name: str, sources: tuple[Source, ...], step: Step) -> bool:
    """Tell whether a folder holds this very build.

    Raises
    ------
    ConflictError
        If it holds something else.
    """
    if not _is_taken(out):
        return False
    record = _held(out, name)
    of_files = tuple(s for s in record.provenance.sources if s.sha256)
    if of_files != sources or step not in record.provenance.steps:
        raise _conflict(
            out, f"{str(out)!r} holds {name!r} built from another source or otherwise"
        )
    return True


def _held(out: Path, name: str) -> Record:
    """Return the record of a staged dataset; `ConflictError` if a folder holds none."""
    try:
        record = load_record(out / "record.yaml")
    except ScidataError:
        record = None
    if record is None or record.id != name or not (out / "data").is_dir():
        raise _conflict(out, f"{str(out)!r} exists and is no staged {name!r}")
    return record


def _is_taken(out: Path) -> bool:
    try:
        return out.is_symlink() or out.is_file() or any(out.iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _not_writable(out, error) from error


def _conflict(out: Path, message: str) -> ConflictError:
    return ConflictError(
        message, where=str(out), fix="give another --out, or move that folder away"
    )


@contextmanager
def _replacing(out: Path, *, resumable: bool) -> Iterator[Path]:
    """Give a folder beside `out` that takes its place in the end, or else vanishes.

    One that is resumable stays where it is if something fails: the next build finds it.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _sweep(out)
        folder = _resumed(out) if resumable else _fresh(out)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _not_writable(out, error) from error
    whole = False
    try:
        _claim(lock, out, folder)
        yield folder
        _take_place(folder, out)
        whole = True
    except ScidataError:
        raise
    except OSError as error:
        raise _not_writable(out, error, kept=resumable) from error
    finally:
        os.close(lock)
        if not whole and not resumable:
            shutil.rmtree(folder, ignore_errors=True)


def _fresh(out: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", suffix=".partial", dir=out.parent))
    folder.chmod(0o755)  # mkdtemp makes it private
    return folder


def _resumed(out: Path) -> Path:
    folder = out.parent / f".{out.name}.partial"
    folder.mkdir(exist_ok=True)
    return folder


def _claim(lock: int, out: Path, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConflictError(
            f"another build of {str(out)!r} is under way",
            where=str(folder),
            fix="wait until it has ended, or give another --out",
        ) from error


def _take_place(folder: Path, out: Path) -> None:
    try:
        folder.rename(out)
    except OSError as error:
        if _is_taken(out):
            raise _conflict(out, f"{str(out)!r} appeared meanwhile") from error
        raise


def _sweep(out: Path) -> None:
    """Remove what a killed build left behind: its folder, which nobody locks any more."""
    for folder in out.parent.glob(f".{out.name}-*.partial"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _not_writable(out: Path, error: OSError, *, kept: bool = False) -> StorageError:
    remedy = "free some space or give --out on another disk"
    if not out_of_room(error):
        remedy = "give --out in a folder where you may write"
    left = "the same command continues" if kept else "nothing was left behind"
    return StorageError(
        f"{str(out)!r} cannot be written: {error.strerror or error}",
        where=str(out),
        fix=f"{remedy}; {left}",
    )
