"""What the recipes share: a source that is read whole, checked, written."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from scidata.datasets import Advance, Survey, given
from scidata.datasets.candle_uno import reading
from scidata.datasets.candle_uno.content import Content, complete, write
from scidata.errors import InvalidError
from scidata.record import Record

if TYPE_CHECKING:
    from scidata.datasets.candle_uno.splits import Shared

Files: TypeAlias = Mapping[str, Path]
"""What was found, by role."""
Finder: TypeAlias = Callable[[Path], tuple[str, Files]]
"""Tells the form of a source, and its files."""
Reader: TypeAlias = Callable[[Files, Advance], Content]


class FromFiles:
    """A recipe that reads a source which must be given; see `scidata.datasets.Recipe`."""

    choices: Mapping[str, tuple[str, ...]] = {}
    spreads = False

    def __init__(self, name: str, what: str, find: Finder, read: Reader) -> None:
        self._name, self._what = name, what
        self._find, self._read = find, read

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """Find the files."""
        place = given.required(source, self._name, self._what, simulated="candle-uno-mini")
        form, found = self._find(place)
        return Reading(str(place), form, found, self._read)


def from_folder(name: str, form: str, names: Mapping[str, str], read: Reader) -> FromFiles:
    """Make the recipe of a folder with files of these names, by role."""
    what = f"a folder with {', '.join(names.values())}, gzipped or not"

    def find(source: Path) -> tuple[str, Files]:
        if not source.is_dir():
            raise InvalidError(
                f"{str(source)!r} is no folder", where=str(source), fix=f"give {what}"
            )
        return form, reading.find(source, names)

    return FromFiles(name, what, find, read)


class Reading:
    """Files that will be read; see `scidata.datasets.Survey`."""

    def __init__(self, source: str, form: str, files: Files, read: Reader) -> None:
        self.source, self.form = source, form
        self._files, self._read = files, read

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """By name, in order."""
        return tuple(sorted((path.name, path) for path in self._files.values()))

    def prepare(self, *, now: datetime, advance: Advance) -> "Whole":
        """Read and check everything."""
        content = self._read(self._files, advance)
        content.check(self.source)
        advance(1)
        return Whole(content)


class Whole:
    """A content that was found good; see `scidata.datasets.Prepared`."""

    resumable = False

    def __init__(self, content: Content) -> None:
        self._content = content
        self._overlap: Mapping[str, Mapping[str, Shared]] = {}

    @property
    def assets(self) -> tuple[str, ...]:
        """Keys of the assets."""
        return self._content.assets

    @property
    def counts(self) -> Mapping[str, int | float]:
        """Cells, drugs, responses; and, once written, how much of test is known from train."""
        content = self._content
        counts: dict[str, int | float] = {
            "cells": len(content.cells.names),
            "drugs": len(content.drugs.names),
            "responses": len(content.cell),
            "in_splits": int(content.usable.sum()),
        }
        for name, parts in self._overlap.items():
            shared = parts["test"]
            counts[f"test_by_{name}"] = shared.rows
            counts[f"known_cells_by_{name}"] = shared.known_cells
            counts[f"known_drugs_by_{name}"] = shared.known_drugs
        return counts

    def write(self, data: Path, advance: Advance) -> None:
        """Write everything."""
        self._overlap = write(self._content, data)
        advance(1)

    def complete(self, record: Record) -> Record:
        """Add counts and overlaps."""
        return complete(record, self._content, self._overlap)
