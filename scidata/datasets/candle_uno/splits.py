"""Three ways to divide pairs of cell and drug, and what the parts share."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[np.int64]
Parts: TypeAlias = Mapping[str, Rows]
"""Sorted row numbers by part."""

PARTS = ("train", "validation", "test")
_SHARES = (0.8, 0.1)
SEED = 2018
"""Of the rows' draw; the published code's own seed."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What a held-out part has in common with the training part."""

    cells: int
    known_cells: int
    drugs: int
    known_drugs: int
    rows: int
    known_rows: int
    """Rows of which the cell and every drug are in the training part."""

    @property
    def sentence(self) -> str:
        """Say it."""
        return (
            f"{self.known_cells} of {self.cells} cells and {self.known_drugs} of {self.drugs} "
            f"drugs are in train, and both in {self.known_rows} of {self.rows} rows"
        )


def by_row(usable: Rows) -> Parts:
    """Draw 80, 10 and 10 percent of the rows. Cells and drugs are in all parts: it leaks."""
    order = np.random.default_rng(SEED).permutation(usable)
    return _cut(order)


def by_name(usable: Rows, named: Sequence[Sequence[str]], salt: str) -> Parts:
    """Divide names 80, 10 and 10 percent in order of a hash; rows follow their name.

    Parameters
    ----------
    usable : (N,)
        Row numbers.
    named : sequence of sequence of str
        The cell or drug of each row of the table; of pairs, one sequence for each drug. A row
        whose drugs are in two parts is in none.
    salt : str
        Of the hash.
    """
    columns = [np.asarray(each, object)[usable].tolist() for each in named]
    ranked = sorted(set().union(*columns), key=lambda name: _rank(f"{salt}/{name}"))
    chosen = _cut(np.arange(len(ranked)))
    place = {name: n for n, name in enumerate(ranked)}
    at = np.array([[place[name] for name in names] for names in columns], np.int64)
    return {part: usable[np.isin(at, numbers).all(axis=0)] for part, numbers in chosen.items()}


def shared(
    parts: Parts, cells: Sequence[str], drugs: Sequence[Sequence[str]]
) -> dict[str, Shared]:
    """Count what each held-out part shares with the first; of pairs, both drugs count."""
    cell = np.asarray(cells, object)
    drug = np.asarray([np.asarray(each, object) for each in drugs], object)
    train = next(iter(parts.values()))
    known_cells, known_drugs = set(cell[train].tolist()), set(drug[:, train].ravel().tolist())
    found = {}
    for name, rows in list(parts.items())[1:]:
        here, there = set(cell[rows].tolist()), set(drug[:, rows].ravel().tolist())
        both = sum(
            c in known_cells and known_drugs.issuperset(pair)
            for c, pair in zip(cell[rows], drug[:, rows].T.tolist(), strict=True)
        )
        found[name] = Shared(
            cells=len(here),
            known_cells=len(here & known_cells),
            drugs=len(there),
            known_drugs=len(there & known_drugs),
            rows=len(rows),
            known_rows=both,
        )
    return found


def _cut(order: Rows) -> Parts:
    train, validation = (round(share * len(order)) for share in _SHARES)
    validation = max(validation, 1)
    train = min(train, len(order) - 2 * validation)
    pieces = np.split(order, [train, train + validation])
    return {part: np.sort(piece) for part, piece in zip(PARTS, pieces, strict=True)}


def _rank(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
