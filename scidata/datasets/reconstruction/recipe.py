"""How STEMDL for reconstruction is built: LMDB environments, one after another."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scidata.datasets import Advance, Survey
from scidata.datasets.reconstruction.environment import opened, require_lmdb
from scidata.datasets.reconstruction.pair import Pair, Shape
from scidata.datasets.reconstruction.provenance import complete
from scidata.datasets.reconstruction.store import ASSET, Written, write_pairs, write_splits
from scidata.datasets.stemdl.splits import Parts
from scidata.errors import InvalidError, NotFoundError, Problem
from scidata.record import Record

TITLE = "Rasters of electron diffraction patterns, and the projected potential of each"
_BATCH = re.compile(r"batch_(train|eval)_([0-9]{1,9})\.db", re.ASCII)
_DATA = "data.mdb"
_SURVEYED = 64
"""Samples of an environment whose lengths tell the shape."""
_MOST_LISTED = 100


@dataclass(frozen=True, kw_only=True)
class Found:
    """An environment."""

    path: Path
    """Of its data file."""
    name: str
    """Stem of the published name."""
    role: str
    """``train`` or ``eval``; empty if the name does not tell."""


class Reconstruction:
    """The recipe; see `scidata.datasets.Recipe`."""

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """What becomes of damaged samples."""
        return {"damaged": ("refuse", "skip")}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """List the environments by their names."""
        if source is None:
            raise InvalidError(
                "stemdl-reconstruction does not ship with scidata: 100 GB a process",
                where="stemdl-reconstruction",
                fix="give --source batch_train_0.db or a folder of such; "
                "scidata build stemdl-reconstruction-mini simulates some",
            )
        require_lmdb()
        return _Environments(source, list_environments(source), options)


def list_environments(source: Path) -> list[Found]:
    """List the environments of a file or a folder: training ones first, by number.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    if source.is_file() or (source / _DATA).is_file():
        paths = [source]
    else:
        held = sorted(source.iterdir()) if source.is_dir() else []
        paths = [path for path in held if _BATCH.fullmatch(path.name)]
    found = [(_key(path), _found(path)) for path in paths]
    if not found:
        raise NotFoundError(
            f"there is no LMDB environment at {str(source)!r}",
            where=str(source),
            fix="give --source a file, or a folder of batch_train_<n>.db and batch_eval_<n>.db",
        )
    return [environment for _, environment in sorted(found, key=lambda pair: pair[0])]


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

    def __init__(self, source: Path, found: list[Found], options: Mapping[str, str]) -> None:
        self.source = str(source)
        self.found = found
        self.skip = options["damaged"] == "skip"

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        return tuple((f"{held.name}.db", held.path) for held in self.found)

    def prepare(self, *, now: datetime, advance: Advance) -> "_Samples":
        """List the keys of every environment."""
        numbers: dict[Found, list[int]] = {}
        problems: list[Problem] = []
        shape: Shape | None = None
        others = 0
        for done, held in enumerate(self.found, start=1):
            try:
                with opened(held.path, held.name) as environment:
                    found, more, alone = environment.survey()
                    if shape is None and found:
                        shape = environment.shape(found[:_SURVEYED])
            except InvalidError as error:
                problems += error.problems
                continue
            numbers[held] = found
            others += more
            problems += alone
            advance(done / len(self.found))
        return _Samples(self, numbers, shape, others, problems)


class _Samples:
    """Environments whose keys are known; see `scidata.datasets.Prepared`."""

    resumable = False
    assets = (ASSET,)

    def __init__(
        self,
        survey: _Environments,
        numbers: Mapping[Found, list[int]],
        shape: Shape | None,
        others: int,
        problems: list[Problem],
    ) -> None:
        self.survey, self.numbers, self.others = survey, numbers, others
        self.problems = problems
        self.written = Written()
        self.parts: dict[str, Parts] = {}
        self._refuse_unless_skipped(left=sum(map(len, numbers.values())))
        self.shape = shape or Shape(probes=1, side=1)

    @property
    def counts(self) -> Mapping[str, int | float]:
        return {
            "environments": len(self.numbers),
            "samples": len(self.written.ids) or sum(map(len, self.numbers.values())),
            "other_entries": self.others,
            "skipped": len(self.problems),
        }

    def write(self, data: Path, advance: Advance) -> None:
        most = sum(map(len, self.numbers.values()))
        self.written = write_pairs(
            data, TITLE, self.shape, most, self._read(advance, most), units={}
        )
        self.problems += self.written.problems
        self._refuse_unless_skipped(left=len(self.written.ids))
        self.parts = self._divide()
        write_splits(data, self.written, self.parts)

    def complete(self, record: Record) -> Record:
        origin = f"Read from {len(self.numbers)} LMDB environments, values as they are"
        return complete(record, origin, self.written, self.parts, self.problems)

    def _read(self, advance: Advance, most: int) -> Iterator[Pair | Problem]:
        done = 0
        for held, numbers in self.numbers.items():
            with opened(held.path, held.name) as environment:
                for pair in environment.pairs(numbers, self.shape):
                    yield pair
                    done += 1
                    advance(done / most)

    def _divide(self) -> dict[str, Parts]:
        """Return the published parts, if there are environments of both."""
        roles = {held.name: held.role for held in self.numbers}
        parts: dict[str, list[str]] = {"train": [], "evaluation": []}
        for i in self.written.ids:
            role = roles[i.rpartition("/")[0]]
            parts["evaluation" if role == "eval" else "train"].append(i)
        return {"published": parts} if all(parts.values()) else {}

    def _refuse_unless_skipped(self, *, left: int) -> None:
        if self.problems and not self.survey.skip:
            first = self.problems[0]
            raise InvalidError(
                f"{len(self.problems):,} of its samples or environments cannot be used, first "
                f"{first.path}: {first.message}",
                where=self.survey.source,
                fix="mend or remove what is listed, or add --damaged skip",
                problems=self.problems[:_MOST_LISTED],
            )
        if not left:
            raise InvalidError(
                "no sample is left in it",
                where=self.survey.source,
                fix="give --source another file or folder",
                problems=self.problems[:_MOST_LISTED],
            )


RECIPE = Reconstruction()
