"""What every source becomes: cells, drugs, responses that name both, splits, statistics.

The normalised layout: the features of a cell or a drug are there once, not once a response.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scidata import split
from scidata.datasets import statistics
from scidata.datasets.array_store import ArrayStore
from scidata.datasets.candle_uno import splits
from scidata.datasets.candle_uno.splits import Parts, Shared
from scidata.datasets.statistics import Moments
from scidata.errors import InvalidError, Problem
from scidata.record import Record, Step

Array: TypeAlias = npt.NDArray[np.generic]

CELLS, DRUGS, RESPONSE, DOSES = "cells", "drugs", "response", "doses"
_CHUNK_BYTES = 4 << 20
_GROUP_ROWS = 65_536
_FEWEST = 10
"""Cells, drugs and rows: fewer cannot be divided into three parts."""
_MOST_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class Block:
    """One kind of feature, the same for every cell or drug."""

    columns: Sequence[str]
    """Such as the names of genes; empty if the source tells none."""
    dimension: str
    """Of the columns, such as ``gene``."""
    values: Array
    """(entries, columns), float32 or uint8; NaN where nothing was measured."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """All cells or all drugs."""

    names: Sequence[str]
    blocks: Mapping[str, Block]
    """By variable."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """A whole dataset before it is written."""

    title: str
    cells: Features
    drugs: Features
    cell: Sequence[str]
    """Of each response."""
    drug: Sequence[str]
    columns: Mapping[str, Array]
    """Of the responses, by name; the first is what is to be predicted."""
    drug2: Sequence[str] = ()
    """Of each response to a pair of drugs; a pair is in an order, which means nothing."""
    usable: npt.NDArray[np.bool_]
    """(responses,): which of them the splits may name."""
    steps: Sequence[str] = ()
    """What was done, for the record."""
    given: Mapping[str, Parts] = field(default_factory=dict)
    """Splits that came with the source."""
    doses: pa.Table | None = None
    """What the curves were fitted to."""

    @property
    def assets(self) -> tuple[str, ...]:
        """Keys of the assets."""
        return (CELLS, DRUGS, RESPONSE, *((DOSES,) if self.doses is not None else ()))

    @property
    def drug_columns(self) -> dict[str, Sequence[str]]:
        """The drugs of each response, by column: one, or two."""
        return {"drug": self.drug, **({"drug2": self.drug2} if self.drug2 else {})}

    @property
    def target(self) -> str:
        """Name of what is to be predicted."""
        return next(iter(self.columns))

    def check(self, where: str) -> None:
        """Refuse what cannot be joined or divided.

        Raises
        ------
        InvalidError
            With every response that names no cell or drug, and whatever there is too few of.
        """
        problems = [*self._strangers(), *self._too_few()]
        if problems:
            raise InvalidError.listing(
                problems, where=where, fix="correct the source; nothing was written"
            )

    def _strangers(self) -> Iterator[Problem]:
        for kind, named, known in (
            ("cell", self.cell, self.cells.names),
            ("drug", [*self.drug, *self.drug2], self.drugs.names),
        ):
            if len(set(known)) < len(known):
                yield Problem(
                    code="twice", path=kind, message=f"a {kind} is there twice",
                    fix="keep one row of each",
                )  # fmt: skip
            for name in sorted(set(named) - set(known))[:_MOST_LISTED]:
                yield Problem(
                    code="stranger", path=f"{kind} {name}", message="it has no features",
                    fix="add its row, or leave its responses out",
                )  # fmt: skip

    def _too_few(self) -> Iterator[Problem]:
        rows = np.flatnonzero(self.usable)
        for kind, count in (
            ("cells", len({self.cell[n] for n in rows.tolist()})),
            ("drugs", len({self.drug[n] for n in rows.tolist()})),
            ("responses", len(rows)),
        ):
            if count < _FEWEST:
                yield Problem(
                    code="few", path=kind, message=f"there are {count}, not {_FEWEST} or more",
                    fix="give more of them",
                )  # fmt: skip


def divide(content: Content) -> dict[str, Parts]:
    """Divide the usable responses: by cell, by drug, by row (or as the source has it)."""
    rows = np.flatnonzero(content.usable)
    return {
        "cell": splits.by_name(rows, [content.cell], "candle-uno/cell"),
        "drug": splits.by_name(rows, list(content.drug_columns.values()), "candle-uno/drug"),
        "row": content.given.get("row", splits.by_row(rows)),
    }


def write(content: Content, data: Path) -> dict[str, dict[str, Shared]]:
    """Write all files; return what parts share, by split and part."""
    _write_features(data / f"{CELLS}.zarr", "cell", f"{content.title}: cells", content.cells)
    _write_features(data / f"{DRUGS}.zarr", "drug", f"{content.title}: drugs", content.drugs)
    _write_table(_responses(content), data / f"{RESPONSE}.parquet")
    if content.doses is not None:
        _write_table(content.doses, data / f"{DOSES}.parquet")
    found = {}
    parts = divide(content)
    for name, lists in parts.items():
        for part, rows in lists.items():
            path = data.parent / split.split_path(name, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(split.to_text(map(str, rows.tolist())))
        found[name] = splits.shared(lists, content.cell, list(content.drug_columns.values()))
    _write_statistics(data / "statistics.json", content, parts["cell"]["train"])
    return found


def complete(
    record: Record, content: Content, overlap: Mapping[str, Mapping[str, Shared]]
) -> Record:
    """Return the record with what was counted."""
    steps = [
        *content.steps,
        f"{len(content.cells.names)} cells, {len(content.drugs.names)} drugs, "
        f"{len(content.cell)} responses, of which "
        f"{int(content.usable.sum())} are in the splits.",
        *(
            f"Overlap of split {name}, {part}: {shared.sentence}."
            for name, parts in overlap.items()
            for part, shared in parts.items()
        ),
    ]
    provenance = record.provenance
    added = (*provenance.steps, *(Step(activity=text) for text in steps))
    present = set(_names(content))
    return record.model_copy(
        update={
            "provenance": provenance.model_copy(update={"steps": added}),
            "variables": tuple(v for v in record.variables if v.name in present),
        }
    )


def _names(content: Content) -> Iterator[str]:
    """Yield every variable that is written."""
    for column in ("cell", *content.drug_columns):
        yield from (column, f"{column}_number")
    yield from content.columns
    if content.doses is not None:
        yield from content.doses.column_names
    for features in (content.cells, content.drugs):
        for name, block in features.blocks.items():
            yield name
            if block.columns:
                yield block.dimension


def _write_features(path: Path, kind: str, title: str, features: Features) -> None:
    store = ArrayStore(path, title)
    store.put(
        kind, [kind], np.array(features.names, object), {"long_name": f"Name of the {kind}"}
    )
    for name, block in features.blocks.items():
        values = block.values
        rows = max(_CHUNK_BYTES // max(values[:1].nbytes, 1), 1)
        chunks = (min(rows, len(values)), values.shape[1])
        store.put(
            name, [kind, block.dimension], values, {"long_name": name}, layout=(chunks, ())
        )
        if block.columns:
            store.put(
                block.dimension, [block.dimension], np.array(block.columns, object),
                {"long_name": f"Name of the {block.dimension}"},
            )  # fmt: skip
    store.close()


def _responses(content: Content) -> pa.Table:
    named = {"cell": content.cell, **content.drug_columns}
    numbers = {
        f"{column}_number": _numbers(
            names, (content.cells if column == "cell" else content.drugs).names
        )
        for column, names in named.items()
    }
    texts = {column: pa.array(names, pa.string()) for column, names in named.items()}
    return pa.table({**texts, **numbers, **content.columns})


def _numbers(named: Sequence[str], names: Sequence[str]) -> npt.NDArray[np.int32]:
    place = {name: n for n, name in enumerate(names)}
    return np.array([place[name] for name in named], np.int32)


def _write_table(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=_GROUP_ROWS, compression="zstd")


def _write_statistics(path: Path, content: Content, train: npt.NDArray[np.int64]) -> None:
    """Describe the responses, and the features of the cells and drugs, that train by cell."""
    documents = {}
    columns = {}
    for name, values in content.columns.items():
        moments = Moments()
        moments.add(values[train])
        columns[name] = moments.report()
    documents[RESPONSE] = {"over": "cell/train", "variables": columns}
    for key, columns_of, features in (
        (CELLS, [content.cell], content.cells),
        (DRUGS, [*content.drug_columns.values()], content.drugs),
    ):
        named = [names[int(n)] for names in columns_of for n in train]
        chosen = np.unique(_numbers(named, features.names))
        blocks = {}
        for name, block in features.blocks.items():
            moments = Moments()
            moments.add(block.values[chosen])
            blocks[name] = moments.report()
        documents[key] = {"over": "cell/train", "variables": blocks}
    statistics.write(path, documents)
