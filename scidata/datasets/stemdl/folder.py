"""The files of a source: which hold samples, in which part, and which do not. Names alone."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from scidata.datasets.stemdl.layout import problem
from scidata.errors import InvalidError, NotFoundError, Problem

Form: TypeAlias = Literal["hdf5", "npz"]

_BATCH = re.compile(r"batch_(train|dev|test)_[0-9]+\.h5", re.ASCII)
_SAMPLE = re.compile(r"sample-[0-9]+\.npz", re.ASCII)
_ROLES = {
    "train": "train",
    "dev": "validation",
    "test": "test",
    "training": "train",
    "validation": "validation",
    "testing": "test",
    "inference": "test",
}
"""Of file names and folders, to parts of a split."""
_ARRAYS = {".h5", ".hdf5", ".hdf", ".npz", ".npy", ".nc"}
_MOST_FILES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file of samples."""

    path: Path
    name: str
    """Below the source."""
    form: Form
    role: str | None
    """The part of the split that the source has it in."""

    @property
    def stamp(self) -> str:
        """What changes when the bytes do."""
        held = self.path.stat()
        return f"{self.name} {held.st_size} {held.st_mtime_ns} {held.st_ctime_ns}"


def list_files(source: Path) -> tuple[list[Found], list[Problem]]:
    """List the files of a source, by part and number; and those that are something else.

    Raises
    ------
    NotFoundError
        If there is no such file or folder.
    InvalidError
        If there is none of the benchmark, there are both forms, or a name comes twice.
    """
    if not source.exists():
        raise NotFoundError(
            f"there is no {str(source)!r}",
            where=str(source),
            fix="give --source the folder of batch_train_0.h5, or of sample-0.npz, and so on",
        )
    paths = [source] if source.is_file() else sorted(source.rglob("*"))
    files: list[Found] = []
    strangers: list[Problem] = []
    for path in paths:
        if not path.is_file() or path.suffix not in _ARRAYS:
            continue
        inner = path.relative_to(source) if path != source else Path(path.name)
        found = _found(path, inner)
        if found:
            files.append(found)
        else:
            message = "its name is not batch_{train,dev,test}_<n>.h5, nor sample-<n>.npz"
            strangers.append(problem(inner.as_posix(), "other-file", message))
    files.sort(key=_order)
    _check(source, files, strangers)
    return files, strangers


def _found(path: Path, inner: Path) -> Found | None:
    batch = _BATCH.fullmatch(path.name)
    if not batch and not _SAMPLE.fullmatch(path.name):
        return None
    said = [batch[1]] if batch else [part for part in inner.parts[:-1] if part in _ROLES]
    return Found(
        path=path,
        name=inner.as_posix(),
        form="hdf5" if batch else "npz",
        role=_ROLES[said[-1]] if said else None,
    )


def _order(file: Found) -> tuple[str, list[int], str]:
    # By number, where text would put 10 before 2: neighbours are of one material.
    numbers = [int(n) for n in re.findall(r"[0-9]+", file.path.name)]
    return file.role or "", numbers, file.name


def _check(source: Path, files: list[Found], strangers: list[Problem]) -> None:
    forms = sorted({file.form for file in files})
    if len(forms) != 1 or len(files) > _MOST_FILES:
        what = "both batches and NPZ files" if len(forms) > 1 else f"{len(files)} such files"
        raise InvalidError(
            f"it holds {what}; batch_{{train,dev,test}}_<n>.h5 or sample-<n>.npz is read",
            where=str(source),
            fix="give --source the folder of one of them",
            problems=strangers[:100],
        )
    first: dict[str, str] = {}
    twice: list[Problem] = []
    for file in files:
        other = first.setdefault(file.path.name, file.name)
        if other != file.name:
            twice.append(problem(file.name, "file-twice", f"it has the name of {other}"))
    if twice:
        raise InvalidError.listing(twice, where=str(source), fix="keep one file of each name")
