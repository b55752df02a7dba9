"""How STEMDL for reconstruction is built: LMDB environments, one after another."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scidata.datasets import Advance, Survey, given
from scidata.datasets.assembling import Assembled, Parts, divide
from scidata.datasets.damage import Damage
from scidata.datasets.reconstruction.environment import opened, require_lmdb
from scidata.datasets.reconstruction.layout import ASSET, Shape, layout, problem
from scidata.datasets.reconstruction.provenance import complete
from scidata.datasets.sample_store import Written, write_samples
from scidata.datasets.samples import Sample
from scidata.errors import InvalidError, NotFoundError, Problem
from scidata.record import Record

TITLE = "Rasters of electron diffraction patterns, and the projected potential of each"
_BATCH = re.compile(r"batch_(train|eval)_([0-9]{1,9})\.db", re.ASCII)
_DATA = "data.mdb"
_ARRAYS = {".db", ".mdb", ".h5", ".hdf", ".hdf5", ".npz", ".npy", ".nc", ".tfrecords"}
_SURVEYED = 64
"""Samples of an environment whose lengths tell the shape."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """An environment."""

    path: Path
    """Of its data file."""
    name: str
    """Stem of the published name."""
    role: str
    """``train`` or ``eval``; empty if the name does not tell."""

    @property
    def stamp(self) -> str:
        """What changes when the bytes do."""
        held = self.path.stat()
        return f"{self.name} {held.st_size} {held.st_mtime_ns} {held.st_ctime_ns}"


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Samples of one environment that are read together."""

    found: Found
    numbers: tuple[int, ...]
    shape: Shape
    stamp: str

    @property
    def count(self) -> int:
        """Samples in it."""
        return len(self.numbers)

    def produce(self) -> list[Sample | Problem]:
        """Read them."""
        try:
            with opened(self.found.path, self.found.name) as environment:
                return list(environment.samples(self.numbers, self.shape))
        except InvalidError as error:
            return list(error.problems)


class Reconstruction:
    """The recipe; see `scidata.datasets.Recipe`."""

    spreads = False

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """What becomes of damaged samples."""
        return {"damaged": ("refuse", "skip")}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """List the environments by their names."""
        place = given.required(
            source,
            "stemdl-reconstruction",
            "batch_train_0.db or a folder of such",
            size="100 GB a process",
            simulated="stemdl-reconstruction-mini",
        )
        require_lmdb()
        found, strangers = list_environments(place)
        return _Environments(place, found, strangers, options)


def list_environments(source: Path) -> tuple[list[Found], list[Problem]]:
    """List the environments of a file or a folder: training ones first, by number.

    Files of arrays that are none of the benchmark are named beside them.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    if source.is_file() or (source / _DATA).is_file():
        paths, others = [source], list[Path]()
    else:
        held = sorted(source.iterdir()) if source.is_dir() else []
        paths = [path for path in held if _BATCH.fullmatch(path.name)]
        others = [p for p in held if p not in paths and p.suffix in _ARRAYS]
    found = [(_key(path), _found(path)) for path in paths]
    if not found:
        raise NotFoundError(
            f"there is no LMDB environment at {str(source)!r}",
            where=str(source),
            fix="give --source a file, or a folder of batch_train_<n>.db and batch_eval_<n>.db",
        )
    message = "its name is neither batch_train_<n>.db nor batch_eval_<n>.db"
    return (
        [environment for _, environment in sorted(found, key=lambda pair: pair[0])],
        [problem(path.name, "other-file", message) for path in others],
    )


def _key(path: Path) -> tuple[bool, int]:
    batch = _BATCH.fullmatch(path.name)
    # By number, where text would put 10 before 2.
    return (batch[1] == "eval", int(batch[2])) if batch else (False, 0)


def _found(path: Path) -> Found:
    batch = _BATCH.fullmatch(path.name)
    return Found(
        path=path / _DATA if path.is_dir() else path,
        name=path.name.removesuffix(".db"),
        role=batch[1] if batch else "",
    )


class _Environments:
    """Environments that will be read; see `scidata.datasets.Survey`."""

    form = "LMDB"

    def __init__(
        self,
        source: Path,
        found: list[Found],
        strangers: list[Problem],
        options: Mapping[str, str],
    ) -> None:
        self.source = str(source)
        self.found = found
        self.damage = Damage(
            source=self.source, skip=options["damaged"] == "skip", problems=strangers
        )

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        return tuple((f"{held.name}.db", held.path) for held in self.found)

    def prepare(self, *, now: datetime, advance: Advance) -> "_Samples":
        """List the keys of every environment."""
        numbers: dict[Found, list[int]] = {}
        shape: Shape | None = None
        others = 0
        for done, held in enumerate(self.found, start=1):
            try:
                with opened(held.path, held.name) as environment:
                    found, more, alone = environment.survey()
                    if shape is None and found:
                        shape = environment.shape(found[:_SURVEYED])
            except InvalidError as error:
                self.damage.problems += error.problems
                continue
            numbers[held] = found
            others += more
            self.damage.problems += alone
            advance(done / len(self.found))
        return _Samples(self, numbers, shape or Shape(probes=1, side=1), others)


class _Samples:
    """Environments whose keys are known; see `scidata.datasets.Prepared`."""

    resumable = True
    assets = (ASSET,)

    def __init__(
        self,
        survey: _Environments,
        numbers: Mapping[Found, list[int]],
        shape: Shape,
        others: int,
    ) -> None:
        self.numbers, self.others, self.damage = numbers, others, survey.damage
        self.shape, self.layout = shape, layout(TITLE, shape, units={})
        self.written = Written()
        self.parts: dict[str, Parts] = {}
        self.damage.judge(left=sum(map(len, numbers.values())))

    @property
    def counts(self) -> Mapping[str, int | float]:
        return {
            "environments": len(self.numbers),
            "samples": len(self.written.ids) or sum(map(len, self.numbers.values())),
            "other_entries": self.others,
            "skipped": len(self.damage.paths),
        }

    def write(self, data: Path, advance: Advance) -> None:
        """Write sample after sample; what is damaged is named when all were read."""
        self.written = write_samples(data, self.layout, self._stretches(), advance)
        self.damage.problems += self.written.problems
        self.damage.judge(left=len(self.written.ids))
        self.parts = self._divide()
        divide(data, self.layout, self.written, self.parts)

    def complete(self, record: Record) -> Record:
        return complete(
            record,
            Assembled(
                origin=f"Read from {len(self.numbers)} LMDB environments, values as they are",
                layout=self.layout,
                written=self.written,
                parts=self.parts,
                damage=self.damage,
            ),
        )

    def _stretches(self) -> list[Stretch]:
        """Cut the environments into what fills a shard."""
        step = self.shape.shard
        return [
            Stretch(
                found=held,
                numbers=tuple(numbers[n : n + step]),
                shape=self.shape,
                stamp=f"{held.stamp} {n}",
            )
            for held, numbers in self.numbers.items()
            for n in range(0, len(numbers), step)
        ]

    def _divide(self) -> dict[str, Parts]:
        """Return the published parts, if there are environments of both."""
        roles = {held.name: held.role for held in self.numbers}
        parts: dict[str, list[str]] = {"train": [], "evaluation": []}
        for i in self.written.ids:
            role = roles[i.rpartition("/")[0]]
            parts["evaluation" if role == "eval" else "train"].append(i)
        return {"published": parts} if all(parts.values()) else {}


RECIPE = Reconstruction()
