"""The published prebuilt file: a pandas HDFStore, read with h5py alone.

Nothing is unpickled: the file's attributes, and the frame ``model``, which holds nothing else,
are not read at all. Rows repeat the features of their cell and drug; each is kept once, and
every repetition is compared with it.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from scidata.datasets import Advance
from scidata.datasets.candle_uno import reading
from scidata.datasets.candle_uno.content import Block, Content, Features
from scidata.datasets.candle_uno.recipe import Files
from scidata.datasets.candle_uno.simulate import Simulated
from scidata.datasets.candle_uno.splits import PARTS, by_row
from scidata.errors import InvalidError

Floats: TypeAlias = npt.NDArray[np.float32]

KEYS = {"train": "train", "validation": "val", "test": "test"}
"""Parts as the file calls them."""
_ROWS = 2048
"""Read at once: 51 MB of features at full width."""
_MOST_COLUMNS = 100_000
_BLOCK = "values_block_0"
_NAMED = ("Sample", "Drug1")


@dataclass(kw_only=True)
class _Unique:
    """The first row of each name, and whether all others are the same."""

    path: Path
    variable: str
    names: dict[str, int]
    rows: list[Floats]

    def add(self, named: list[str], values: Floats, where: str) -> None:
        """Take in some rows."""
        numbers = np.empty(len(named), np.int64)
        for n, name in enumerate(named):
            if name not in self.names:
                self.names[name] = len(self.rows)
                self.rows.append(values[n].copy())
            numbers[n] = self.names[name]
        for number in np.unique(numbers):
            same = values[numbers == number]
            if not np.array_equal(
                same, np.broadcast_to(self.rows[number], same.shape), equal_nan=True
            ):
                name = next(name for name, at in self.names.items() if at == number)
                raise reading.refuse(
                    self.path, "differs", f"{where}: rows of {name!r} differ from each other"
                )

    def features(self, dimension: str) -> Features:
        """Make features of it."""
        block = Block(columns=(), dimension=dimension, values=np.stack(self.rows))
        return Features(names=list(self.names), blocks={self.variable: block})


def is_file_of(source: Path) -> bool:
    """Tell by its first bytes whether it is HDF5."""
    return source.is_file() and bool(h5py.is_hdf5(source))


def read(files: Files, advance: Advance) -> Content:
    """Read the file in blocks of rows; memory holds unique cells and drugs alone.

    Raises
    ------
    InvalidError
        If a frame is absent or has other columns, rows of one cell or drug differ, or the
        file is packed by a filter that is not installed.
    """
    path = files["file"]
    cells = _Unique(path=path, variable="expression", names={}, rows=[])
    drugs = _Unique(path=path, variable="descriptors", names={}, rows=[])
    auc: list[Floats] = []
    cell: list[str] = []
    drug: list[str] = []
    parts: dict[str, npt.NDArray[np.int64]] = {}
    with _opened(path) as file:
        there = [part for part in PARTS if f"y_{KEYS[part]}" in file]
        if "train" not in there or "validation" not in there:
            raise reading.refuse(path, "frames", "it lacks the frame y_train or y_val")
        total = sum(len(_table(file, path, f"y_{KEYS[part]}")) for part in there)
        for part in there:
            begin = len(cell)
            for labels, genes, descriptors in _rows(file, path, KEYS[part]):
                auc.append(labels.auc)
                cell += labels.cells
                drug += labels.drugs
                cells.add(labels.cells, genes, f"x_{KEYS[part]}_0")
                drugs.add(labels.drugs, descriptors, f"x_{KEYS[part]}_1")
                advance(len(cell) / total)
            parts[part] = np.arange(begin, len(cell))
    target = np.concatenate(auc)
    return Content(
        title="CANDLE-UNO, published prebuilt file",
        cells=cells.features("gene"),
        drugs=drugs.features("descriptor"),
        cell=cell,
        drug=drug,
        columns={"AUC": target},
        usable=np.isfinite(target),
        given={"row": parts},
        steps=(
            "Read from the published file; split row is the file's own. Every repetition of a "
            "cell's or a drug's features was equal to the first.",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Labels:
    auc: Floats
    cells: list[str]
    drugs: list[str]


def _rows(file: h5py.File, path: Path, key: str) -> Iterator[tuple[_Labels, Floats, Floats]]:
    labels = _table(file, path, f"y_{key}")
    features = [_table(file, path, f"x_{key}_{n}") for n in (0, 1)]
    if {len(table) for table in features} != {len(labels)}:
        raise reading.refuse(path, "rows", f"its frames of {key} differ in their rows")
    for begin in range(0, len(labels), _ROWS):
        piece = slice(begin, begin + _ROWS)
        genes, descriptors = (
            _block(_read(t, path, piece), path, str(t.name)) for t in features
        )
        yield _labels(_read(labels, path, piece), path), genes, descriptors


def _table(file: h5py.File, path: Path, name: str) -> h5py.Dataset:
    found = file.get(f"{name}/table")
    if not isinstance(found, h5py.Dataset) or found.dtype.names is None or found.ndim != 1:
        raise reading.refuse(path, "frames", f"it lacks the frame {name}, in table format")
    return found


def _read(table: h5py.Dataset, path: Path, piece: slice) -> npt.NDArray[np.void]:
    try:
        rows: npt.NDArray[np.void] = table[piece]
    except OSError as error:
        message = f"{table.name} cannot be read: {error}"
        raise InvalidError(
            message,
            where=str(path),
            fix='if it is packed by blosc, pip install "fair-scidata[chem]"; else fetch the '
            "file again",
        ) from error
    return rows


def _block(rows: npt.NDArray[np.void], path: Path, name: str) -> Floats:
    names = rows.dtype.names or ()
    field = rows.dtype[_BLOCK] if _BLOCK in names else None
    if field is None or field.base.kind != "f" or len(field.shape) != 1:
        raise reading.refuse(path, "columns", f"{name} holds no floating columns")
    if field.shape[0] > _MOST_COLUMNS:
        raise reading.refuse(path, "columns", f"{name} has {field.shape[0]:,} columns")
    return np.asarray(rows[_BLOCK], np.float32)


def _labels(rows: npt.NDArray[np.void], path: Path) -> _Labels:
    names = rows.dtype.names or ()
    if lacking := [name for name in _NAMED if name not in names]:
        raise reading.refuse(path, "columns", f"y lacks the columns {', '.join(lacking)}")
    auc = rows["AUC"] if "AUC" in names else rows[_BLOCK] if _BLOCK in names else None
    if auc is None:
        raise reading.refuse(path, "columns", "y lacks the column AUC")
    sample, drug = (_texts(rows[name], path) for name in _NAMED)
    return _Labels(auc=np.asarray(auc, np.float32).reshape(-1), cells=sample, drugs=drug)


def _texts(values: npt.NDArray[Any], path: Path) -> list[str]:
    try:
        return [bytes(value).decode("utf-8") for value in values.reshape(-1)]
    except (UnicodeDecodeError, TypeError) as error:
        raise reading.refuse(path, "texts", "names of cells and drugs are no text") from error


def _opened(path: Path) -> h5py.File:
    with suppress(ImportError):  # other files are read without; a refusal says what to install
        import hdf5plugin  # noqa: F401 - registers the filters
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise reading.refuse(path, "hdf5", f"it is no sound HDF5 file: {error}") from error


def write_published(path: Path, drawn: Simulated) -> None:
    """Write a simulation in the published layout: repeated rows, the published keys.

    Its rows are drawn into parts as `splits.by_row` does.
    """
    with h5py.File(path, "w") as file:
        for part, rows in by_row(np.arange(len(drawn.auc))).items():
            key = KEYS[part]
            cells, drugs = drawn.cell[rows], drawn.drug[rows]
            for n, values in enumerate((drawn.expression[cells], drawn.descriptors[drugs])):
                kind = [("index", "<i8"), (_BLOCK, "<f4", values.shape[1:])]
                table = np.zeros(len(rows), kind)
                table["index"], table[_BLOCK] = np.arange(len(rows)), values
                file.create_dataset(
                    f"x_{key}_{n}/table", data=table, chunks=(min(64, len(rows)),),
                    compression="gzip",
                    compression_opts=1,
                )  # fmt: skip
            table = np.zeros(
                len(rows),
                [("index", "<i8"), ("AUC", "<f4"), ("Sample", "S30"), ("Drug1", "S10")],
            )
            table["index"], table["AUC"] = np.arange(len(rows)), drawn.auc[rows]
            table["Sample"] = [drawn.cells[n].encode() for n in cells]
            table["Drug1"] = [drawn.drugs[n].encode() for n in drugs]
            file.create_dataset(f"y_{key}/table", data=table, compression="gzip")
        file.create_group("model")
