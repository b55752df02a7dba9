"""The whole way on real earthquakes, by the calls that users make: build, publish, open, score.

Every step can be repeated: run again, the demo continues where it stopped, or finds all done.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from scidata.hashing import Progress

DATASET = "tevolop"
VERSION = "1.0.0"
NAME = f"{DATASET}@{VERSION}"


Station = Callable[[str, str], AbstractContextManager[Progress]]
"""Called at each station with its title and the unit of its progress."""


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What the demo made, and where it lies."""

    staged: Path
    store: Path
    run: Path
    preview: Path
    """The DataCite metadata that a DOI would be registered with."""
    digest: str
    files: int
    bytes: int
    published: bool
    """False if the version was there already."""
    verified: int
    """Files whose every byte was compared with the manifest."""
    entries: tuple[str, ...]
    """What plain Intake lists in the version's catalog."""
    samples: int
    samples_per_second: float
    result: dict[str, Any]  # Any: the document of `scidata bench run`, JSON at the edge
    seconds: float


def silent(title: str, unit: str) -> AbstractContextManager[Progress]:
    """Report nothing: the station of a caller who does not watch."""
    return nullcontext(lambda done, total: None)


def demonstrate(out: Path, *, station: Station = silent) -> Demonstration:
    """Build, publish, verify, open, stream and score the shipped earthquakes into a folder.

    Parameters
    ----------
    out : Path
        Receives ``staged/tevolop``, ``store`` and ``run``.
    station
        Called at each station; yields what to tell the progress to.

    Raises
    ------
    ConflictError
        If `out` holds something else under these names.
    IntegrityError
        If what an earlier run published is damaged.
    StorageError
        If the disk is full or not writable.
    """
    from scidata.benchmarks import run_task
    from scidata.building import build
    from scidata.publishing import publish
    from scidata.verifying import verify

    begin = perf_counter()
    staged, store, run = out / "staged" / DATASET, out / "store", out / "run"
    with station("build", "") as progress:
        build(DATASET, None, staged, progress=progress)
    with station("publish", "B") as progress:
        published = publish(staged, store, version=VERSION, progress=progress)
    with station("verify", "B") as progress:
        verified = verify(NAME, store, progress=progress)
        verified.require_sound()
    with station("catalog", ""):
        entries = _entries(store)
    with station("stream", "") as progress:
        samples, seconds = _stream(store, progress)
    with station("train", "") as progress:
        result = run_task(DATASET, profile="mini", store=store, out=run, progress=progress)
    return Demonstration(
        staged=staged,
        store=store,
        run=run,
        preview=store / DATASET / f"v{VERSION}" / "meta" / "datacite.json",
        digest=published.commit.digest,
        files=published.commit.files,
        bytes=published.commit.bytes,
        published=not published.already,
        verified=verified.files,
        entries=entries,
        samples=samples,
        samples_per_second=samples / seconds,
        result=result,
        seconds=perf_counter() - begin,
    )


def _entries(store: Path) -> tuple[str, ...]:
    """Open the store's root catalog with plain Intake, as somebody without scidata does."""
    import intake

    root: Any = intake.open_catalog(str(store / "index.yaml"))  # Any: intake has no types
    return tuple(sorted(root[DATASET].read()))


def _stream(store: Path, progress: Progress) -> tuple[int, float]:
    """Stream one epoch of the default training part; return samples and seconds."""
    from scidata.dataset import open as open_version

    stream = open_version(NAME, store).stream(split="train", batch_size=1024, shuffle=True)
    total, samples, begin = len(stream), 0, perf_counter()
    for done, batch in enumerate(stream, start=1):
        samples += len(batch["location"])
        progress(done, total)
    return samples, perf_counter() - begin
