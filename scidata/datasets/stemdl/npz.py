"""The repackaged files: NPZ with scaled patterns and the space group, and nothing else."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scidata.datasets.samples import Sample
from scidata.datasets.stemdl.layout import GROUPS, PROJECTIONS, VARIABLE, problem, refuse
from scidata.datasets.stemdl.scaling import HIGHEST, SIDE
from scidata.errors import InvalidError, Problem

FACTS = ("space_group",)
FILES_A_UNIT = 64
_SHAPE = (PROJECTIONS, SIDE, SIDE)
_MOST_BYTES = 2**20
"""Of an array when unpacked; the published ones have 196,736."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Some files, which are read together."""

    files: tuple[tuple[str, Path], ...]
    """Name below the source, and path."""
    stamp: str

    @property
    def count(self) -> int:
        """One sample a file."""
        return len(self.files)

    def produce(self) -> list[Sample | Problem]:
        """Read every file."""
        return [_one(name, path) for name, path in self.files]


def read_file(path: Path, name: str) -> Sample:
    """Read a file; no pickle is ever opened.

    Raises
    ------
    InvalidError
        If it is damaged, or holds something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        if not {"data.npy", "label.npy"} <= sizes.keys() or max(sizes.values()) > _MOST_BYTES:
            raise refuse(name, "npz", f"it holds {', '.join(sorted(sizes)[:5]) or 'nothing'}")
        with np.load(path, allow_pickle=False) as held:
            data, label = held["data"], held["label"]
    except InvalidError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise refuse(name, "npz", f"it is not a sound NPZ file: {error}") from error
    if data.shape != _SHAPE or data.dtype.kind != "f":
        raise refuse(name, "shape", f"data is {data.dtype} of shape {data.shape}, not {_SHAPE}")
    if not ((data >= 0) & (data <= HIGHEST)).all():
        raise refuse(name, "values", f"data has values outside 0 to {HIGHEST:.0f}")
    if label.size != 1 or label.dtype.kind not in "iu" or int(label.flat[0]) not in GROUPS:
        raise refuse(name, "space-group", f"its label is {label.ravel()[:3].tolist()}")
    return Sample(
        id=Path(name).stem,
        arrays={VARIABLE: data.astype(np.float32)},
        facts={"space_group": int(label.flat[0])},
    )


def _one(name: str, path: Path) -> Sample | Problem:
    try:
        return read_file(path, name)
    except InvalidError as error:
        return problem(name, error.problems[0].code, error.problems[0].message)
